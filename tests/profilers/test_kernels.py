"""Kernels as the runtime really executes them: what is fused, what they are called and whose they are."""

from __future__ import annotations

import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from hwnas.networks import Block, NetworkFamily
from hwnas.networks.graph import network_graph
from hwnas.networks.layers import Classifier, Conv, SqueezeExcite
from profilers import ModelError, OnnxRuntimeBackend, RunPlan
from profilers.backends import ProfiledRuns
from profilers.kernels import KEY_VERSION, KernelUse, NodeRun, TensorType, block_kernels, kernel_uses

PROVIDER = "CPUExecutionProvider"
CHANNELS = 16  # whole vectors, so that no layout change comes between the kernels looked at
Model = tuple[bytes, Mapping[str, str]]


@pytest.fixture(scope="module")
def backend() -> OnnxRuntimeBackend:
    return OnnxRuntimeBackend()


def plan(*, warmup: int = 0, runs: int = 1) -> RunPlan:
    return RunPlan(warmup_runs=warmup, runs=runs)


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


def profiled(backend: OnnxRuntimeBackend, model: Model) -> ProfiledRuns:
    return backend.profile(*model, plan())


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
    assert KEY_VERSION == 3, "a new version of keys needs this test to be looked at again"


def summing(*, before: bool, after: bool) -> onnx.ModelProto:
    """A convolution with a fused sum onto ``s``, which another node reads that has to run before it or need not."""
    conv = helper.make_node(
        "Conv", ["r" if before else "x", "w", "", "s"], ["y"], "conv", domain="com.microsoft.nchwc", kernel_shape=[1, 1]
    )
    nodes = [helper.make_node("Relu", ["x"], ["s"], "s")]
    nodes += [helper.make_node("Abs", ["s"], ["r"], "r")] if before else []
    nodes += [helper.make_node("Neg", ["s"], ["n"], "n")] if after else []
    nodes += [conv]
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 8, 4, 4]) for name in ("x", "y", "n")]
    weight = helper.make_tensor("w", onnx.TensorProto.FLOAT, [8, 8, 1, 1], [0.0] * 64)
    return helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1 : 2 + after], [weight]))


@pytest.mark.parametrize(
    ("before", "after", "overwrites"),
    [(False, False, True), (True, False, True), (False, True, False), (True, True, False)],
)
def test_a_sum_is_written_over_what_nobody_can_still_want(before: bool, after: bool, overwrites: bool) -> None:
    model = summing(before=before, after=after)
    feature_map = TensorType(element="float", shape=(1, 8, 4, 4))
    ran = {node.name: NodeRun(outputs=(feature_map,)) for node in model.graph.node}
    (conv,) = (use for use in kernel_uses(model, ran, {"": "all"}) if use.op_type == "Conv")
    assert conv.overwrites == (3 if overwrites else None)
    assert ("overwrites=3" in conv.key) is overwrites


@pytest.mark.parametrize("name", ["x", "y"])
def test_what_the_caller_holds_is_never_written_over(name: str) -> None:
    """An input of the network, and an output of it."""
    model = summing(before=False, after=False)
    for node in model.graph.node:
        node.input[:] = ["x" if name == "x" and one == "s" else one for one in node.input]
    if name == "y":
        model.graph.output.append(helper.make_tensor_value_info("s", onnx.TensorProto.FLOAT, [1, 8, 4, 4]))
    feature_map = TensorType(element="float", shape=(1, 8, 4, 4))
    ran = {node.name: NodeRun(outputs=(feature_map,)) for node in model.graph.node}
    (conv,) = (use for use in kernel_uses(model, ran, {"": "all"}) if use.op_type == "Conv")
    assert conv.overwrites is None


@dataclass(frozen=True)
class Kernel:
    """A node as the runtime reports it, free of names: what a key has to tell, and no more."""

    kind: str
    domain: str
    read: tuple[TensorType | None, ...]
    written: tuple[TensorType, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


def key_of(kernel: Kernel, *, names: Sequence[str] = "abcdefgh", weights: int | None = None) -> str:
    """The key of a kernel whose tensors have some names, and whose weights, if it has any, some values.

    Args:
        kernel: What it is.
        names: Of the tensors.
        weights: Seed of the second input as a weight; ``None`` where it has none.
    """
    graph_input, *others = names[: len(kernel.read)]
    outputs = names[len(kernel.read) : len(kernel.read) + len(kernel.written)]
    read = [name if kind else "" for name, kind in zip([graph_input, *others], kernel.read, strict=True)]
    node = onnx.NodeProto(op_type=kernel.kind, domain=kernel.domain, name=f"p/{names[-1]}", input=read, output=outputs)
    node.attribute.extend(helper.make_attribute(name, value) for name, value in kernel.attributes.items())
    values = [
        helper.make_tensor_value_info(name, CODES[kind.element], kind.shape)
        for name, kind in zip(read, kernel.read, strict=True)
        if kind is not None
    ]
    held = []
    if weights is not None and len(values) > 1:
        kind = kernel.read[1]
        assert kind is not None
        content = np.random.default_rng(weights).integers(0, 100, kind.shape).astype(np.float32)
        held = [numpy_helper.from_array(content, names[1])]
        values = [value for value in values if value.name != names[1]]
    graph = helper.make_graph([node], "g", values, [], held)
    (use,) = kernel_uses(helper.make_model(graph), {node.name: NodeRun(outputs=kernel.written)}, {"p": "block"})
    return use.key


CODES = {"float": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}
CODES |= {"int64": TensorProto.INT64, "bool": TensorProto.BOOL, "double": TensorProto.DOUBLE}
SILENT = {"auto_pad": "NOTSET", "channels_last": 0, "noop_with_empty_axes": 0, "allowzero": 0}  # says nothing

shapes = st.lists(st.integers(0, 2048), max_size=5).map(tuple)
types = st.builds(TensorType, element=st.sampled_from(sorted(CODES)), shape=shapes)
values = st.one_of(
    st.integers(-(2**40), 2**40),
    st.sampled_from(["Relu", "HardSigmoid", "reflect", "NCHW"]),
    st.integers(1, 999).map(lambda n: n / 8),
    st.lists(st.integers(0, 999_999), min_size=1, max_size=6),
    st.lists(st.integers(1, 999).map(lambda n: n / 8), min_size=1, max_size=4),
)
kernels = st.builds(
    Kernel,
    kind=st.sampled_from(["Conv", "FusedConv", "Gemm", "Add", "Clip"]),
    domain=st.sampled_from(["", "com.microsoft", "com.microsoft.nchwc"]),
    read=st.tuples(types, st.one_of(types, st.none()), types),
    written=st.lists(types, min_size=1, max_size=2).map(tuple),
    attributes=st.dictionaries(st.sampled_from(["strides", "pads", "group", "activation", "axis"]), values, max_size=4),
)


@given(kernel=kernels, order=st.randoms(use_true_random=False), silent=st.sets(st.sampled_from(sorted(SILENT))))
@settings(max_examples=200, deadline=None)
def test_a_key_knows_no_names_no_order_of_attributes_and_no_defaults(
    kernel: Kernel, order: Any, silent: set[str]
) -> None:
    written_out = list({**kernel.attributes, **{name: SILENT[name] for name in silent}}.items())
    order.shuffle(written_out)
    other = replace(kernel, attributes=dict(written_out), domain=kernel.domain or "ai.onnx")
    names = ["image", "p07/l2.weight", "x/y", "1", "out,put", "tensor(float)", "->", "node"]
    assert key_of(other, names=names) == key_of(kernel)


@given(kernel=kernels, seed=st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_a_key_does_not_know_the_values_of_weights(kernel: Kernel, seed: int) -> None:
    weighted = replace(kernel, read=(kernel.read[0], TensorType(element="float", shape=(4, 3)), kernel.read[2]))
    assert key_of(weighted, weights=seed) == key_of(weighted, weights=0) == key_of(weighted)


@given(kernel=kernels, other=kernels)
@example(
    kernel=Kernel("Conv", "", (TensorType(element="float", shape=(1, 23)),), (TensorType(element="float", shape=()),)),
    other=Kernel("Conv", "", (TensorType(element="float", shape=(12, 3)),), (TensorType(element="float", shape=()),)),
)
@settings(max_examples=300, deadline=None)
def test_what_is_not_the_same_work_has_not_the_same_key(kernel: Kernel, other: Kernel) -> None:
    """One thing is changed at a time: each of them alone must show."""
    changed = [
        replace(kernel, kind=other.kind),
        replace(kernel, domain=other.domain),
        replace(kernel, read=(other.read[0], *kernel.read[1:])),
        replace(kernel, read=(*kernel.read[:-1], None)),
        replace(kernel, read=(*kernel.read, other.read[0])),
        replace(kernel, written=other.written),
        replace(kernel, attributes=other.attributes),
    ]
    for one in changed:
        assert (key_of(one) == key_of(kernel)) == (_typed(one) == _typed(kernel))


def _typed(kernel: Kernel) -> Kernel:
    """A list of one as its member: of one attribute, ONNX knows either numbers or lists, so keys need not tell them."""
    plain = {name: v[0] if isinstance(v, list) and len(v) == 1 else v for name, v in kernel.attributes.items()}
    return replace(kernel, attributes=plain)


def test_the_layout_of_a_kernel_is_in_its_key() -> None:
    image = TensorType(element="float", shape=(1, 16, 4, 4))
    plain = Kernel("Conv", "", (image,), (image,))
    keys = {key_of(replace(plain, domain=domain)) for domain in ("", "com.microsoft.nchwc", "com.ms.internal.nhwc")}
    assert len(keys) == 3
    assert key_of(replace(plain, attributes={"channels_last": 1})) not in keys
    assert key_of(replace(plain, attributes={"channels_last": 0})) == key_of(plain)


def test_keys_are_as_they_are_documented() -> None:
    kernel = Kernel(
        "Conv",
        "com.microsoft.nchwc",
        (TensorType(element="float", shape=(1, 64, 28, 28)), None, TensorType(element="int64", shape=())),
        (TensorType(element="float", shape=(1, 64, 28, 28)), TensorType(element="bool", shape=(2,))),
        {"strides": [1, 2], "activation": "Relu", "alpha": 0.25, "scales": [0.5, 2.0], "group": 1},
    )
    assert key_of(kernel) == (
        "com.microsoft.nchwc.Conv(float[1x64x28x28],-,int64[])->float[1x64x28x28],bool[2]"
        "{activation=Relu,alpha=0.25,group=1,scales=0.5x2,strides=1x2}"
    )


def names_of_branches(seed: int) -> tuple[onnx.ModelProto, NodeRun]:
    """A choice between two branches whose tensors and weights differ by a seed, and nothing else."""
    made = {name: f"{name}{seed}" for name in ("then", "else", "weight")}
    ends = {kind: helper.make_tensor_value_info(made[kind], TensorProto.FLOAT, [1, 8]) for kind in ("then", "else")}
    content = np.random.default_rng(seed).standard_normal((1, 8)).astype(np.float32)
    scaled = helper.make_node("Mul", ["p/x", made["weight"]], [made["then"]])
    branches = {
        "then_branch": helper.make_graph(
            [scaled], made["then"], [], [ends["then"]], [numpy_helper.from_array(content, made["weight"])]
        ),
        "else_branch": helper.make_graph(
            [helper.make_node("Sigmoid", ["p/x"], [made["else"]])], made["else"], [], [ends["else"]]
        ),
    }
    node = helper.make_node("If", ["p/c"], ["p/y"], "p/if", **branches)
    inputs = [
        helper.make_tensor_value_info("p/c", TensorProto.BOOL, []),
        helper.make_tensor_value_info("p/x", TensorProto.FLOAT, [1, 8]),
    ]
    return helper.make_model(helper.make_graph([node], "g", inputs, [])), report((1, 8))


def test_the_key_of_a_choice_does_not_depend_on_names_or_weights_inside_its_branches() -> None:
    keys = set()
    for seed in (1, 2):
        model, ran = names_of_branches(seed)
        (use,) = kernel_uses(model, {"p/if": ran}, {"p": "block"})
        keys.add(use.key)
    (key,) = keys
    assert "\n" not in key


def test_the_key_of_a_choice_tells_the_shapes_inside_its_branches() -> None:
    """A product by way of 8 channels and by way of 8000 is the same operators, and not the same work."""
    keys = set()
    for width in (8, 8000):
        model, ran = names_of_branches(1)
        then = model.graph.node[0].attribute[0].g
        del then.node[:], then.initializer[:]
        then.node.append(helper.make_node("MatMul", ["p/x", "a"], ["t"]))
        then.node.append(helper.make_node("MatMul", ["t", "b"], [then.output[0].name]))
        for name, shape in (("a", (8, width)), ("b", (width, 8))):
            then.initializer.append(numpy_helper.from_array(np.ones(shape, np.float32), name))
        (use,) = kernel_uses(model, {"p/if": ran}, {"p": "block"})
        keys.add(use.key)
    assert len(keys) == 2


def test_the_key_of_a_constant_does_not_depend_on_its_values() -> None:
    number = TensorType(element="float", shape=(4,))
    made = {
        key_of(Kernel("ConstantOfShape", "", (number,), (number,), {"value": numpy_helper.from_array(value)}))
        for value in (np.zeros(1, np.float32), np.ones(1, np.float32))
    }
    assert len(made) == 1


def test_attributes_that_are_lists_of_texts_are_told() -> None:
    """The activations of recurrent layers."""
    number = TensorType(element="float", shape=(4,))
    one, other = (
        key_of(Kernel("LSTM", "", (number,), (number,), {"activations": ["Sigmoid", "Tanh", last]}))
        for last in ("Tanh", "Relu")
    )
    assert "activations=SigmoidxTanhxRelu" in other
    assert one != other


def test_large_numbers_in_lists_are_told_apart() -> None:
    number = TensorType(element="float", shape=(4,))
    keys = {
        key_of(Kernel("Split", "", (number,), (number,), {"split": [2_000_000, n]})) for n in (2_000_001, 2_000_002)
    }
    assert len(keys) == 2


def test_an_output_that_is_left_out_does_not_shift_the_types_of_the_others() -> None:
    """As the runtime writes a fused sum and normalisation: two of its four outputs have no name."""
    kinds = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("p/x", "p/y")]
    skip = helper.make_node("SkipLayerNormalization", ["p/x", "p/y"], ["p/z", "", "", "p/sum"], "p/skip")
    after = helper.make_node("Add", ["p/sum", ""], ["p/out"], "p/add")
    ran = {"p/skip": report((1, 4), (1, 5)), "p/add": report((1, 5))}
    model = helper.make_model(helper.make_graph([skip, after], "g", kinds, []))
    first, second = (use.key for use in kernel_uses(model, ran, {"p": "block"}))
    assert first == "SkipLayerNormalization(float[1x4],float[1x4])->float[1x4],float[1x5]"
    assert second == "Add(float[1x5],-)->float[1x5]"


def stripped(model: Model, *names: str) -> Model:
    """The network with nodes of no name, or all of one."""
    graph = onnx.ModelProto.FromString(model[0])
    for index, node in enumerate(graph.graph.node):
        node.name = names[index % len(names)] if names else ""
    return graph.SerializeToString(), model[1]


def test_nodes_without_names_and_with_the_same_ones_have_the_same_kernels(backend: OnnxRuntimeBackend) -> None:
    layers = conv(kernel=1), conv(groups=CHANNELS, kernel=5), SqueezeExcite(channels=CHANNELS, squeezed=8), conv()
    model = small_network(*layers, residual=True)
    renamings = model, stripped(model), stripped(model, "node"), stripped(model, "a", "", "a", "b")
    named, *others = (Counter(use.key for use in profiled(backend, one).uses) for one in renamings)
    assert sum(named.values()) > 12
    assert all(found == named for found in others)


@pytest.mark.parametrize("names", [(), ("node",), ("p00/conv", "p02/x")], ids=["none", "one", "misleading"])
def test_the_names_of_nodes_do_not_say_whose_kernels_they_are(
    backend: OnnxRuntimeBackend, names: tuple[str, ...]
) -> None:
    """Tensors tell the parts; exporters name nodes as they like."""
    model = small_network(conv(kernel=1), conv(activation="none"), conv(), residual=True)
    first, found = (block_kernels(profiled(backend, one).uses, model[1]) for one in (model, stripped(model, *names)))
    assert found == first


# --- whose kernels


def test_every_kernel_belongs_to_a_part_and_the_parts_add_up_to_the_graph(
    backend: OnnxRuntimeBackend, tiny_family: NetworkFamily
) -> None:
    for workload in tiny_family.workloads()[::13]:
        runs = backend.profile(workload.model, workload.parts, plan())
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
    runs = backend.profile(workload.model, workload.parts, plan(warmup=2, runs=5))
    assert runs.kernel_ms.shape == (len(runs.uses), 5)
    assert runs.run_ms.shape == runs.preempted.shape == (5,)
    assert (runs.kernel_ms >= 0).all()
    assert (runs.run_ms > 0).all()
    assert (runs.kernel_ms.sum(axis=0) <= runs.run_ms + 1e-3 * len(runs.uses)).all()  # reported in whole microseconds
    assert runs.provider == PROVIDER


def test_a_block_becomes_the_same_kernels_whichever_network_it_stands_in(
    backend: OnnxRuntimeBackend, tiny_family: NetworkFamily
) -> None:
    variants: dict[str, set[str]] = defaultdict(set)
    seen: Counter[str] = Counter()
    for workload in [*tiny_family.workloads(), *tiny_family.references()]:
        runs = backend.profile(workload.model, workload.parts, plan())
        for key, kernels in block_kernels(runs.uses, workload.parts):
            variants[key].add(json.dumps(kernels, sort_keys=True))
            seen[key] += 1
    assert sum(count > 1 for count in seen.values()) > 100
    assert {key: len(found) for key, found in variants.items() if len(found) > 1} == {}


def optimised(*nodes: onnx.NodeProto) -> onnx.ModelProto:
    """A made-up optimised graph from ``image`` to ``p01/out``."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 16, 4, 4]) for name in ("image", "p01/out")]
    return helper.make_model(helper.make_graph(list(nodes), "g", ends[:1], ends[1:]))


def report(*shapes: Sequence[int], element: str = "float") -> NodeRun:
    return NodeRun(outputs=tuple(TensorType(element=element, shape=tuple(shape)) for shape in shapes))


def test_nodes_that_the_optimiser_added_belong_where_their_names_point() -> None:
    nodes = [
        helper.make_node("ReorderInput", ["image"], ["reordered"], "ReorderInput"),
        helper.make_node("Conv", ["reordered"], ["p00/conv_nchwc"], "p00/conv_nchwc"),
        helper.make_node("ReorderOutput", ["p00/conv_nchwc"], ["plain"], "ReorderOutput"),
        helper.make_node("Copy", ["plain"], ["copied"], "Copy"),
        helper.make_node("ReorderInput", ["copied"], ["p01/in"], "ReorderInput_token_1"),
        helper.make_node("Relu", ["p01/in"], ["p01/out"], "renamed"),
        helper.make_node("Cast", ["p01/out"], ["cast"], "InsertedPrecisionFreeCast_p01/act"),
        helper.make_node("Add", ["cast"], ["sum"], "InsertedPrecisionFreeCast_FusedBack_p00/sum"),
        helper.make_node("Relu", ["p01/in"], ["unused"], "p01/never_ran"),
    ]
    ran = {node.name: report((1, 16, 4, 4)) for node in nodes[:-1]}
    uses = kernel_uses(optimised(*nodes), ran, {"p00": "first", "p01": "second"})
    assert [(use.node, use.part) for use in uses] == [
        ("ReorderInput", "p00"),
        ("p00/conv_nchwc", "p00"),
        ("ReorderOutput", "p00"),
        ("Copy", "p00"),
        ("ReorderInput_token_1", "p01"),
        ("renamed", "p01"),
        ("InsertedPrecisionFreeCast_p01/act", "p01"),
        ("InsertedPrecisionFreeCast_FusedBack_p00/sum", "p00"),
    ]


def test_a_weight_that_parts_share_says_nothing_of_whose_kernel_it_is() -> None:
    """The optimiser merges equal weights under the first of their names."""
    model = optimised(
        helper.make_node("Conv", ["image", "p00/weight"], ["a"], "p00/conv"),
        helper.make_node("Copy", ["a"], ["p01/copy"], "copy"),
        helper.make_node("Conv", ["p01/copy", "p00/weight"], ["b"], "unnamed"),
    )
    model.graph.initializer.append(numpy_helper.from_array(np.ones((16, 16, 1, 1), np.float32), "p00/weight"))
    ran = {node.name: report((1, 16, 4, 4)) for node in model.graph.node}
    uses = kernel_uses(model, ran, {"p00": "first", "p01": "second"})
    assert [use.part for use in uses] == ["p00", "p01", "p01"]


def test_parts_without_a_kernel_are_there_and_empty() -> None:
    uses = (KernelUse(node="a", key="k", part="p00"), KernelUse(node="b", key="k", part="p00"))
    parts = {"p00": "block", "p01": "nothing", "p02": "block"}
    assert block_kernels(uses, parts) == [("block", Counter(k=2)), ("nothing", Counter()), ("block", Counter())]


# --- models that cannot be measured


def relu_model(shape: list[int | str], element: int = TensorProto.FLOAT) -> bytes:
    ends = [helper.make_tensor_value_info(name, element, shape) for name in ("p/x", "p/y")]
    graph = helper.make_graph([helper.make_node("Relu", ["p/x"], ["p/y"], "p/relu")], "g", ends[:1], ends[1:])
    return serialised(graph)


def serialised(graph: onnx.GraphProto) -> bytes:
    opsets = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


def test_what_is_no_model_is_refused(backend: OnnxRuntimeBackend) -> None:
    for model in (b"", b"not a model"):
        with pytest.raises(ModelError, match=r"cannot load the model|has no nodes") as caught:
            backend.time(model, plan())
        assert caught.value.exit_code == 2
        for ask in (lambda: backend.profile(model, {"p": "block"}, plan()), lambda: backend.isolate(model, {"p": "b"})):  # noqa: B023
            with pytest.raises(ModelError, match=f"expected a serialised ONNX model, received {len(model)} bytes"):
                ask()


def test_a_model_with_an_open_shape_is_refused_with_the_cure(backend: OnnxRuntimeBackend) -> None:
    with pytest.raises(ModelError, match=r"'p/x' is float\[batchx3\].*with fixed sizes.*--shape p/x=1x3x224x224"):
        backend.time(relu_model(["batch", 3]), plan())


def test_a_model_of_other_numbers_is_measured(backend: OnnxRuntimeBackend) -> None:
    (use,) = backend.profile(relu_model([1, 3], TensorProto.DOUBLE), {"p": "block"}, plan()).uses
    assert use.key == "Relu(double[1x3])->double[1x3]"


def test_a_model_that_fails_while_it_runs_is_refused(backend: OnnxRuntimeBackend) -> None:
    shape = numpy_helper.from_array(np.array([7], dtype=np.int64), "p/shape")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [n]) for name, n in (("p/x", 6), ("p/y", 6))]
    nodes = [
        helper.make_node("NonZero", ["p/x"], ["p/where"], "p/nonzero"),
        helper.make_node("Cast", ["p/where"], ["p/floats"], "p/cast", to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["p/floats", "p/shape"], ["p/y"], "p/reshape"),
    ]
    with pytest.raises(ModelError, match="cannot run the model"):
        backend.time(serialised(helper.make_graph(nodes, "g", ends[:1], ends[1:], [shape])), plan())


@pytest.mark.parametrize(
    ("kind", "domain"), [("Frobnicate", ""), ("Frobnicate", "nowhere")], ids=["operator", "domain"]
)
def test_an_operator_that_the_runtime_lacks_is_named(backend: OnnxRuntimeBackend, kind: str, domain: str) -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(kind, ["x"], ["y"], domain=domain)], "g", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("nowhere", 1)])
    model.ir_version = 10
    with pytest.raises(ModelError, match=f"has no kernel for {kind} on {PROVIDER}, and nothing else is measured"):
        backend.time(model.SerializeToString(), plan())
