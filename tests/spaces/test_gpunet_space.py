"""The ``gpunet`` space: the paper's figures, stages that may be left out, one choice for a whole stage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwnas.core import UsageError
from hwnas.spaces import GPUNET_PRESETS, gpunet_space

OPERATIONS = 2 * 5 * 2 * 2  # kernels, expansions, activations, gates


def stages(*counts: tuple[int, int]) -> int:
    """Ways of residual stages, each with so many depths and filters."""
    return math.prod(depths * filters * OPERATIONS for depths, filters in counts)


def test_the_preset_of_the_paper_has_as_many_networks_as_its_table_allows() -> None:
    convolutions = (2 * 2 * 2) * (4 * 2 * 2 * 2)
    always = stages((8, 4), (8, 5), (10, 7), (15, 10))
    optional = (1 + stages((15, 8))) * (1 + stages((15, 10)))
    assert gpunet_space("paper").size == 10 * convolutions * always * optional


def test_what_a_stage_computes_is_chosen_once_and_exists_only_where_the_stage_does() -> None:
    rng = np.random.default_rng(0)
    for preset, design in GPUNET_PRESETS.items():
        space = gpunet_space(preset)
        for _ in range(50):
            one = space.sample(rng)
            for number, stage in enumerate(design.stages):
                own = [name for name in one if name.startswith(f"s{number}.") and not name.endswith(".depth")]
                there = one.get(f"s{number}.depth", 1) != 0
                assert len(own) == (len(design.choices_of(number)) if there else 0)
                assert there or stage.optional


def test_small_presets_have_no_more_than_a_quarter_of_the_filters_and_multiples_of_eight() -> None:
    largest = {name: max(stage.filters[-1] for stage in design.stages) for name, design in GPUNET_PRESETS.items()}
    assert largest["tiny"] < largest["small"] <= largest["paper"] / 4
    for design in GPUNET_PRESETS.values():
        assert all(filters % 8 == 0 for stage in design.stages for filters in stage.filters)


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown gpunet preset 'papr': .*paper, small, tiny.*Did you mean 'paper'"):
        gpunet_space("papr")
