"""Cells as bags of paths."""

from __future__ import annotations

import numpy as np

from hwnas.spaces import PathFeatures, from_string, nasbench201_space

SPACE = nasbench201_space()


def paths(text: str) -> dict[tuple[object, ...], int]:
    """Counts of the paths of a cell by their operations, shortened; those that are not there left out."""
    features = SPACE.features
    assert isinstance(features, PathFeatures)
    counts = features([from_string(text)])[0]
    short = {"nor_conv_1x1": "1x1", "nor_conv_3x3": "3x3", "avg_pool_3x3": "pool"}
    named = zip(features.names, counts[: len(features.names)].tolist(), strict=True)
    return {tuple(short[str(op)] for op in name): int(count) for name, count in named if count}


def test_every_way_through_the_cell_counts_with_what_stands_on_it() -> None:
    cell = "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    assert paths(cell) == {(): 1, ("3x3", "1x1"): 1, ("1x1", "3x3"): 1, ("3x3", "pool", "3x3"): 1}


def test_branches_with_equal_operations_add_up_and_skips_do_not_count_as_operations() -> None:
    cell = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_3x3~0|skip_connect~1|skip_connect~2|"
    assert paths(cell) == {("3x3",): 3}


def test_a_cell_whose_output_is_cut_off_has_no_paths() -> None:
    assert paths("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|none~0|none~1|none~2|") == {}


def test_what_leads_nowhere_makes_no_difference() -> None:
    dead = "|nor_conv_3x3~0|+|{}~0|none~1|+|none~0|skip_connect~1|none~2|"
    assert paths(dead.format("nor_conv_1x1")) == paths(dead.format("none")) == {("3x3",): 1}


def test_isomorphic_cells_have_equal_features() -> None:
    one = "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    other = "|nor_conv_1x1~0|+|nor_conv_3x3~0|none~1|+|none~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    assert paths(one) == paths(other)


def test_figures_sum_up_the_paths() -> None:
    features = SPACE.features
    assert isinstance(features, PathFeatures)
    cell = "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|nor_conv_3x3~2|"
    cut = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|none~0|none~1|none~2|"
    figures = features([from_string(cell), from_string(cut)])[:, len(features.names) :]
    # paths; 1x1, 3x3 and pool on all of them; at most on one; operations with weights on one, at most and at least
    assert figures.tolist() == [[4, 2, 4, 1, 1, 2, 1, 2, 0], [0, 0, 0, 0, 0, 0, 0, 0, 4]]


def test_the_shape_is_that_of_architectures_and_features_whatever_their_number() -> None:
    features = SPACE.features
    assert isinstance(features, PathFeatures)
    assert len(features.names) == 1 + 3 + 9 + 27
    width = len(features.names) + 9
    assert features([]).shape == (0, width)
    rng = np.random.default_rng(0)
    assert features([SPACE.sample(rng) for _ in range(3)]).shape == (3, width)
    assert sorted(column for group in features.groups for column in group) == list(range(width))


def test_features_make_a_space_no_other_space() -> None:
    assert nasbench201_space() == SPACE
    assert hash(nasbench201_space()) == hash(SPACE)
    assert "features" not in repr(SPACE)
