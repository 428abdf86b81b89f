"""Networks: one description, and the module, the graph and the counts that must agree on it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hwnas.core import Architecture, UsageError, Value
from hwnas.networks import SPACES, Block, NetworkFamily, flops_m, macs_m, network_family, params_m
from hwnas.networks.cells import Cell
from hwnas.networks.factorised import BlockTermMap, LowRankMap
from hwnas.networks.graph import network_graph
from hwnas.networks.layers import Conv, SqueezeExcite, through
from hwnas.networks.module import network_module
from hwnas.networks.sequences import FusedSteps, Project
from profilers import OnnxRuntimeBackend, RunPlan
from tests.networks.weights import load, runtime

SHAPES = [(1, 10), (3, 2), (3, 37)]
SMALL_MOBILENETS = [
    network_family(f"mobilenet:{preset}", channels=channels, classes=classes)
    for preset in ("small", "tiny")
    for channels, classes in SHAPES
]
GPUNETS = [network_family("gpunet:tiny", channels=1, classes=5), network_family("gpunet:small", channels=3)]
FAMILIES = [
    *SMALL_MOBILENETS,
    GPUNETS[0],
    network_family("recurrent:tiny", channels=4, classes=5),
    network_family("nasbench201", channels=1, classes=5),
    network_family("nasbench201"),
]
PLAN = RunPlan(warmup_runs=1, runs=1)


def named(family: NetworkFamily) -> str:
    return f"{family.space.name}, {family.shape}"


families = pytest.mark.parametrize("family", FAMILIES, ids=named)
convolutional = pytest.mark.parametrize("family", [*SMALL_MOBILENETS, *GPUNETS], ids=named)


def samples(family: NetworkFamily, n: int, *, seed: int = 0) -> list[Architecture]:
    """Random architectures, the smallest and the largest."""
    rng = np.random.default_rng(seed)
    choices = family.space.choices
    extremes = [family.space.architecture({c.name: c.options[i] for c in choices}) for i in (0, -1)]
    return [*extremes, *(family.space.sample(rng) for _ in range(n))]


def images(family: NetworkFamily, architecture: Architecture, batch: int, *, seed: int = 0) -> torch.Tensor:
    size = family.resolution(architecture)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, family.shape.channels, size, size, generator=generator)


# --- modules and counts


@families
def test_a_module_maps_images_to_logits(family: NetworkFamily) -> None:
    for architecture in samples(family, 2):
        module = family.module(architecture, seed=0).eval()
        with torch.no_grad():
            logits = module(images(family, architecture, 3))
        assert logits.shape == (3, family.shape.classes)
        assert torch.isfinite(logits).all()
        assert logits.std() > 0 or set(architecture.values()) == {"none"}


@families
def test_counted_parameters_are_those_of_the_module(family: NetworkFamily) -> None:
    for architecture in samples(family, 6):
        blocks, module = family.blocks(architecture), family.module(architecture, seed=0)
        assert [block.params for block in blocks] == [sum(p.numel() for p in part.parameters()) for part in module]
        assert params_m(blocks) == pytest.approx(sum(p.numel() for p in module.parameters()) / 1e6, rel=1e-12)


@families
def test_counted_operations_are_those_torch_counts_the_gates_and_the_dead_edges(family: NetworkFamily) -> None:
    for architecture in samples(family, 3):
        blocks, module = family.blocks(architecture), family.module(architecture, seed=0).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(images(family, architecture, 1))
        assert sum(block.macs for block in blocks) == counter.get_total_flops() // 2 + uncounted(blocks)
        assert macs_m(blocks) == sum(block.macs for block in blocks) / 1e6
        assert flops_m(blocks) == 2 * macs_m(blocks)


def uncounted(blocks: tuple[Block, ...]) -> int:
    """What torch's counter leaves out: a product a pixel and channel of every gate, and what is not computed at all.

    Nor does it count its own cells. It counts what a runtime does once, when it loads the network: cores of block terms
    go into their last factors.
    """
    total = 0
    for block in blocks:
        size = block.size
        for layer in block.layers:
            total += layer.channels * size**2 if isinstance(layer, SqueezeExcite) else 0
            if isinstance(layer, Project) and isinstance(mapped := layer.mapped, BlockTermMap):
                total -= mapped.blocks * mapped.core * mapped.in_modes[-1] * mapped.out_modes[-1]
            if isinstance(layer, FusedSteps):
                narrow = layer.mapped.in_features * layer.read if isinstance(layer.mapped, LowRankMap) else 0
                total += layer.macs(size) - layer.frames * narrow
            dead = set(range(len(layer.edges))) - set(layer.live) if isinstance(layer, Cell) else set()
            total += sum(through(layer.edges[i].layers, size)[0] for i in dead)
            size = layer.out_size(size)
    return total


@convolutional
def test_blocks_fit_together(family: NetworkFamily) -> None:
    for architecture in samples(family, 20):
        blocks = family.blocks(architecture)
        channels, size = family.shape.channels, int(architecture["resolution"])
        assert family.resolution(architecture) == size
        assert family.block_keys(architecture) == tuple(block.key for block in blocks)
        for block in blocks:
            first, last = block.layers[0], block.layers[-1]
            assert isinstance(first, Conv)
            assert (first.in_channels, block.size) == (channels, size)
            for layer in block.layers:
                size = layer.out_size(size)
            channels = last.out_channels if isinstance(last, Conv) else 0
            assert not block.residual or (first.in_channels, block.size) == (channels, size)


# --- blocks as keys


@families
def test_the_covering_architectures_contain_every_block_of_random_ones(family: NetworkFamily) -> None:
    covered = {key for architecture in family.design.covering() for key in family.block_keys(architecture)}
    for architecture in samples(family, 500):
        assert covered.issuperset(family.block_keys(architecture))


def test_nothing_is_covered_that_no_architecture_needs(tiny_family: NetworkFamily) -> None:
    covering = tiny_family.design.covering()
    covered = {key for architecture in covering for key in tiny_family.block_keys(architecture)}
    needed = {key for architecture in tiny_family.space.enumerate() for key in tiny_family.block_keys(architecture)}
    assert covered == needed
    assert len({architecture.id for architecture in covering}) == len(covering)


@pytest.mark.parametrize(
    "related",
    [
        [*SMALL_MOBILENETS, network_family("mobilenet:ofa"), network_family("mobilenet:ofa", classes=10)],
        [*GPUNETS, network_family("gpunet:paper")],
    ],
    ids=["mobilenet", "gpunet"],
)
def test_blocks_with_equal_keys_are_equal_across_shapes_and_presets(related: list[NetworkFamily]) -> None:
    seen: dict[str, Block] = {}
    for family in related:
        for architecture in samples(family, 60):
            for block in family.blocks(architecture):
                assert seen.setdefault(block.key, block) == block
    assert len(seen) > 300
    contents = Counter((block.layers, block.size, block.residual) for block in seen.values())
    assert max(contents.values()) == 1  # and different keys are different blocks


@pytest.mark.parametrize(
    ("space", "digest"), [("mobilenet:small", "6b36d174913b0896"), ("mobilenet:tiny", "0d300c84ce79a929")]
)
def test_ids_and_keys_stay_what_they_were_so_that_tables_and_runs_stay_valid(space: str, digest: str) -> None:
    family = network_family(space, channels=1, classes=10)
    found = [(a.id, family.block_keys(a)) for a in (*samples(family, 200), *family.design.covering())]
    assert hashlib.sha256(json.dumps(found).encode()).hexdigest()[:16] == digest


# --- batch and precision


@pytest.mark.parametrize("family", [SMALL_MOBILENETS[0], FAMILIES[-1]], ids=named)
def test_at_another_batch_the_graph_reads_and_writes_so_many_images(family: NetworkFamily) -> None:
    (architecture,) = samples(family, 1)[2:]
    at = family.at(batch=3, precision="fp32")
    session = runtime(at.workload(architecture).model)
    assert session.get_inputs()[0].shape[0] == 3
    image = images(family, architecture, 3).numpy()
    found = session.run(None, {session.get_inputs()[0].name: image})[0]
    single = runtime(family.workload(architecture).model)
    alone = [single.run(None, {single.get_inputs()[0].name: image[i : i + 1]})[0] for i in range(3)]
    np.testing.assert_allclose(found, np.concatenate(alone), rtol=1e-3, atol=1e-5)


def test_batch_and_precision_stand_in_every_name_and_key(tiny_family: NetworkFamily) -> None:
    architecture = samples(tiny_family, 0)[0]
    plain = tiny_family.workload(architecture)
    for batch, precision, suffix in (
        (1, "fp32", ""),
        (8, "fp32", "@b8"),
        (1, "int8", "@b1,int8"),
        (4, "fp16", "@b4,fp16"),
    ):
        at = tiny_family.at(batch=batch, precision=precision)
        workload = at.workload(architecture)
        assert workload.name == plain.name + suffix
        assert workload.parts == {prefix: key + suffix for prefix, key in plain.parts.items()}
        assert at.block_keys(architecture) == tuple(workload.parts.values())
        assert (workload.model == plain.model) == (batch == 1)
        assert all(found.name.endswith(suffix) for found in (*at.references(3), *at.workloads()[:3]))
        assert at.blocks(architecture) == tiny_family.blocks(architecture)
        assert at.at(batch=1, precision="fp32") == tiny_family


# --- weights


def test_the_weights_are_given_by_the_seed_alone(tiny_family: NetworkFamily) -> None:
    architecture = samples(tiny_family, 0)[-1]
    first = tiny_family.module(architecture, seed=3).state_dict()
    torch.rand(7)
    network_module(tiny_family.blocks(samples(tiny_family, 1)[-1]), seed=9)
    with torch.random.fork_rng():
        torch.manual_seed(12345)
        again = tiny_family.module(architecture, seed=3).state_dict()
    other = tiny_family.module(architecture, seed=4).state_dict()
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_making_a_module_leaves_the_random_state_of_the_process_alone(tiny_family: NetworkFamily) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    for architecture in samples(tiny_family, 3):
        tiny_family.module(architecture, seed=0)
        tiny_family.workload(architecture)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_a_fresh_module_has_every_value_set(tiny_family: NetworkFamily) -> None:
    for architecture in samples(tiny_family, 3):
        module = tiny_family.module(architecture, seed=0)
        for name, tensor in module.state_dict().items():
            assert tensor.device.type == "cpu", name
            assert torch.isfinite(tensor).all(), name
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                assert (part.running_mean, part.running_var, part.num_batches_tracked) != (None, None, None)
                assert part.running_mean.eq(0).all()
                assert part.running_var.eq(1).all()
                assert part.num_batches_tracked.item() == 0
            if isinstance(part, nn.Conv2d):
                fan_out = part.weight[0, 0].numel() * part.out_channels // part.groups
                assert part.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.5)


# --- graphs


@families
def test_the_graph_is_valid_and_runs(family: NetworkFamily) -> None:
    for architecture in samples(family, 2):
        workload = family.workload(architecture)
        onnx.checker.check_model(onnx.load_from_string(workload.model), full_check=True)
        session = runtime(workload.model)
        found = session.run(None, {session.get_inputs()[0].name: images(family, architecture, 1).numpy()})
        assert [output.shape for output in found] == [(1, family.shape.classes)]
        assert np.isfinite(found[0]).all()


@families
def test_every_tensor_of_the_graph_tells_its_block(family: NetworkFamily) -> None:
    for architecture in samples(family, 3):
        workload = family.workload(architecture)
        assert workload.name.startswith(architecture.id)
        assert tuple(workload.parts.values()) == family.block_keys(architecture)
        graph = onnx.load_from_string(workload.model).graph
        tensors = [name for node in graph.node for name in node.output] + [w.name for w in graph.initializer]
        assert {name.partition("/")[0] for name in tensors} == set(workload.parts)
        assert len(tensors) == len(set(tensors))


def test_the_graph_is_given_by_the_blocks_and_the_seed(tiny_family: NetworkFamily) -> None:
    architecture = samples(tiny_family, 1)[-1]
    blocks = tiny_family.blocks(architecture)
    assert tiny_family.workload(architecture) == tiny_family.workload(architecture)
    assert network_graph(blocks, in_channels=1) == network_graph(blocks, in_channels=1)
    assert network_graph(blocks, in_channels=1)[0] != network_graph(blocks, in_channels=1, seed=1)[0]


def test_a_network_without_a_classifier_has_no_graph(tiny_family: NetworkFamily) -> None:
    blocks = tiny_family.blocks(samples(tiny_family, 0)[0])
    with pytest.raises(TypeError, match="ends in a Classifier, received Conv"):
        network_graph(blocks[:-1], in_channels=1)


@families
def test_references_are_the_same_every_time_and_spread_over_the_sizes(family: NetworkFamily) -> None:
    references = family.references(6)
    assert [found.name for found in references] == [found.name for found in family.references(6)]
    assert len({found.name for found in references}) == 6
    assert len(family.references(1)) == 1
    sizes = [len(found.model) for found in references]
    assert max(sizes) > 2 * min(sizes)


def test_references_are_as_many_as_asked_for_where_many_networks_are_of_one_size() -> None:
    names = [found.name for found in network_family("nasbench201").references(20)]
    assert len(names) == len(set(names)) == 20


def one_of(family: NetworkFamily, *, activation: str, squeeze: bool, seed: int) -> Architecture:
    rng = np.random.default_rng(seed)
    values: dict[str, Value] = {c.name: c.options[rng.integers(len(c.options))] for c in family.space.choices}
    values |= {name: squeeze for name in values if name.endswith(".se")}
    values |= {name: 2 for name in values if name.endswith(".depth")}  # blocks with and without a residual, no more
    return family.space.architecture(values | {"activation": activation})


def randomised(module: nn.Sequential, family: NetworkFamily, architecture: Architecture) -> nn.Sequential:
    """The module with statistics and parameters as training leaves them: none at its initial value.

    Biases matter: the exporter drops those that are zero throughout, as they are in a fresh module.
    """
    generator = torch.Generator().manual_seed(1)
    module.train()
    with torch.no_grad():
        for seed in range(3):
            module(images(family, architecture, 8, seed=seed))
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.weight.normal_(1.0, 0.3, generator=generator)
            if getattr(part, "bias", None) is not None:
                part.bias.normal_(0.0, 0.3, generator=generator)
    return module.eval()


@pytest.mark.filterwarnings(r"ignore:.isinstance\(treespec, LeafSpec\). is deprecated:FutureWarning")  # inside torch
@pytest.mark.parametrize(
    ("space", "channels", "activation", "squeeze"),
    [
        ("mobilenet:tiny", 1, "relu", True),
        ("mobilenet:tiny", 3, "hswish", False),
        ("mobilenet:small", 3, "relu", False),
        ("mobilenet:small", 1, "hswish", True),
    ],
)
def test_what_is_profiled_is_what_torch_exports(space: str, channels: int, activation: str, squeeze: bool) -> None:
    family = network_family(space, channels=channels, classes=10)
    architecture = one_of(family, activation=activation, squeeze=squeeze, seed=channels)
    module = randomised(family.module(architecture, seed=0), family, architecture)
    image = images(family, architecture, 1)
    program = torch.onnx.export(module, (image,), dynamo=True, opset_version=18, verbose=False)
    assert program is not None
    exported, workload = program.model_proto.SerializeToString(), family.workload(architecture)
    backend = OnnxRuntimeBackend()
    profiled = Counter(use.key for use in backend.profile(workload.model, workload.parts, PLAN).uses)
    promised = Counter(use.key for use in backend.profile(exported, {"": "all"}, PLAN).uses)
    assert profiled == promised
    assert profiled.total() > 10


def test_the_graph_computes_what_the_module_computes(tiny_family: NetworkFamily) -> None:
    for activation, squeeze in (("relu", False), ("hswish", True)):
        architecture = one_of(tiny_family, activation=activation, squeeze=squeeze, seed=2)
        model = onnx.load_from_string(tiny_family.workload(architecture).model)
        module = tiny_family.module(architecture, seed=0).eval()
        image = images(tiny_family, architecture, 1)
        load(module, model, tiny_family.blocks(architecture))
        session = runtime(model.SerializeToString())
        found = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0]
        with torch.no_grad():
            expected = module(image).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


# --- names


def test_an_unknown_space_is_refused_with_the_known_ones() -> None:
    for name in ("resnet", "mobilenet:huge", "mobilenet:tiny:1", "", "MobileNet"):
        with pytest.raises(UsageError) as caught:
            network_family(name)
        for known in ("mobilenet", *SPACES):
            assert known in str(caught.value)
        assert repr(name) in str(caught.value)
    with pytest.raises(UsageError, match="Did you mean 'mobilenet:tiny'"):
        network_family("mobilenet:tinny")


def test_the_name_without_a_preset_is_the_small_one() -> None:
    assert network_family("mobilenet").space == network_family("mobilenet:small").space
    assert network_family("mobilenet").space.name == "mobilenet:small"


def test_references_reach_from_the_smallest_to_the_largest_network_of_the_space() -> None:
    family = network_family("mobilenet:tiny")
    sizes = {a.id: macs_m(family.blocks(a)) for a in family.space.enumerate()}
    found = [sizes[reference.name.partition("-")[0]] for reference in family.references()]
    assert min(found) <= 1.2 * min(sizes.values())
    assert max(found) >= max(sizes.values()) / 1.2
