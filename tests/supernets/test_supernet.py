"""Shared weights: a network in the supernet and the same network on its own are one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hwnas.core import Architecture, UsageError
from hwnas.networks import NetworkFamily, network_family
from hwnas.networks.layers import Conv
from hwnas.spaces import from_string
from hwnas.supernets import Supernet, fixed_part, recalibrate
from hwnas.supernets.slots import placed, slots
from hwnas.training import ImageData, prepared

EXAMPLES = {"mobilenet:tiny": 12, "mobilenet:small": 4, "gpunet:tiny": 4, "nasbench201": 3}
FAMILIES = {name: network_family(name, channels=1, classes=10) for name in EXAMPLES}
SUPERNETS: dict[str, Supernet] = {}


def supernet_of(name: str) -> Supernet:
    """One that has learned something, so that no weight is special; its maps of filters are far from the identity."""
    if name not in SUPERNETS:
        made = Supernet(FAMILIES[name], seed=0)
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in made.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        SUPERNETS[name] = made
    return SUPERNETS[name]


def end(family: NetworkFamily, position: int) -> Architecture:
    return family.space.architecture({choice.name: choice.options[position] for choice in family.space.choices})


def require_agreement(name: str, seed: int, data: ImageData) -> None:
    family, supernet = FAMILIES[name], supernet_of(name)
    architecture = family.space.sample(np.random.default_rng(seed))
    size = family.resolution(architecture)
    module = supernet.materialize(architecture)
    recalibrate(module, data, size=size, images=8)
    shown = prepared(data.validation.images[:4], data, size=size)
    with torch.no_grad():
        inside = supernet(shown, architecture, buffers=dict(module.named_buffers()))
        alone = module(shown)
        assert torch.isfinite(alone).all()
        assert torch.allclose(inside, alone, rtol=1e-5, atol=1e-5)
        module.train()
        assert torch.allclose(supernet(shown, architecture), module(shown), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_any_network_says_inside_the_supernet_what_it_says_on_its_own(name: str, few: ImageData) -> None:
    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=EXAMPLES[name], deadline=None)
    def law(seed: int) -> None:
        require_agreement(name, seed, few)

    law()


@pytest.mark.parametrize("name", [*EXAMPLES, "mobilenet:ofa"])
def test_every_layer_of_any_network_fits_into_its_slot(name: str) -> None:
    family = network_family(name, channels=3, classes=7)
    found, rng = slots(family), np.random.default_rng(0)
    used: set[str] = set()
    for _ in range(40):
        networks = list(placed(family, family.space.sample(rng)))
        assert len({one.slot for one in networks}) == len(networks)  # no two layers of a network share weights
        for one in networks:
            held = found[one.slot].layer
            assert type(held) is type(one.layer)
            assert held.params >= one.layer.params
            if isinstance(one.layer, Conv):
                assert one.layer.kernel in found[one.slot].kernels
        used |= {one.slot for one in networks}
    assert used == found.keys()


def test_a_small_network_has_the_first_channels_of_a_large_one_and_the_first_blocks_of_its_stages() -> None:
    family, supernet = FAMILIES["mobilenet:tiny"], supernet_of("mobilenet:tiny")
    large, small = (supernet.weights(end(family, position)) for position in (-1, 0))
    stem_large, stem_small = large["0.layers.0.0.weight"], small["0.layers.0.0.weight"]
    assert torch.equal(stem_small, stem_large[:8])
    assert torch.equal(small["1.layers.0.0.weight"], large["1.layers.0.0.weight"][:16, :8])  # first block of stage 1
    assert torch.equal(small["2.layers.0.0.weight"], large["3.layers.0.0.weight"][:16, :8])  # and of stage 2: 1 + 2
    linear = "linear.weight"
    assert torch.equal(small[f"3.layers.1.{linear}"], large[f"5.layers.1.{linear}"][:, :32])


def test_small_filters_are_the_middle_of_large_ones_put_through_a_learned_map_each() -> None:
    family, supernet = FAMILIES["mobilenet:small"], supernet_of("mobilenet:small")
    base = dict(end(family, 0))
    found = {
        kernel: supernet.weights(Architecture({**base, "s1.b1.kernel": kernel}))["1.layers.1.0.weight"][0, 0]
        for kernel in (3, 5, 7)
    }
    (slot,) = {one.slot for one in placed(family, Architecture(base)) if one.path == "1.layers.1"}
    five = (found[7][1:6, 1:6].flatten() @ supernet.maps[f"{slot}/5"]).reshape(5, 5)
    three = (five[1:4, 1:4].flatten() @ supernet.maps[f"{slot}/3"]).reshape(3, 3)
    assert torch.allclose(found[5], five, atol=1e-6)
    assert torch.allclose(found[3], three, atol=1e-6)


def test_at_first_small_filters_are_just_the_middle_of_large_ones() -> None:
    family = FAMILIES["mobilenet:tiny"]
    supernet, base = Supernet(family, seed=3), dict(end(family, 0))
    five, three = (
        supernet.weights(Architecture({**base, "s1.b1.kernel": kernel}))["1.layers.1.0.weight"] for kernel in (5, 3)
    )
    assert torch.equal(three, five[:, :, 1:4, 1:4])


def test_an_operation_of_an_edge_keeps_its_weights_whatever_the_rest_of_the_cell_makes_of_the_edge() -> None:
    """In the second cell node 1 is a copy of the input, and in the third the edge is dead."""
    family, supernet = FAMILIES["nasbench201"], supernet_of("nasbench201")
    found = []
    for text in (
        "|nor_conv_1x1~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|skip_connect~2|",
        "|skip_connect~0|+|none~0|nor_conv_3x3~1|+|avg_pool_3x3~0|none~1|skip_connect~2|",
        "|nor_conv_1x1~0|+|none~0|nor_conv_3x3~1|+|nor_conv_1x1~0|none~1|none~2|",
    ):
        architecture = from_string(text)
        weights = supernet.weights(architecture)
        paths = {one.slot: one.path for one in placed(family, architecture)}
        found.append(weights[f"{paths['0_1/1_2/conv3x3_0']}.0.weight"])
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])
    assert not torch.equal(found[0], weights[f"{paths['0_1/0_1/conv1x1_0']}.0.weight"])


def test_only_the_path_that_is_computed_learns() -> None:
    family = FAMILIES["nasbench201"]
    supernet = Supernet(family, seed=0)
    cell = from_string("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|avg_pool_3x3~2|")
    supernet(torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)), cell).sum().backward()
    moved = {name for name, one in supernet.named_parameters() if one.grad is not None and one.grad.abs().sum() > 0}
    inside = {name.split("/")[1] for name in moved if "/conv" in name and name.count("/") == 2}
    assert inside == {"0_1", "e0", "e1"}  # the edge, and both ways through the blocks between the stages


def test_how_colour_images_lie_in_memory_decides_nothing() -> None:
    family = network_family("mobilenet:tiny", channels=3, classes=10)
    supernet, largest = Supernet(family, seed=0), end(family, -1)
    shown = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    for images in (shown, shown.contiguous(memory_format=torch.channels_last)):
        logits = supernet(images, largest)
        assert torch.equal(logits, supernet(shown, largest))
    inside = [one for one in supernet.materialize(largest).parameters() if one.ndim == 4]
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in inside)  # as fast when it is judged


def test_the_seed_decides_the_first_weights(tiny: NetworkFamily) -> None:
    first, again, other = (
        torch.cat([one.detach().flatten() for one in Supernet(tiny, seed=seed).parameters()]) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_parts_of_a_space_have_weights_of_the_same_names_and_sizes(
    tiny: NetworkFamily, smallest: NetworkFamily
) -> None:
    whole, part = (Supernet(family, seed=0) for family in (tiny, smallest))
    assert {name: one.shape for name, one in whole.named_parameters()} == {
        name: one.shape for name, one in part.named_parameters()
    }


def test_statistics_are_the_plain_means_over_the_batches_and_everything_else_stays(few: ImageData) -> None:
    module = nn.Sequential(nn.BatchNorm2d(1))
    before = {name: one.clone() for name, one in module.named_parameters()}
    for _ in range(2):  # done again, it comes to the same
        recalibrate(module, few, size=8, images=40)
        shown = prepared(fixed_part(few, 40).images, few, size=8)
        assert module[0].running_mean == pytest.approx(shown.mean().item(), abs=1e-6)
        assert module[0].running_var == pytest.approx(shown.var().item(), rel=1e-4)
    assert not module.training
    assert module[0].momentum == 0.1
    assert all(torch.equal(one, before[name]) for name, one in module.named_parameters())


def test_the_fixed_part_is_always_the_same_and_no_more_than_there_is(few: ImageData) -> None:
    assert np.array_equal(fixed_part(few, 10).images, fixed_part(few, 30).images[:10])
    assert sorted(fixed_part(few, 999).labels) == sorted(few.train.labels)
    assert fixed_part(few, 10).labels.shape == (10,)


def test_recurrent_networks_share_no_weights_and_are_refused_with_the_cure() -> None:
    with pytest.raises(UsageError, match=r"weights cannot be shared by recurrent networks: .*--evaluator trained"):
        Supernet(network_family("recurrent:tiny"), seed=0)
