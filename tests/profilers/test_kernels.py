"""Kernels as the runtime really executes them: what is fused, what they are called and whose they are."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwnas.networks import Block, NetworkFamily
from hwnas.networks.graph import network_graph
from hwnas.networks.layers import Classifier, Conv, SqueezeExcite
from profilers import ModelError, OnnxRuntimeBackend
from profilers.backends import ProfiledRuns
from profilers.kernels import KEY_VERSION, TensorType, block_kernels, kernel_uses

PROVIDER = "CPUExecutionProvider"
CHANNELS = 16  # whole vectors, so that no layout change comes between the kernels looked at
Model = tuple[bytes, Mapping[str, str]]


@pytest.fixture(scope="module")
def backend() -> OnnxRuntimeBackend:
    return OnnxRuntimeBackend("cpu")


def conv(**changes: int | str) -> Conv:
    values: dict[str, int | str] = {
        "in_channels": CHANNELS,
        "out_channels": CHANNELS,
        "kernel": 3,
        "activation": "relu",
    }
    return Conv(**{**values, **changes})  # type: ignore[arg-type]


def small_network(*layers: Conv | SqueezeExcite, residual: bool = False, size: int = 8) -> Model:
    """One block between a convolution and a classifier."""
    first = Block(key="first", layers=(conv(),), size=size)
    block = Block(key="block", layers=layers, size=size, residual=residual)
    for layer in layers:
        size = layer.out_size(size)
    channels = next(layer.out_channels for layer in reversed(layers) if isinstance(layer, Conv))
    last = Block(key="last", layers=(Classifier(in_features=channels, classes=5),), size=size)
    return network_graph([first, block, last], in_channels=CHANNELS)


def profiled(backend: OnnxRuntimeBackend, model: Model, *, runs: int = 2) -> ProfiledRuns:
    return backend.profile(*model, warmup=1, runs=runs)


def kernels_of(backend: OnnxRuntimeBackend, model: Model, block: str = "block") -> Counter[str]:
    return dict(block_kernels(profiled(backend, model).uses, model[1]))[block]


def operator(key: str) -> str:
    """The operator of a kernel, without its domain."""
    return key.partition("(")[0].rpartition(".")[2]


def convolutions(kernels: Counter[str]) -> list[str]:
    return [key for key in kernels if operator(key) in {"Conv", "FusedConv"}]


def nodes_of_optimised_graph(model: bytes) -> list[str]:
    """The nodes of the graph that the runtime executes, found without the code under test."""
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(Path(folder, "optimised.onnx"))
        options.log_severity_level = 4
        onnxruntime.InferenceSession(model, options, providers=[PROVIDER])
        return [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]


def renamed(model: Model) -> Model:
    """The same network with other names for every tensor, node and part."""
    graph = onnx.ModelProto.FromString(model[0])
    tensors: dict[str, str] = {}

    def other(name: str) -> str:
        prefix, slash, _ = name.partition("/")
        return tensors.setdefault(name, f"q{prefix}/{len(tensors) * 7 % 1000}" if slash else f"my_{name}")

    for node in graph.graph.node:
        node.input[:] = [other(name) for name in node.input]
        node.output[:] = [other(name) for name in node.output]
        node.name = other(node.name)
    for value in (*graph.graph.initializer, *graph.graph.input, *graph.graph.output):
        value.name = other(value.name)
    return graph.SerializeToString(), {f"q{prefix}": key for prefix, key in model[1].items()}


# --- fusion


@pytest.mark.parametrize("activation", ["relu", "hswish"])
def test_a_convolution_and_its_activation_are_one_kernel(backend: OnnxRuntimeBackend, activation: str) -> None:
    kernels = kernels_of(backend, small_network(conv(activation=activation)))
    assert not {"Relu", "HardSwish", "HardSigmoid", "Mul"} & {operator(key) for key in kernels}
    (fused,) = convolutions(kernels)
    assert "activation=" in fused


def test_a_residual_sum_is_part_of_the_convolution_before_it(backend: OnnxRuntimeBackend) -> None:
    layers = conv(kernel=1), conv(activation="none")
    plain = kernels_of(backend, small_network(*layers))
    residual = kernels_of(backend, small_network(*layers, residual=True))
    assert "Add" not in {operator(key) for key in residual}
    assert sum(residual.values()) == sum(plain.values())
    (with_sum,) = set(convolutions(residual)) - set(plain)
    assert with_sum.partition(")->")[0].count("float") == 4  # image, weights, bias, and what is added


# --- keys


def test_keys_do_not_depend_on_names(backend: OnnxRuntimeBackend) -> None:
    layers = conv(kernel=1), conv(groups=CHANNELS, kernel=5), SqueezeExcite(channels=CHANNELS, squeezed=8), conv()
    model = small_network(*layers, residual=True)
    other = renamed(model)
    assert model[0] != other[0]
    found, again = (block_kernels(profiled(backend, each).uses, each[1]) for each in (model, other))
    assert found == again
    assert not re.search(r"p0\d|l\d", " ".join(key for _, kernels in found for key in kernels))


def test_keys_do_not_depend_on_weights_or_run(backend: OnnxRuntimeBackend) -> None:
    blocks = [
        Block(key="first", layers=(conv(),), size=8),
        Block(key="last", layers=(Classifier(in_features=CHANNELS, classes=5),), size=8),
    ]
    keys = [
        [use.key for use in profiled(backend, network_graph(blocks, in_channels=CHANNELS, seed=seed)).uses]
        for seed in (0, 0, 1)
    ]
    assert keys[0] == keys[1] == keys[2]


@pytest.mark.parametrize(
    ("changed", "size"),
    [
        (conv(kernel=5), 8),
        (conv(stride=2), 8),
        (conv(activation="hswish"), 8),
        (conv(activation="none"), 8),
        (conv(out_channels=2 * CHANNELS), 8),
        (conv(groups=CHANNELS), 8),
        (conv(), 12),
    ],
    ids=["kernel", "stride", "activation", "no activation", "channels", "groups", "pixels"],
)
def test_convolutions_that_differ_have_different_keys(backend: OnnxRuntimeBackend, changed: Conv, size: int) -> None:
    one, other = (
        convolutions(kernels_of(backend, model)) for model in (small_network(conv()), small_network(changed, size=size))
    )
    assert len(one) == len(other) == 1
    assert one != other


def test_a_key_tells_operator_types_shapes_and_attributes(backend: OnnxRuntimeBackend) -> None:
    (key,) = convolutions(kernels_of(backend, small_network(conv(kernel=5, stride=2))))
    read, _, written = key.partition(")->")
    assert read.partition("(")[2] == "float[1x16x8x8],float[16x16x5x5],float[16]"
    assert written.startswith("float[1x16x4x4]{")
    assert {"activation=Relu", "kernel_shape=5x5", "strides=2x2", "pads=2x2x2x2"} <= set(
        written.partition("{")[2].rstrip("}").split(",")
    )
    assert KEY_VERSION == 1, "a new version of keys needs this test to be looked at again"


# --- whose kernels


def test_every_kernel_belongs_to_a_part_and_the_parts_add_up_to_the_graph(
    backend: OnnxRuntimeBackend, tiny_family: NetworkFamily
) -> None:
    for workload in tiny_family.workloads()[::13]:
        runs = backend.profile(workload.model, workload.parts, warmup=1, runs=3)
        blocks = block_kernels(runs.uses, workload.parts)
        assert [key for key, _ in blocks] == list(workload.parts.values())
        assert {use.part for use in runs.uses} == set(workload.parts)
        assert all(sum(kernels.values()) > 0 for _, kernels in blocks)
        total = sum((kernels for _, kernels in blocks), Counter[str]())
        executed = Counter(nodes_of_optimised_graph(workload.model))
        assert sum(total.values()) == len({use.node for use in runs.uses}) == sum(executed.values())
        assert Counter(operator(key) for key in total.elements()) == executed


def test_every_kernel_has_a_time_for_every_counted_run(backend: OnnxRuntimeBackend, tiny_family: NetworkFamily) -> None:
    workload = tiny_family.workloads()[0]
    runs = backend.profile(workload.model, workload.parts, warmup=2, runs=5)
    assert runs.kernel_ms.shape == (len(runs.uses), 5)
    assert runs.run_ms.shape == runs.preempted.shape == (5,)
    assert (runs.kernel_ms >= 0).all()
    assert (runs.run_ms > 0).all()
    assert (runs.kernel_ms.sum(axis=0) <= runs.run_ms).all()
    assert runs.provider == PROVIDER


def test_a_block_becomes_the_same_kernels_whichever_network_it_stands_in(
    backend: OnnxRuntimeBackend, tiny_family: NetworkFamily
) -> None:
    variants: dict[str, set[str]] = defaultdict(set)
    seen: Counter[str] = Counter()
    for workload in [*tiny_family.workloads(), *tiny_family.references()]:
        runs = backend.profile(workload.model, workload.parts, warmup=0, runs=1)
        for key, kernels in block_kernels(runs.uses, workload.parts):
            variants[key].add(json.dumps(kernels, sort_keys=True))
            seen[key] += 1
    assert sum(count > 1 for count in seen.values()) > 100
    assert {key: len(found) for key, found in variants.items() if len(found) > 1} == {}


def optimised(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    """A made-up optimised graph from ``image`` to ``p01/out``."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 16, 4, 4]) for name in ("image", "p01/out")]
    return helper.make_model(helper.make_graph(list(nodes), "g", ends[:1], ends[1:]))


def test_nodes_that_the_optimiser_added_belong_where_their_names_point() -> None:
    nodes = [
        helper.make_node("ReorderInput", ["image"], ["reordered"], "ReorderInput"),
        helper.make_node("Conv", ["reordered"], ["p00/conv_nchwc"], "p00/conv_nchwc"),
        helper.make_node("ReorderOutput", ["p00/conv_nchwc"], ["plain"], "ReorderOutput"),
        helper.make_node("Copy", ["plain"], ["copied"], "Copy"),
        helper.make_node("ReorderInput", ["copied"], ["p01/in"], "ReorderInput_token_1"),
        helper.make_node("Relu", ["p01/in"], ["p01/out"], "renamed"),
        helper.make_node("Relu", ["p01/in"], ["unused"], "p01/never_ran"),
    ]
    ran = {node.name: [TensorType(element="float", shape=(1, 16, 4, 4))] for node in nodes[:-1]}
    uses = kernel_uses(optimised(*nodes), ran, {"p00": "first", "p01": "second"})
    assert [(use.node, use.part) for use in uses] == [
        ("ReorderInput", "p00"),
        ("p00/conv_nchwc", "p00"),
        ("ReorderOutput", "p00"),
        ("Copy", "p00"),
        ("ReorderInput_token_1", "p01"),
        ("renamed", "p01"),
    ]


def test_keys_know_neither_the_order_of_attributes_nor_defaults_that_are_written_out() -> None:
    found = []
    for attributes in (
        {"strides": [2, 2], "group": 1, "activation": "Relu"},
        {"activation": "Relu", "group": 1, "strides": [2, 2]},
        {"group": 1, "activation": "Relu", "strides": [2, 2], "auto_pad": "NOTSET"},
        {"group": 1, "activation": "Relu", "strides": [2, 1]},
    ):
        node = onnx.NodeProto(op_type="Conv", name="p01/conv", input=["image"], output=["p01/out"])
        node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
        ran = {"p01/conv": [TensorType(element="float", shape=(1, 16, 2, 2))]}
        (use,) = kernel_uses(optimised(node), ran, {"p01": "block"})
        found.append(use.key)
    assert found[0] == "Conv(float[1x16x4x4])->float[1x16x2x2]{activation=Relu,group=1,strides=2x2}"
    assert found[0] == found[1] == found[2] != found[3]


# --- models that cannot be measured


def relu_model(shape: list[int | str], element: int = TensorProto.FLOAT) -> bytes:
    ends = [helper.make_tensor_value_info(name, element, shape) for name in ("p/x", "p/y")]
    graph = helper.make_graph([helper.make_node("Relu", ["p/x"], ["p/y"], "p/relu")], "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


def test_what_is_no_model_is_refused(backend: OnnxRuntimeBackend) -> None:
    for model in (b"", b"not a model"):
        with pytest.raises(ModelError, match="cannot load the model") as caught:
            backend.time(model, warmup=0, runs=1)
        assert caught.value.exit_code == 2
        with pytest.raises(ModelError, match="cannot load the model"):
            backend.profile(model, {"p": "block"}, warmup=0, runs=1)


@pytest.mark.parametrize(
    "model",
    [relu_model(["batch", 3]), relu_model([1, 3], TensorProto.DOUBLE)],
    ids=["open batch", "double precision"],
)
def test_a_model_with_an_open_shape_or_other_numbers_is_refused_with_the_cure(
    backend: OnnxRuntimeBackend, model: bytes
) -> None:
    with pytest.raises(ModelError, match=r"'p/x'.*expected tensor\(float\) with fixed sizes.*static batch of 1"):
        backend.time(model, warmup=0, runs=1)


def test_a_model_that_fails_while_it_runs_is_refused(backend: OnnxRuntimeBackend) -> None:
    shape = numpy_helper.from_array(np.array([7], dtype=np.int64), "p/shape")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [n]) for name, n in (("p/x", 6), ("p/y", 6))]
    nodes = [
        helper.make_node("NonZero", ["p/x"], ["p/where"], "p/nonzero"),
        helper.make_node("Cast", ["p/where"], ["p/floats"], "p/cast", to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["p/floats", "p/shape"], ["p/y"], "p/reshape"),
    ]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], [shape])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    with pytest.raises(ModelError, match="cannot run the model"):
        backend.time(model.SerializeToString(), warmup=0, runs=1)
