"""Costs by definition: those of the blocks, of the graph that is deployed, and of an execution step by step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from hwnas.core import Architecture
from hwnas.networks import NetworkCosts, NetworkFamily, flops_m, macs_m, network_family, params_m
from hwnas.spaces import ArchitectureCodes, from_string

SPACES = ("mobilenet:tiny", "mobilenet:small", "mobilenet:ofa", "gpunet:tiny", "gpunet:small", "nasbench201")
MIB = 2**20


def drawn(family: NetworkFamily, n: int) -> list[Architecture]:
    codes = ArchitectureCodes(family.space)
    return codes.decode(codes.sample(np.random.default_rng(5), n))


def values(family: NetworkFamily, architectures: Sequence[Architecture]) -> dict[str, np.ndarray]:
    return NetworkCosts(family).values(ArchitectureCodes(family.space).encode(architectures))


@pytest.mark.parametrize("space", SPACES)
def test_shares_join_to_the_blocks_and_their_counts(space: str) -> None:
    family = network_family(space)
    architectures = drawn(family, 50)
    found = values(family, architectures)
    for i, architecture in enumerate(architectures):
        blocks = family.blocks(architecture)
        assert found["macs_m"][i] == pytest.approx(macs_m(blocks), rel=1e-12)
        assert found["flops_m"][i] == pytest.approx(flops_m(blocks), rel=1e-12)
        assert found["params_m"][i] == pytest.approx(params_m(blocks), rel=1e-12)
        shared = tuple(key for share in family.key_shares for key in share.in_(architecture))
        assert shared == family.block_keys(architecture)


@pytest.mark.parametrize("space", SPACES)
def test_weights_are_those_of_the_graph_that_is_deployed(space: str) -> None:
    """The graph has its normalisations folded, but for those that no convolution stands before."""
    family = network_family(space)
    for architecture in drawn(family, 4):
        graph = onnx.load_from_string(family.workload(architecture).model).graph
        held = sum(
            numpy_helper.to_array(weight).nbytes
            for weight in graph.initializer
            if weight.data_type == onnx.TensorProto.FLOAT and weight.dims
        )
        statistics = sum(2 * 4 * w.dims[0] for w in graph.initializer if w.name.endswith(".variance"))
        found = values(family, [architecture])["weights_mib"][0]
        assert found * MIB == held - statistics


def test_activations_are_what_an_execution_step_by_step_keeps() -> None:
    family = network_family("mobilenet:tiny", channels=1, classes=10)
    blocks = family.blocks(drawn(family, 1)[0])
    assert len(blocks) > 2
    for architecture in drawn(family, 20):
        found = values(family, [architecture])["activations_mib"][0] * MIB / 4
        size = int(architecture["resolution"])
        stem = family.blocks(architecture)[0].layers[0]
        assert found >= size**2 + stem.out_channels * (size // 2) ** 2  # what the stem reads and writes
    one = family.at(batch=1, precision="fp32")
    for batch, precision, factor in ((8, "fp32", 8.0), (1, "fp16", 0.5), (4, "int8", 1.0)):
        other = family.at(batch=batch, precision=precision)
        for architecture in drawn(family, 3):
            first, second = (values(kind, [architecture])["activations_mib"][0] for kind in (one, other))
            assert second == pytest.approx(factor * first)


def test_a_cell_keeps_its_input_until_the_last_edge_that_reads_it() -> None:
    """16 channels at 32 pixels, the stem's 3 beside them; a copy is free, a pool or convolution needs a place."""
    family, image = network_family("nasbench201"), 16 * 32 * 32
    alone = "|none~0|+|none~0|none~1|+|{}~0|none~1|none~2|"
    found = {
        op: values(family, [from_string(alone.format(op))])["activations_mib"][0] * MIB / 4
        for op in ("skip_connect", "avg_pool_3x3", "nor_conv_3x3")
    }
    reduction = 2 * image  # input of the first reduction and the half as large result of its first convolution, twice
    assert found["skip_connect"] == max(3 * 32 * 32 + image, reduction)
    assert found["avg_pool_3x3"] == found["nor_conv_3x3"] == 2 * image
    dense = from_string(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    )
    assert values(family, [dense])["activations_mib"][0] * MIB / 4 > 3 * image


def test_memory_is_the_sum_of_weights_and_activations_and_integers_take_a_quarter() -> None:
    family = network_family("mobilenet:small")
    architectures = drawn(family, 10)
    whole, small = values(family, architectures), values(family.at(batch=1, precision="int8"), architectures)
    np.testing.assert_allclose(whole["memory_mib"], whole["weights_mib"] + whole["activations_mib"])
    np.testing.assert_allclose(small["activations_mib"], whole["activations_mib"] / 4)
    assert (small["weights_mib"] > whole["weights_mib"] / 4).all()  # biases stay in 32 bits
    assert (small["weights_mib"] < whole["weights_mib"] / 3).all()
