"""Precisions: what the types become, what the runtime then really computes in, and whose kernels they are."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper, parser

from hwnas.networks import network_family
from profilers.errors import CampaignError, ModelError
from profilers.kernels import _part
from profilers.precision import PRECISIONS, arithmetic, fallbacks, unsupported_op, with_precision

KINDS = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
HALVES = ["fp16", "bf16"]
RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class Network:
    """A network of the family."""

    model: bytes
    parts: Mapping[str, str]

    @property
    def operators(self) -> Counter[str]:
        return Counter(node.op_type for node in loaded(self.model).graph.node)


@pytest.fixture(scope="module")
def networks() -> list[Network]:
    """Networks of all sizes; some with ReLU and squeeze-and-excitation, some with HardSwish."""
    found = [Network(workload.model, workload.parts) for workload in network_family("mobilenet").references(8)]
    together = sum((network.operators for network in found), Counter[str]())
    assert min(together[op] for op in ("Relu", "HardSwish", "HardSigmoid", "Mul", "Add", "ReduceMean", "Gemm")) > 0
    return found


@pytest.fixture(scope="module")
def network(networks: list[Network]) -> Network:
    return max(networks, key=lambda each: each.operators["HardSigmoid"])


def loaded(model: bytes) -> onnx.ModelProto:
    proto: onnx.ModelProto = onnx.ModelProto.FromString(model)
    return proto


def model_of(text: str, **weights: Any) -> bytes:
    """A model from ONNX's textual form: its graph, with the operators of opset 18 unless it begins with a header."""
    header = "" if text.startswith("<") else '<ir_version: 10, opset_import: ["" : 18]>'
    model = parser.parse_model(f"{header} network {text}")
    for node in model.graph.node:
        node.name = node.output[0]
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items())
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def floats(*shape: int) -> NDArray[np.float32]:
    return (0.1 * RNG.standard_normal(shape)).astype(np.float32)


def converted(model: bytes, precision: str, **options: bool) -> onnx.ModelProto:
    result = with_precision(model, precision, **options)
    onnx.checker.check_model(result, full_check=True)
    return loaded(result)


def weights_of(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    return {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}


def graphs_of(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs_of(attribute.g)


def kinds_of(model: onnx.ModelProto) -> set[int]:
    """Element types of everything in a model that has one."""
    found = set()
    for graph in graphs_of(model.graph):
        found |= {weight.data_type for weight in graph.initializer}
        found |= {v.type.tensor_type.elem_type for v in (*graph.input, *graph.output, *graph.value_info)}
        for node in graph.node:
            found |= {attribute.t.data_type for attribute in node.attribute if attribute.HasField("t")}
            found |= {attribute.i for attribute in node.attribute if attribute.name == "to"}
    return found


@dataclass(frozen=True)
class Ran:
    """What ONNX Runtime made of a model."""

    nodes: list[onnx.NodeProto]
    inputs: list[list[str]]
    outputs: list[NDArray[Any]]

    @property
    def kernels(self) -> list[tuple[str, str]]:
        pairs = zip(self.nodes, self.inputs, strict=True)
        return [(node.op_type, arithmetic(node.op_type, elements)) for node, elements in pairs]

    @property
    def operators(self) -> Counter[str]:
        return Counter(node.op_type for node in self.nodes)


def run(model: bytes) -> Ran:
    """Runs a model once on the CPU; nodes run in the order in which the optimised graph is saved."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        options.optimized_model_filepath = str(Path(folder, "optimised.onnx"))
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder, "profile"))
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        outputs = session.run(None, {entry.name: feed(entry) for entry in session.get_inputs()})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        nodes = list(onnx.load(options.optimized_model_filepath).graph.node)
    ran = [e for e in events if e.get("cat") == "Node" and e["name"].endswith("_kernel_time")]
    ran.sort(key=lambda event: event["ts"])
    assert [event["args"]["op_name"] for event in ran] == [node.op_type for node in nodes]
    inputs = [[element for entry in e["args"]["input_type_shape"] for element in entry] for e in ran]
    return Ran(nodes, inputs, outputs)


def feed(entry: Any) -> NDArray[Any]:
    kinds = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(bool)": np.bool_}
    values: NDArray[Any] = np.random.default_rng(1).uniform(-1, 1, entry.shape).astype(kinds[entry.type])
    return values


# --- what is refused, what is left alone


def test_an_unknown_precision_is_refused_with_the_known_ones(network: Network) -> None:
    with pytest.raises(
        CampaignError, match=r"unknown precision 'fp8': expected one of fp32, fp16, bf16, int8"
    ) as caught:
        with_precision(network.model, "fp8")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("model", [b"", b"not a model"], ids=["empty", "noise"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_what_is_no_model_is_refused(model: bytes, precision: str) -> None:
    with pytest.raises(ModelError, match=rf"expected a serialised ONNX model, received {len(model)} bytes.*Export"):
        with_precision(model, precision)


def test_a_model_whose_weights_are_elsewhere_is_refused(tmp_path: Path) -> None:
    model = loaded(model_of("(float[1,4] x) => (float[1,3] y) { y = MatMul(x, w) }", w=floats(4, 3)))
    onnx.save(model, tmp_path / "model.onnx", save_as_external_data=True, size_threshold=0)
    with pytest.raises(ModelError, match="weights inside"):
        with_precision((tmp_path / "model.onnx").read_bytes(), "fp16")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_model_in_the_precision_asked_for_is_returned_as_it_is(network: Network, precision: str) -> None:
    once = with_precision(network.model, precision)
    assert with_precision(once, precision) == once
    assert (once == network.model) == (precision == "fp32")
    assert with_precision(network.model, precision) == once  # nothing in it is random


@pytest.mark.parametrize(
    ("has", "wanted"), [("fp16", "fp32"), ("fp16", "int8"), ("bf16", "fp16"), ("int8", "fp32"), ("int8", "fp16")]
)
def test_only_a_float32_model_is_converted(network: Network, has: str, wanted: str) -> None:
    with pytest.raises(ModelError, match=rf"expected a model in fp32 .* precision {wanted}, but found .*{has}.*Export"):
        with_precision(with_precision(network.model, has), wanted)


def test_double_precision_is_no_float32() -> None:
    with pytest.raises(ModelError, match="found fp64"):
        with_precision(model_of("(double[1,4] x) => (double[1,4] y) { y = Relu(x) }"), "fp32")


def test_an_opset_that_cannot_be_raised_is_named() -> None:
    old = parser.parse_model('<ir_version: 3, opset_import: ["": 6]> g (float[4,4,4] x) => (float y) {y = Gemm(x,x,x)}')
    with pytest.raises(ModelError, match=r"from opset 6 to 13, which int8 needs: .*Export it with opset 13 or newer"):
        with_precision(old.SerializeToString(), "int8")


# --- float16 and bfloat16


@pytest.mark.parametrize("precision", HALVES)
def test_all_that_was_float32_changes_its_type_and_nothing_its_name(network: Network, precision: str) -> None:
    before, after = loaded(network.model), converted(network.model, precision)
    assert kinds_of(after) == {KINDS[precision], TensorProto.INT64}
    assert [(n.name, n.op_type, *n.input, *n.output) for n in after.graph.node] == [
        (n.name, n.op_type, *n.input, *n.output) for n in before.graph.node
    ]
    assert weights_of(after).keys() == weights_of(before).keys()


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", np.float16), ("bf16", ml_dtypes.bfloat16)])
@settings(max_examples=20, deadline=None)
@given(values=arrays(np.float32, 8, elements=st.floats(width=32, allow_nan=False)))
def test_weights_are_rounded_and_only_the_infinite_become_infinite(
    precision: str, dtype: Any, values: NDArray[np.float32]
) -> None:
    model = with_precision(model_of("(float[8] x) => (float[8] y) { y = Add(x, w) }", w=values), precision)
    rounded = weights_of(loaded(model))["w"]
    assert rounded.dtype == dtype
    assert (np.isfinite(rounded) == np.isfinite(values)).all()
    near = np.abs(values) < 6e4
    np.testing.assert_array_equal(rounded[near], values[near].astype(dtype))


@pytest.mark.parametrize("precision", HALVES)
def test_constants_casts_and_inner_graphs_change_too(precision: str) -> None:
    model = model_of(
        """(int64[4] i, float[4] f, bool q) => (float[4] y) {
            a = Cast <to = 1> (i)
            s = Shape (f)
            z = ConstantOfShape (s)
            k = Constant <value_float = 2.0> ()
            c = If (q) <
                then_branch = t () => (float[4] b1) { h = Constant <value = float {0.5}> () b1 = Mul (a, h) },
                else_branch = e () => (float[4] b2) { b2 = Add (f, w) }
            >
            d = Mul (c, k)
            y = Add (d, z)
        }""",
        w=floats(4),
    )
    after = converted(model, precision)
    assert TensorProto.FLOAT not in kinds_of(after)
    assert KINDS[precision] in kinds_of(after)


def test_what_takes_float32_alone_keeps_it() -> None:
    scales = np.array([1, 1, 1.3, 1.3], np.float32)
    resized = model_of("(float[1,2,7,7] x) => (float[1,2,9,9] y) { a = Relu(x) y = Resize(a, , s) }", s=scales)
    after = converted(resized, "fp16")
    assert [node.op_type for node in after.graph.node] == ["Relu", "Resize"]
    np.testing.assert_array_equal(weights_of(after)["s/float"], scales)
    assert "s" not in weights_of(after)
    assert run(after.SerializeToString()).outputs[0].shape == (1, 2, 9, 9)

    boxes = model_of("(float[1,6,4] x, float[1,2,6] s) => (int64[n,3] y) { a = Relu(x) y = NonMaxSuppression(a, s) }")
    inner = [(node.op_type, list(node.input)) for node in converted(boxes, "bf16").graph.node]
    assert inner[-1] == ("NonMaxSuppression", ["a/float", "s/float"])
    assert [operator for operator, _ in inner[:-1]] == ["Relu", "Cast", "Cast"]

    steps = model_of("(float b) => (float[n] y) { r = Range(z, b, o) y = Relu(r) }", z=np.float32(0), o=np.float32(1))
    assert [node.op_type for node in converted(steps, "fp16").graph.node] == ["Cast", "Range", "Cast", "Relu"]


def test_a_float16_network_runs_and_computes_nearly_the_same(networks: list[Network]) -> None:
    for network in networks[::3]:
        wide, narrow = run(network.model), run(with_precision(network.model, "fp16"))
        assert narrow.outputs[0].dtype == np.float16
        error = np.abs(narrow.outputs[0].astype(np.float32) - wide.outputs[0]).max()
        assert error < 2e-2 * np.abs(wide.outputs[0]).max()
        assert all(node.name for node in narrow.nodes)  # nothing was taken apart


def test_this_cpu_provider_computes_float16_in_float32_and_that_shows(network: Network) -> None:
    ran = run(with_precision(network.model, "fp16"))
    assert Counter(done for _, done in ran.kernels)["convert"] == 2  # at both ends, no more
    fallen = fallbacks(ran.kernels, "fp16")
    assert fallen["Conv"] == network.operators["Conv"]
    assert fallen["Gemm"] == 1
    assert not {"Cast", "ReorderInput", "ReorderOutput"} & fallen.keys()
    assert fallbacks(run(network.model).kernels, "fp32") == {}


def test_bfloat16_gets_an_opset_that_has_it_and_the_missing_kernel_is_named(network: Network) -> None:
    model = with_precision(network.model, "bf16")
    assert loaded(model).opset_import[0].version >= 22
    with pytest.raises(Exception, match="NOT_IMPLEMENTED") as caught:
        run(model)
    assert str(caught.value).startswith("[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation")
    assert unsupported_op(str(caught.value)) == "Conv"


# --- int8


def test_quantised_networks_run_integer_kernels(networks: list[Network]) -> None:
    for network in networks:
        before, ran = network.operators, run(with_precision(network.model, "int8"))
        after = ran.operators
        assert after["QLinearConv"] == before["Conv"]
        assert after["QLinearAdd"] == before["Add"]
        assert after["QLinearMul"] == before["Mul"]
        assert after["QLinearGlobalAveragePool"] == before["ReduceMean"]
        assert after["QGemm"] == before["Gemm"] == 1
        assert not {"Conv", "Gemm", "Add", "Relu", "ReduceMean", "GlobalAveragePool"} & after.keys()
        gates, swishes = before["HardSigmoid"], before["HardSwish"]
        floating = {"HardSigmoid": gates + swishes, "Mul": swishes}
        assert fallbacks(ran.kernels, "int8") == {op: count for op, count in floating.items() if count}
        assert after["DequantizeLinear"] == gates + swishes  # one in front of each of them, and
        assert after["QuantizeLinear"] == gates + swishes + 1  # one behind, and one for the image


def test_a_quantised_model_has_the_types_it_should(network: Network) -> None:
    model = converted(network.model, "int8")
    weights, before = weights_of(model), weights_of(loaded(network.model))
    pairs = {node.input[0]: node for node in model.graph.node if node.op_type == "DequantizeLinear"}
    for node in model.graph.node:
        if node.op_type == "Conv":
            name, bias = node.name.removesuffix(".conv") + ".weight", node.name.removesuffix(".conv") + ".bias"
            assert weights[f"{name}/int"].dtype == np.int8
            assert weights[f"{name}/scale"].shape == before[name].shape[:1]
            assert not weights[f"{name}/zero_point"].any()
            assert weights[f"{bias}/int"].dtype == weights[f"{bias}/zero_point"].dtype == np.int32
            np.testing.assert_allclose(
                weights[f"{bias}/int"] * weights[f"{bias}/scale"], before[bias], atol=weights[f"{bias}/scale"].max()
            )
            assert {f"{name}/int", f"{bias}/int"} <= pairs.keys()
    rounded = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert {weights[node.input[2]].dtype for node in rounded} == {np.dtype(np.uint8)}
    assert {value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)} == {
        TensorProto.FLOAT
    }
    assert not before.keys() & {name for name in weights if before.get(name) is not None and before[name].ndim == 4}


def test_signed_activations_around_zero_are_there_for_runtimes_that_want_them(network: Network) -> None:
    model = converted(network.model, "int8", symmetric=True)
    weights = weights_of(model)
    for node in model.graph.node:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            assert weights[node.input[2]].dtype == np.int8
            assert not weights[node.input[2]].any()
        if node.op_type == "Conv":
            assert weights[node.input[2]].dtype == np.float32


def part_of(name: str) -> str:
    return name.partition("/")[0]


def test_names_tell_the_part_before_and_after_quantisation(networks: list[Network]) -> None:
    for network in networks:
        before = {name for node in loaded(network.model).graph.node for name in (node.name, *node.input, *node.output)}
        model = loaded(with_precision(network.model, "int8"))
        names = {name for node in model.graph.node for name in (node.name, *node.input, *node.output)}
        assert {part_of(name) for name in names} == {*network.parts, "image"}
        for name in names - before:
            assert any(name.startswith(f"{known}/") for known in before)


def test_every_kernel_of_a_quantised_network_belongs_to_its_part(networks: list[Network]) -> None:
    became = {"Conv": "QLinearConv", "Add": "QLinearAdd", "ReduceMean": "QLinearGlobalAveragePool", "Gemm": "QGemm"}
    for network in networks[1::2]:
        expected: Counter[tuple[str, str]] = Counter()
        for node in loaded(network.model).graph.node:
            expected[part_of(node.name), became.get(node.op_type, node.op_type)] += 1
        found: Counter[tuple[str, str]] = Counter()
        owner: dict[str, str] = {}
        for node in run(with_precision(network.model, "int8")).nodes:
            part = _part(node, network.parts, owner)
            owner |= dict.fromkeys(node.output, part)
            found[part, node.op_type] += 1
        for part in network.parts:
            for kind in became.values():
                assert found[part, kind] == expected[part, kind]
            assert found[part, "HardSigmoid"] == expected[part, "HardSigmoid"] + expected[part, "HardSwish"]
            assert found[part, "QLinearMul"] == expected[part, "Mul"]
            floating = expected[part, "HardSigmoid"] + expected[part, "HardSwish"]
            first = part == next(iter(network.parts))
            assert found[part, "QuantizeLinear"] == floating + first  # the image is the first part's to quantise


CONV = "Conv <pads = [1, 1, 1, 1]>"


@pytest.mark.parametrize(
    ("middle", "kernel"),
    [
        ("m = Relu(c)", None),
        ("m = Clip(c, zero, six)", None),
        ("m = Clip(c, minus, one)", None),
        ("s = Sigmoid(c) m = Mul(c, s)", "QLinearMul"),
        ("m = LeakyRelu <alpha = 0.1> (c)", "QLinearLeakyRelu"),
        ("m = Softmax <axis = 1> (c)", "QLinearSoftmax"),
        ("m = Add(c, k)", "QLinearAdd"),
        ("m = Concat <axis = 2> (c, c)", "QLinearConcat"),
        ("m = AveragePool <kernel_shape = [2, 2]> (c)", "QLinearAveragePool"),
        ("r = Relu(c) m = MaxPool <kernel_shape = [2, 2]> (r)", "NhwcMaxPool"),
        ("t = Transpose <perm = [0, 1, 3, 2]> (c) m = MatMul(c, t)", "QLinearMatMul"),
        ("r = Relu(c) m = Reshape(r, shape)", "Reshape"),
        ('m = Resize <mode = "nearest"> (c, , scales)', "Resize"),
        ("s, t = Split <axis = 2, num_outputs = 2> (c) m = Add(s, t)", "Split"),
        ("m = Slice(c, start, stop, axis)", "Slice"),
    ],
)
def test_operators_between_convolutions_stay_in_integers(middle: str, kernel: str | None) -> None:
    constants = {"zero": 0.0, "six": 6.0, "minus": -1.0, "one": 1.0, "scales": [1.0, 1.0, 2.0, 2.0]}
    known: dict[str, Any] = {name: np.array(value, np.float32) for name, value in constants.items()}
    integers = {"shape": [1, 4, 4, 16], "start": [0], "stop": [4], "axis": [2]}
    known |= {name: np.array(value, np.int64) for name, value in integers.items()} | {"k": floats(4, 1, 1)}
    known = {name: value for name, value in known.items() if re.search(rf"\b{name}\b", middle)}
    text = f"(float[1,4,8,8] x) => (float[1,4,h,v] y) {{ c = {CONV} (x, w) {middle} y = {CONV} (m, w) }}"
    ran = run(converted(model_of(text, w=floats(4, 4, 3, 3), **known), "int8").SerializeToString())
    assert fallbacks(ran.kernels, "int8") == {}
    assert [done for _, done in ran.kernels].count("convert") == 2
    assert ran.operators["QLinearConv"] == 2
    assert {done for _, done in ran.kernels} == {"int8", "convert"}
    assert kernel is None or ran.operators[kernel] == 1


@pytest.mark.parametrize(
    "head",
    [
        "y = Gemm <transB = 1> (f, v, b)",
        "y = Gemm(f, u, b)",
        "m = Gemm(f, u) r = Relu(m) y = Add(r, b)",
        "y = MatMul(f, u)",
    ],
)
def test_linear_layers_are_integer_products(head: str) -> None:
    known = {"v": floats(5, 4), "u": floats(4, 5), "b": floats(5)}
    known = {name: value for name, value in known.items() if re.search(rf"\b{name}\b", head)}
    text = "(float[1,4,3,3] x) => (float[1,5] y) { m0 = ReduceMean <keepdims = 0> (x, a) f = Relu(m0) " + head + " }"
    ran = run(with_precision(model_of(text, a=np.array([-1, -2]), **known), "int8"))
    assert fallbacks(ran.kernels, "int8") == {}
    assert ran.operators["QLinearGlobalAveragePool"] == 1
    assert ran.operators["QGemm"] + ran.operators["MatMulIntegerToFloat"] == 1


@pytest.mark.parametrize(
    ("text", "operator"),
    [
        ("y = ConvTranspose(x, w)", "ConvTranspose"),
        ("y = ReduceMean <keepdims = 1> (x, a)", "ReduceMean"),  # over channels, not over pixels
        (f"c = {CONV} (x, w) y = Conv(c, c)", "Conv"),  # with weights that are computed
    ],
)
def test_what_has_no_integer_kernel_stays_as_it_is_and_is_counted(text: str, operator: str) -> None:
    known = {"w": floats(4, 4, 3, 3), "a": np.array([1])}
    known = {name: value for name, value in known.items() if re.search(rf"\b{name}\b", text)}
    ran = run(with_precision(model_of(f"(float[4,4,8,8] x) => (float[n,c,h,v] y) {{ {text} }}", **known), "int8"))
    assert fallbacks(ran.kernels, "int8") == {operator: 1}


@settings(max_examples=15, deadline=None)
@given(weights=arrays(np.float32, (3, 2, 1, 1), elements=st.floats(-0.25, 0.25, width=32)), symmetric=st.booleans())
def test_within_its_ranges_a_quantised_network_computes_nearly_the_same(
    weights: NDArray[np.float32], symmetric: bool
) -> None:
    model = model_of("(float[1,2,4,4] x) => (float[1,3,4,4] y) { y = Conv(x, w, b) }", w=weights, b=weights[:, 0, 0, 0])
    exact, rounded = run(model).outputs[0], run(with_precision(model, "int8", symmetric=symmetric)).outputs[0]
    assert np.abs(exact - rounded).max() < 0.02


def test_graphs_inside_nodes_stay_float32_and_read_what_they_did() -> None:
    text = f"""(float[1,2,4,4] x, bool q) => (float[1,2,4,4] y) {{
        c = {CONV} (x, w)
        d = If (q) <
            then_branch = t () => (float[1,2,4,4] t1) {{ t1 = Relu (c) }},
            else_branch = e () => (float[1,2,4,4] e1) {{ e1 = {CONV} (c, w) }}
        >
        y = {CONV} (d, w)
    }}"""
    model = converted(model_of(text, w=floats(2, 2, 3, 3)), "int8")
    inner = [node.op_type for graph in list(graphs_of(model.graph))[1:] for node in graph.node]
    assert inner == ["Relu", "Conv"]
    assert weights_of(model)["w"].dtype == np.float32  # still read inside
    assert (
        len(onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).get_inputs())
        == 2
    )


def test_old_models_that_list_weights_as_inputs_are_converted() -> None:
    header = '<ir_version: 3, opset_import: ["": 9]>'
    text = f"{header} g (float[1,2,4,4] x, float[2,2,3,3] w) => (float[1,2,4,4] y) {{ c = {CONV} (x, w) y = Relu(c) }}"
    old = parser.parse_model(text)
    old.graph.initializer.append(numpy_helper.from_array(floats(2, 2, 3, 3), "w"))
    for precision in ("fp16", "int8"):
        model = converted(old.SerializeToString(), precision)
        assert [value.name for value in model.graph.input] == ["x"]
        assert run(model.SerializeToString()).outputs[0].shape == (1, 2, 4, 4)


def test_new_names_give_way_to_names_that_are_there() -> None:
    text = f"(float[1,2,4,4] x) => (float[1,2,4,4] y) {{ c = {CONV} (x, w) d = Add(c, c) y = {CONV} (d, w) }}"
    model = loaded(model_of(text, w=floats(2, 2, 3, 3)))
    model.graph.node[1].name = "c/quantize"
    model.graph.node[1].output[0] = model.graph.node[2].input[0] = "c/int"
    after = converted(model.SerializeToString(), "int8")
    names = [node.name for node in after.graph.node]
    assert len(set(names)) == len(names)
    assert {"c/quantize", "c/quantize_"} <= set(names)
    assert run(after.SerializeToString()).operators["QLinearAdd"] == 1


# --- what a runtime made of it


@pytest.mark.parametrize(
    ("op_type", "inputs", "found"),
    [
        ("Conv", ["float", "float", "float"], "fp32"),
        ("FusedConv", ["float16", "float16"], "fp16"),
        ("Gemm", ["bfloat16"], "bf16"),
        ("MatMul", ["double"], "fp64"),
        ("QLinearConv", ["uint8", "float", "uint8"], "int8"),
        ("QLinearConcat", ["float", "uint8", "uint8"], "int8"),
        ("QGemm", ["uint8", "float"], "int8"),
        ("DynamicQuantizeMatMul", ["float", "int8"], "int8"),
        ("MatMulIntegerToFloat", ["uint8"], "int8"),
        ("Transpose", ["uint8"], "int8"),
        ("Where", ["bool", "float16", "float16"], "fp16"),
        ("Gather", ["float", "int64"], "fp32"),
        ("Gather", ["int64", "int64"], "index"),
        ("Shape", ["float"], "index"),
        ("Range", [], "index"),
        ("Cast", ["float"], "convert"),
        ("QuantizeLinear", ["float", "float", "uint8"], "convert"),
        ("DequantizeLinear", ["int8", "float", "int8"], "convert"),
        ("DynamicQuantizeLinear", ["float"], "convert"),
    ],
)
def test_arithmetic_is_that_of_the_data(op_type: str, inputs: list[str], found: str) -> None:
    assert arithmetic(op_type, inputs) == found


def test_fallbacks_are_operators_that_round_in_another_precision() -> None:
    nodes = [("Conv", "fp32"), ("Conv", "fp32"), ("QLinearConv", "int8"), ("Mul", "fp16"), ("Cast", "convert")]
    nodes += [("ReorderInput", "fp32"), ("Transpose", "fp32"), ("Relu", "fp32"), ("Add", "index")]
    assert fallbacks(nodes, "int8") == {"Conv": 2, "Mul": 1}
    assert fallbacks(nodes, "fp32") == {"QLinearConv": 1, "Mul": 1}
    assert fallbacks([], "bf16") == {}


@pytest.mark.parametrize(
    ("header", "body", "operator"),
    [
        ('["": 22]', "(bfloat16[1,4] x) => (bfloat16[1,4] y) { y = Relu(x) }", "Relu"),
        ('["": 18]', "(bfloat16[1,4] x) => (bfloat16[1,4] y) { y = HardSwish(x) }", "HardSwish"),
        ('["": 18]', "(float[1,4] x) => (float[1,4] y) { y = Unheard(x) }", "Unheard"),
        ('["": 18, "my": 1]', "(float[1,4] x) => (float[1,4] y) { y = my.Own(x) }", "Own"),
        ('["": 18]', "(float[1,4] x) => (float16[1,4] y) { y = Relu(x) }", None),
    ],
)
def test_the_runtimes_own_words_name_the_operator_it_lacks(header: str, body: str, operator: str | None) -> None:
    model = parser.parse_model(f"<ir_version: 10, opset_import: {header}> g {body}")
    with pytest.raises(Exception, match="ONNXRuntimeError") as caught:
        run(model.SerializeToString())
    assert unsupported_op(str(caught.value)) == operator


def test_the_real_message_of_a_missing_kernel() -> None:
    message = "[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for {} node with name 'p0/c'"
    assert unsupported_op(message.format("Conv(22)")) == "Conv"
    assert unsupported_op(message.format("com.microsoft.FusedConv(1)")) == "FusedConv"
    assert unsupported_op("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : out of memory") is None
