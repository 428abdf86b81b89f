"""ONNX models made ready to be measured: any model's shapes and names, one kernel or one block of it cut out."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hwnas.networks import NetworkFamily, network_family
from profilers import CampaignError, ModelError, OnnxRuntimeBackend, OnnxWorkload, RunPlan, converted
from profilers.backends import IsolatedKernel
from profilers.kernels import TensorType
from profilers.models import (
    block_models,
    copied,
    copies_for,
    floor_model,
    graph_feeds,
    kernel_model,
    load_model,
    parse_model,
    prepared,
    random_feeds,
    sentinel_model,
)

PROVIDER = "CPUExecutionProvider"
ONCE = RunPlan(warmup_runs=0, runs=1)
Shape = Sequence[int | str]


@pytest.fixture(scope="module")
def backend() -> OnnxRuntimeBackend:
    return OnnxRuntimeBackend()


def ends(*tensors: tuple[str, Shape], element: int = TensorProto.FLOAT) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, element, shape) for name, shape in tensors]


def weight(name: str, *shape: int) -> onnx.TensorProto:
    values = 0.05 * np.random.default_rng(len(name)).standard_normal(shape)
    return numpy_helper.from_array(values.astype(np.float32), name)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    weights: Sequence[onnx.TensorProto] = (),
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def convolution(shape: Shape = (1, 8, 6, 6)) -> onnx.ModelProto:
    """A convolution and its activation, neither with a name."""
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["out"]),
    ]
    return model_of(nodes, ends(("image", shape)), ends(("out", shape)), [weight("w", 8, 8, 3, 3)])


def outputs_of(
    model: bytes, feeds: Mapping[str, Any], *, optimised: bool = False, names: Sequence[str] | None = None
) -> list[NDArray[np.generic]]:
    """What a model puts out, found without the code under test."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model, options, providers=[PROVIDER])
    found: list[NDArray[np.generic]] = session.run(names, feeds)
    return found


# --- files


def test_a_model_comes_back_from_its_file_with_the_weights_beside_it(tmp_path: Path) -> None:
    model = convolution()
    onnx.save(model, tmp_path / "whole.onnx")
    assert load_model(tmp_path / "whole.onnx") == model
    onnx.save(model, tmp_path / "parts.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    found = load_model(str(tmp_path / "parts.onnx"))
    np.testing.assert_array_equal(
        numpy_helper.to_array(found.graph.initializer[0]), numpy_helper.to_array(convolution().graph.initializer[0])
    )


@pytest.mark.parametrize("content", [None, b"abc"], ids=["gone", "cut off"])
def test_weights_that_are_not_beside_the_file_are_missed_by_their_name(tmp_path: Path, content: bytes | None) -> None:
    onnx.save(convolution(), tmp_path / "m.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    (tmp_path / "weights").unlink()
    if content is not None:
        (tmp_path / "weights").write_bytes(content)
    with pytest.raises(
        ModelError, match=r"m.onnx is no readable ONNX model: .*\bw\b.*Put the files with its weights beside it"
    ):
        load_model(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "content", [b"", b"\x00", b"hello, this is a text\n" * 40, bytes(range(256)) * 20, b"\x08\x0a"]
)
def test_a_file_that_is_no_model_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.onnx is no readable ONNX model: .*Export it again\.") as caught:
        load_model(tmp_path / "m.onnx")
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match=f"expected a serialised ONNX model, received {len(content)} bytes"):
        parse_model(content)


def test_a_model_cut_off_anywhere_is_refused_by_the_reader_or_the_runtime(
    tmp_path: Path, backend: OnnxRuntimeBackend
) -> None:
    content, survivors = convolution().SerializeToString(), []
    for cut in range(len(content)):
        (tmp_path / "m.onnx").write_bytes(content[:cut])
        try:
            survivors.append(load_model(tmp_path / "m.onnx"))
        except ModelError:
            continue
    assert len(survivors) < 3  # what is cut between two fields can be read, and lacks its opset
    for model in survivors:
        with pytest.raises(ModelError):
            backend.time(model.SerializeToString(), ONCE)


def test_folders_missing_files_and_files_too_large_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is a folder: expected an \.onnx file"):
        load_model(tmp_path)
    with pytest.raises(ModelError, match=r"there is no file .*nowhere\.onnx: expected an \.onnx file"):
        load_model(tmp_path / "nowhere.onnx")
    with (tmp_path / "large.onnx").open("wb") as stream:
        stream.truncate(2**31 + 1)  # takes no room on the disk
    with pytest.raises(ModelError, match=r"2147483649 bytes, .*: models over 2 GiB cannot be measured"):
        load_model(tmp_path / "large.onnx")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in its file system")
def test_what_is_no_regular_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelError, match=r"pipe is no regular file: expected an \.onnx file"):
        load_model(tmp_path / "pipe")


def test_weights_beside_the_file_that_are_too_large_are_not_even_read(tmp_path: Path) -> None:
    """FAKE: three gibibytes that take no room on the disk."""
    model = convolution()
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "weights"), ("length", str(3 * 2**30))):
        weights.external_data.add(key=key, value=value)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with (tmp_path / "weights").open("wb") as stream:
        stream.truncate(3 * 2**30)
    with pytest.raises(ModelError, match="weights beside it included: models over 2 GiB cannot be measured"):
        load_model(tmp_path / "m.onnx")


def test_a_kernel_that_twice_over_would_not_fit_into_a_model_stands_alone() -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    types = {name: TensorType(element="float", shape=shape) for name, shape in (("x", (1, 2**14)), ("y", (1, 2**14)))}
    found = [copies_for(node, types | {"w": TensorType(element="float", shape=(2**14, n))}) for n in (2**11, 2**14)]
    assert found == [2, 1]


# --- shapes


def shape_of(model: bytes, name: str) -> list[int]:
    (value,) = (value for value in onnx.ModelProto.FromString(model).graph.input if value.name == name)
    return [size.dim_value for size in value.type.tensor_type.shape.dim]


@given(batch=st.integers(1, 4096))
@settings(max_examples=20, deadline=None)
def test_an_open_first_axis_is_the_batch(batch: int) -> None:
    for first in ("n", ""):
        model = convolution((first, 8, 6, 6))
        before = model.SerializeToString()
        assert shape_of(prepared(model, batch=batch), "image") == [batch, 8, 6, 6]
        assert model.SerializeToString() == before


def test_a_prepared_model_runs_at_the_shape_it_was_given() -> None:
    model = onnx.shape_inference.infer_shapes(convolution(("n", 8, "h", "w")))
    for shape in ((1, 8, 5, 7), (3, 8, 1, 2)):
        ready = prepared(model, shapes={"image": shape}, batch=9)
        (found,) = outputs_of(ready, graph_feeds(onnx.load_from_string(ready)))
        assert found.shape == shape
    assert prepared(convolution()) == prepared(convolution(), shapes={"image": (1, 8, 6, 6)})


def test_weights_that_are_listed_as_inputs_need_no_shape() -> None:
    model = convolution()
    model.graph.input.extend(ends(("w", (8, 8, 3, 3))))
    ready = onnx.load_from_string(prepared(model, batch=1))
    assert set(graph_feeds(ready)) == {"image"}
    with pytest.raises(CampaignError, match="a shape is given for 'w', but the model's inputs are image"):
        prepared(model, shapes={"w": (8, 8, 3, 3)})


@pytest.mark.parametrize(
    ("shape", "shown"),
    [
        (("n", 8, "height", 6), "nx8xheightx6"),
        ((1, "", 6, 6), r"1x\?x6x6"),
        ((1, 8, 0, 6), "1x8x0x6"),
        ((1, 8, -1, 6), "1x8x-1x6"),
    ],
)
def test_an_open_size_without_a_value_is_refused_with_the_option_that_gives_it(shape: Shape, shown: str) -> None:
    message = f"input 'image' has shape {shown}: expected fixed sizes. Give them with `--shape image=1x3x224x224`"
    with pytest.raises(ModelError, match=message):
        prepared(convolution(shape))


@pytest.mark.parametrize("given_shape", [(1, 8, 6), (1, 8, 6, 6, 1), (1, 4, 6, 6), ()])
def test_a_shape_that_does_not_fit_is_refused_with_both(given_shape: tuple[int, ...]) -> None:
    shown = "x".join(map(str, given_shape))
    with pytest.raises(CampaignError, match=f"shape {shown} does not fit input 'image' of shape nx8xhxw"):
        prepared(convolution(("n", 8, "h", "w")), shapes={"image": given_shape})


def test_a_shape_for_an_input_that_is_not_there_names_those_that_are() -> None:
    model = model_of([helper.make_node("Add", ["a", "b"], ["y"])], ends(("a", ("n",)), ("b", ("n",))), ends(("y", ())))
    with pytest.raises(CampaignError, match="a shape is given for 'image', but the model's inputs are a, b"):
        prepared(model, shapes={"image": (1,)})


def without_a_shape() -> onnx.ModelProto:
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, None)]
    return model_of([helper.make_node("Relu", ["image"], ["y"])], inputs, ends(("y", (1, 4))))


def test_an_input_of_unknown_rank_is_refused_with_the_option_that_gives_its_shape() -> None:
    with pytest.raises(ModelError, match=r"input 'image' has shape unknown.*--shape image="):
        prepared(without_a_shape())


def test_an_input_of_unknown_rank_takes_any_shape() -> None:
    assert shape_of(prepared(without_a_shape(), shapes={"image": (1, 4)}), "image") == [1, 4]


def test_inputs_that_are_no_tensors_are_refused() -> None:
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1]))
    value = helper.make_value_info("things", kind)
    model = model_of([helper.make_node("ConcatFromSequence", ["things"], ["y"], axis=0)], [value], ends(("y", (1,))))
    with pytest.raises(ModelError, match="input 'things' is no tensor: models with sequences or maps"):
        prepared(model)


@given(names=st.lists(st.sampled_from(["", "n", "n_1", "n_2", "t0", "t1", "n_1_2"]), min_size=1, max_size=9))
@settings(max_examples=100, deadline=None)
def test_every_node_gets_a_name_of_its_own(names: list[str]) -> None:
    """A runtime's profile tells nodes apart by name alone."""
    tensors = [f"t{index}" for index in range(len(names) + 1)]
    nodes = [helper.make_node("Relu", [tensors[index]], [tensors[index + 1]], name) for index, name in enumerate(names)]
    model = model_of(nodes, ends((tensors[0], (1,))), ends((tensors[-1], (1,))))
    ready = [node.name for node in onnx.load_from_string(prepared(model)).graph.node]
    assert all(ready)
    assert len(set(ready)) == len(names)
    if len(set(names)) == len(names) and "" not in names:
        assert ready == names


# --- values for inputs


@pytest.mark.parametrize("element", ["float", "float16", "double", "bfloat16"])
def test_numbers_with_a_fraction_are_random_and_the_same_every_time(element: str) -> None:
    first, again = (random_feeds([("x", element, (64, 8))])["x"].astype(np.float64) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.isfinite(first).all()
    assert 0.7 < first.std() < 1.3


@pytest.mark.parametrize("element", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool"])
def test_whole_numbers_are_zero_which_every_table_has_as_an_index(element: str) -> None:
    value = random_feeds([("x", element, (2, 3))])["x"]
    assert (value.dtype.name, value.shape) == (element, (2, 3))
    assert not value.any()


def offset(value: NDArray[np.generic]) -> int:
    """Where in its page of memory an array begins."""
    return int(value.__array_interface__["data"][0]) % 4096


@pytest.mark.parametrize("element", ["float", "float16", "bfloat16", "int64", "bool"])
def test_inputs_lie_at_the_cache_line_that_the_seed_decides(element: str) -> None:
    """Wherever the allocator puts them: two buffers on the same lines of a cache slow a kernel down."""
    seen = []
    for seed in range(40):
        first, again = (random_feeds([("x", element, (3, 5))], seed=seed)["x"] for _ in range(2))
        assert offset(first) == offset(again)
        assert first.flags.c_contiguous
        np.testing.assert_array_equal(first, again)
        seen.append(offset(first))
    assert all(place % 64 == 0 for place in seen)
    assert len(set(seen)) > 15


def test_values_differ_by_seed_and_those_of_a_graph_are_the_same_as_those_of_its_inputs() -> None:
    model = onnx.load_from_string(prepared(convolution()))
    one, other = (graph_feeds(model, seed=seed)["image"] for seed in (1, 2))
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(one, random_feeds([("image", "float", (1, 8, 6, 6))], seed=1)["image"])


def test_a_scalar_has_a_value_too() -> None:
    assert random_feeds([("x", "float", ()), ("n", "int64", ())])["x"].shape == ()


@pytest.mark.parametrize(
    ("element", "shape"), [("float", ("n", 3)), ("float", (0, 3)), ("float", (None,)), ("int64", ("n",))]
)
def test_inputs_that_cannot_be_made_up_are_refused_by_their_name(element: str, shape: Sequence[object]) -> None:
    with pytest.raises(ModelError, match=f"input 'x' is {element}.*--shape x="):
        random_feeds([("x", element, shape)])


@pytest.mark.parametrize("element", ["string", "complex64", "seq(float)"])
def test_inputs_that_are_no_numbers_are_refused_by_their_name_and_no_shape_is_asked_for(element: str) -> None:
    with pytest.raises(ModelError, match=r"input 'x' is .*\[1\]: expected a tensor of numbers\.") as caught:
        random_feeds([("x", element, (1,))])
    assert "--shape" not in str(caught.value)


# --- one kernel


@pytest.fixture(scope="module")
def networks(tiny_family: NetworkFamily) -> list[Any]:
    """From one end of the tiny space to the other, and one in each further precision that runs here."""
    cells = network_family("nasbench201")
    references = tiny_family.references(8)
    chosen = [references[0], references[5], references[-1]]
    return [
        *chosen,
        converted(chosen[1], "int8"),
        converted(chosen[2], "fp16"),
        cells.workload(cells.space.sample(np.random.default_rng(3))),
    ]


@pytest.fixture(scope="module")
def isolated(networks: list[Any], backend: OnnxRuntimeBackend) -> dict[str, IsolatedKernel]:
    found: dict[str, IsolatedKernel] = {}
    for network in networks:
        inspection, alone = backend.isolate(network.model, network.parts)
        assert {use.key for use in inspection.uses} == set(alone), "a kernel that cannot run alone"
        found |= alone
    return found


def node_of(kernel: IsolatedKernel) -> onnx.NodeProto:
    (node,) = onnx.load_from_string(kernel.model).graph.node
    return node


def test_every_kernel_of_a_network_runs_alone(isolated: dict[str, IsolatedKernel], backend: OnnxRuntimeBackend) -> None:
    kinds = {node_of(kernel).op_type for kernel in isolated.values()}
    assert {"Conv", "QLinearConv", "Gemm", "QuantizeLinear", "Cast", "Mul"} <= kinds
    for kernel in isolated.values():
        timed = backend.time_kernel(kernel, ONCE)
        assert (timed.run_ms > 0).all()
        assert timed.provider == PROVIDER


def test_a_kernel_alone_is_the_kernel_of_its_key(
    isolated: dict[str, IsolatedKernel], backend: OnnxRuntimeBackend
) -> None:
    """What its model executes, by the names of its inputs and outputs, is what the key says."""
    for key, kernel in isolated.items():
        graph = onnx.load_from_string(kernel.model).graph
        node = node_of(kernel)
        domain = f"{node.domain}." if node.domain not in {"", "ai.onnx"} else ""
        assert key.startswith(f"{domain}{node.op_type}(")
        declared = {value.name: value.type.tensor_type for value in (*graph.input, *graph.output)}
        written = key.partition(")->")[2].partition("{")[0].split(",")
        for name, told in zip(node.output, written, strict=True):
            kind = declared[name]
            element = TensorProto.DataType.Name(kind.elem_type).lower()
            assert str(TensorType(element=element, shape=tuple(d.dim_value for d in kind.shape.dim))) == told


def with_every_output(model: bytes) -> tuple[bytes, list[str]]:
    """A model of side-by-side kernels that hands over what each of them writes."""
    proto = onnx.load_from_string(model)
    declared = [value.name for value in proto.graph.output]
    for node in proto.graph.node[1:]:
        for name in node.output:
            like = next(v for v in proto.graph.output if v.name == name.partition("#")[0])
            value = proto.graph.output.add()
            value.CopyFrom(like)
            value.name = name
    return proto.SerializeToString(), declared


@pytest.mark.parametrize("copies", [2, 5])
def test_kernels_side_by_side_put_out_what_the_kernel_puts_out_alone(
    isolated: dict[str, IsolatedKernel], copies: int
) -> None:
    for kernel in (one for one in isolated.values() if one.overwrites is None):
        feeds = graph_feeds(onnx.load_from_string(kernel.model))
        alone = outputs_of(kernel.model, feeds)
        model, declared = with_every_output(copied(kernel.model, copies))
        beside = outputs_of(model, feeds)
        assert len(beside) == copies * len(declared)
        for index, found in enumerate(beside):
            np.testing.assert_array_equal(found, alone[index % len(declared)])


def executed(model: bytes, folder: Path) -> Counter[str]:
    """Operators that ran in one run of a model that nothing was optimised in."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.enable_profiling = True
    options.profile_file_prefix = str(folder / "p")
    session = onnxruntime.InferenceSession(model, options, providers=[PROVIDER])
    session.run(None, graph_feeds(onnx.load_from_string(model)))
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return Counter(event["args"]["op_name"] for event in events if event.get("cat") == "Node")


def test_every_copy_is_executed_and_nothing_else(isolated: dict[str, IsolatedKernel], tmp_path: Path) -> None:
    """Nobody reads what the copies write, and a runtime may leave out what nobody reads."""
    for kernel in list(isolated.values())[::4]:
        assert executed(copied(kernel.model, 6), tmp_path) == {node_of(kernel).op_type: 6}


def test_copies_have_weights_of_their_own_and_read_the_same_input(isolated: dict[str, IsolatedKernel]) -> None:
    kernel = next(kernel for key, kernel in isolated.items() if "Conv(" in key and "QLinear" not in key)
    before, after = (onnx.load_from_string(one).graph for one in (kernel.model, copied(kernel.model, 4)))
    assert len(after.initializer) == 4 * len(before.initializer)
    assert len({held.name for held in after.initializer}) == len(after.initializer)
    assert {node.input[0] for node in after.node} == {before.input[0].name}
    assert len({node.name for node in after.node}) == len({node.output[0] for node in after.node}) == 4
    assert [value.name for value in after.output] == [value.name for value in before.output]
    assert copied(kernel.model, 1) == kernel.model


def test_a_kernel_that_overwrites_its_summand_gets_what_the_copy_before_it_wrote(
    isolated: dict[str, IsolatedKernel],
) -> None:
    """What comes from outside is never written over: it would be copied first, which costs more than adding to it."""
    found = {key: kernel for key, kernel in isolated.items() if kernel.overwrites is not None}
    assert found
    for key, kernel in found.items():
        assert f"overwrites={kernel.overwrites}" in key
        assert kernel.copies >= 8
        chain = copied(kernel.model, kernel.copies, overwrites=kernel.overwrites)
        alone, graph = (onnx.load_from_string(one).graph for one in (kernel.model, chain))
        summand = alone.node[0].input[kernel.overwrites]
        assert [list(node.input)[kernel.overwrites :] for node in graph.node] == [
            [],
            *([node.output[0]] for node in list(graph.node)[:-1]),
        ]
        assert [value.name for value in graph.input] == [value.name for value in alone.input if value.name != summand]
        assert [value.name for value in graph.output] == [graph.node[-1].output[0]]
        (last,) = outputs_of(chain, graph_feeds(onnx.load_from_string(chain)))
        assert np.isfinite(last).all()


def test_an_output_that_is_left_out_is_left_out_of_the_copies_too() -> None:
    """The indices of a pooling cost more than the pooling."""
    node = helper.make_node("MaxPool", ["x"], ["y", ""], "p", kernel_shape=[2, 2])
    values = ends(("x", (1, 1, 4, 4)), ("y", (1, 1, 3, 3)))
    model = model_of([node], values[:1], values[1:])
    copies = onnx.load_from_string(copied(model.SerializeToString(), 3)).graph.node
    assert [list(copy.output)[1:] for copy in copies] == [[""], [""], [""]]


def test_a_kernel_whose_types_are_unknown_has_no_model() -> None:
    model = convolution()
    node, kind = model.graph.node[0], TensorType(element="float", shape=(1, 8, 6, 6))
    assert kernel_model(node, model, {"image": kind, "c": kind}) is not None
    assert kernel_model(node, model, {"image": kind}) is None
    assert kernel_model(node, model, {"c": kind}) is None


def test_an_input_that_is_left_out_stays_left_out() -> None:
    model = model_of(
        [helper.make_node("Clip", ["x", "", "most"], ["y"], "p")],
        ends(("x", (1, 4))),
        ends(("y", (1, 4))),
        [numpy_helper.from_array(np.array(0.5, np.float32), "most")],
    )
    types = {name: TensorType(element="float", shape=(1, 4)) for name in ("x", "y")}
    alone = kernel_model(model.graph.node[0], model, types)
    assert alone is not None
    (found,) = outputs_of(copied(alone, 3), {"x": np.array([[-9, 0, 1, 2]], np.float32)})
    np.testing.assert_array_equal(found, [[-9, 0, 0.5, 0.5]])


# --- how many copies


def conv_node(width: int, channels: int, pixels: int) -> tuple[onnx.NodeProto, dict[str, TensorType]]:
    shapes = {"x": (1, channels, pixels, pixels), "w": (width, channels, 3, 3), "y": (1, width, pixels, pixels)}
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    return node, {name: TensorType(element="float", shape=shape) for name, shape in shapes.items()}


@given(width=st.integers(1, 2048), channels=st.integers(1, 2048), pixels=st.integers(1, 224))
@settings(max_examples=100, deadline=None)
def test_the_number_of_copies_falls_with_the_work_and_is_the_same_every_time(
    width: int, channels: int, pixels: int
) -> None:
    copies = copies_for(*conv_node(width, channels, pixels))
    assert copies in {16, 8, 4, 2}
    assert copies == copies_for(*conv_node(width, channels, pixels))
    for more in ((2 * width, channels, pixels), (width, 2 * channels, pixels), (width, channels, 2 * pixels)):
        assert copies_for(*conv_node(*more)) <= copies


def test_short_kernels_are_put_side_by_side_more_often_than_long_ones() -> None:
    assert copies_for(*conv_node(8, 8, 4)) == 16
    assert copies_for(*conv_node(512, 512, 56)) == 2


def test_equal_keys_have_equal_numbers_of_copies(networks: list[Any], backend: OnnxRuntimeBackend) -> None:
    seen: dict[str, set[int]] = {}
    for network in [*networks[:3], *networks[:3]]:
        for key, kernel in backend.isolate(network.model, network.parts)[1].items():
            seen.setdefault(key, set()).add(kernel.copies)
    assert all(len(copies) == 1 for copies in seen.values())
    assert len({number for copies in seen.values() for number in copies}) > 1


# --- one block


def chained(blocks: Mapping[str, bytes], parts: Sequence[str], feeds: dict[str, Any]) -> NDArray[np.generic]:
    """What the blocks put out one after another, each reading what those before it have written."""
    held, last = dict(feeds), next(iter(feeds.values()))
    for part in parts:
        model = onnx.load_from_string(blocks[part])
        names = [value.name for value in model.graph.output]
        found = outputs_of(blocks[part], {value.name: held[value.name] for value in model.graph.input})
        held |= dict(zip(names, found, strict=True))
        last = found[-1]
    return last


def test_the_blocks_of_a_network_one_after_another_are_the_network(networks: list[Any]) -> None:
    for network in networks:
        parts = list(network.parts)
        blocks = block_models(network.model, dict(zip(parts, parts, strict=True)))
        assert list(blocks) == parts
        feeds = graph_feeds(onnx.load_from_string(network.model))
        (whole,) = outputs_of(network.model, feeds)
        np.testing.assert_allclose(chained(blocks, parts, feeds), whole, rtol=1e-5, atol=1e-5)


def test_a_block_that_occurs_twice_is_cut_out_once(tiny_family: NetworkFamily) -> None:
    network = tiny_family.references(8)[-1]
    blocks = block_models(network.model, network.parts)
    assert set(blocks) == set(network.parts.values())
    for model in blocks.values():
        onnx.checker.check_model(model, full_check=True)


def test_a_block_at_another_batch_is_a_block_of_that_batch(tiny_family: NetworkFamily) -> None:
    network = tiny_family.at(batch=3, precision="fp32").references(8)[0]
    for key, model in block_models(network.model, network.parts).items():
        assert key.endswith("@b3")
        assert shape_of(model, onnx.load_from_string(model).graph.input[0].name)[0] == 3


def test_blocks_whose_shapes_cannot_be_inferred_are_refused() -> None:
    nodes = [
        helper.make_node("Mystery", ["image"], ["a/out"], "a/n", domain="nowhere"),
        helper.make_node("Relu", ["a/out"], ["b/out"], "b/n"),
    ]
    model = model_of(nodes, ends(("image", (1, 4))), ends(("b/out", (1, 4))))
    model.opset_import.append(helper.make_opsetid("nowhere", 1))
    with pytest.raises(ModelError, match="the shape of tensor 'a/out' cannot be inferred"):
        block_models(model.SerializeToString(), {"a": "first", "b": "second"})


def test_a_network_of_one_part_is_one_block_whatever_its_tensors_are_called() -> None:
    workload = OnnxWorkload("any", prepared(convolution()), {"model": "any"})
    (model,) = block_models(workload.model, workload.parts).values()
    feeds = graph_feeds(convolution())
    np.testing.assert_array_equal(outputs_of(model, feeds), outputs_of(workload.model, feeds))


# --- the models we bring along


@pytest.mark.parametrize("model", [floor_model(), sentinel_model(), sentinel_model(channels=8, pixels=5)])
def test_what_tells_the_price_of_a_call_and_the_speed_of_the_device_is_one_node_that_stays(
    model: bytes, backend: OnnxRuntimeBackend
) -> None:
    onnx.checker.check_model(model, full_check=True)
    (node,) = onnx.load_from_string(model).graph.node
    inspection, _ = backend.isolate(model, {"p": "p"})
    assert node.op_type in {use.op_type for use in inspection.uses}


@pytest.mark.alone
def test_the_floor_is_below_the_sentinel(backend: OnnxRuntimeBackend) -> None:
    plan = RunPlan(warmup_runs=5, runs=20)
    floor_ms, sentinel_ms = (backend.time(model, plan).run_ms.min() for model in (floor_model(), sentinel_model()))
    assert floor_ms < sentinel_ms
