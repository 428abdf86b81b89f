"""The precision as one more choice: it tells networks apart, and changes nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.core import Architecture, UsageError
from hwnas.spaces import (
    PRECISION,
    ArchitectureCodes,
    SearchSpace,
    mobilenet_space,
    nasbench201_space,
    precision_of,
    with_precision,
    without_precision,
)

SPACES = [mobilenet_space("tiny"), mobilenet_space("ofa"), nasbench201_space()]
PRECISIONS = ("fp32", "int8")


@pytest.fixture(params=SPACES, ids=lambda space: space.name)
def plain(request: pytest.FixtureRequest) -> SearchSpace:
    space: SearchSpace = request.param
    return space


def drawn(space: SearchSpace, n: int = 40) -> list[Architecture]:
    rng = np.random.default_rng(0)
    return [space.sample(rng) for _ in range(n)]


def test_each_network_is_there_once_in_every_precision(plain: SearchSpace) -> None:
    mixed = with_precision(plain, PRECISIONS)
    assert mixed.size == 2 * plain.size
    assert mixed.name == plain.name
    for one in drawn(mixed):
        network = without_precision(one)
        assert plain.architecture(network) == network
        twins = [mixed.architecture({**network, PRECISION: name}) for name in PRECISIONS]
        assert one in twins
        assert len({twin.id for twin in twins}) == 2
        assert [precision_of(twin) for twin in twins] == list(PRECISIONS)


def test_codes_without_their_last_column_are_those_of_the_plain_space(plain: SearchSpace) -> None:
    held = drawn(with_precision(plain, PRECISIONS))
    codes = ArchitectureCodes(with_precision(plain, PRECISIONS)).encode(held)
    assert (codes[:, :-1] == ArchitectureCodes(plain).encode([without_precision(one) for one in held])).all()
    assert [PRECISIONS[code] for code in codes[:, -1]] == [precision_of(one) for one in held]


def test_networks_that_are_the_same_stay_so_and_those_of_two_precisions_are_two(plain: SearchSpace) -> None:
    mixed = with_precision(plain, PRECISIONS)
    for one in drawn(mixed):
        form = mixed.canonical(one)
        assert without_precision(form) == plain.canonical(without_precision(one))
        assert precision_of(form) == precision_of(one)
        assert mixed.canonical(form) == form


def test_features_tell_the_precision_and_describe_the_network_as_before() -> None:
    plain = nasbench201_space()
    mixed = with_precision(plain, PRECISIONS)
    assert plain.features is not None
    assert mixed.features is not None
    held = drawn(mixed)
    found = mixed.features(held)
    assert (found[:, :-2] == plain.features([without_precision(one) for one in held])).all()
    assert (found[:, -2:].argmax(axis=1) == [PRECISIONS.index(precision_of(one)) for one in held]).all()
    assert sorted(column for group in mixed.features.groups for column in group) == list(range(found.shape[1]))
    assert mixed.features([]).shape == (0, found.shape[1])


def test_a_restricted_space_keeps_to_one_precision(plain: SearchSpace) -> None:
    only = with_precision(plain, PRECISIONS).restrict({PRECISION: ["int8"]})
    assert only.size == plain.size
    assert {precision_of(one) for one in drawn(only)} == {"int8"}


def test_an_architecture_without_the_choice_is_one_of_fp32(plain: SearchSpace) -> None:
    (one,) = drawn(plain, 1)
    assert precision_of(one) == "fp32"
    assert without_precision(one) is one


def test_a_second_choice_and_an_empty_one_are_refused(plain: SearchSpace) -> None:
    with pytest.raises(UsageError, match="expected a space without a choice 'precision' and one precision or more"):
        with_precision(plain, [])
    with pytest.raises(UsageError, match=r"received space .* and \['int8'\]"):
        with_precision(with_precision(plain, PRECISIONS), ["int8"])
