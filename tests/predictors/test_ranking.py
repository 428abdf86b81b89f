"""Order and what is lost by a wrong one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from hwnas.predictors.ranking import kendall, spearman, top_k_regret

Values = NDArray[np.float64]

pairs = st.integers(3, 30).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(1, 12), min_size=n, max_size=n) for _ in range(2)])
)  # few different values: ties are frequent


def arrays(pair: tuple[list[int], list[int]]) -> tuple[Values, Values]:
    return np.array(pair[0], dtype=np.float64), np.array(pair[1], dtype=np.float64)


@given(pair=pairs)
def test_rank_correlations_are_those_of_scipy_ties_included(pair: tuple[list[int], list[int]]) -> None:
    a, b = arrays(pair)
    assume(len(set(pair[0])) > 1 and len(set(pair[1])) > 1)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b).statistic, abs=1e-12)


@given(pair=pairs, shift=st.integers(0, 5))
def test_rank_correlations_know_neither_scale_nor_order_of_the_list(
    pair: tuple[list[int], list[int]], shift: int
) -> None:
    a, b = arrays(pair)
    for correlation in (spearman, kendall):
        found = correlation(a, b)
        assert correlation(a, b**3 + 7) == found
        assert correlation(np.roll(a, shift), np.roll(b, shift)) == pytest.approx(found)
        reverse = correlation(a, -b)
        assert reverse == pytest.approx(None if found is None else -found)


@pytest.mark.parametrize("correlation", [spearman, kendall])
def test_what_is_all_the_same_has_no_order(correlation: object) -> None:
    assert callable(correlation)
    assert correlation(np.ones(5), np.arange(5.0)) is None
    assert correlation(np.arange(5.0), np.ones(5)) is None


@given(pair=pairs, data=st.data())
def test_regret_is_at_least_0_and_0_for_the_truth_itself(
    pair: tuple[list[int], list[int]], data: st.DataObject
) -> None:
    truth, predicted = arrays(pair)
    k = data.draw(st.integers(1, len(truth)))
    assert top_k_regret(truth, predicted, k=k) >= 0
    assert top_k_regret(truth, 3 * truth + 1, k=k) == pytest.approx(0, abs=1e-12)
    assert top_k_regret(truth, predicted, k=len(truth)) == pytest.approx(0, abs=1e-12)
    assert top_k_regret(5 * truth, predicted, k=k) == pytest.approx(top_k_regret(truth, predicted, k=k))


@given(pair=pairs, data=st.data())
def test_regret_does_not_depend_on_the_order_of_the_list_ties_included(
    pair: tuple[list[int], list[int]], data: st.DataObject
) -> None:
    truth, predicted = arrays(pair)
    k = data.draw(st.integers(1, len(truth)))
    order = np.array(data.draw(st.permutations(range(len(truth)))))
    assert top_k_regret(truth[order], predicted[order], k=k) == pytest.approx(top_k_regret(truth, predicted, k=k))


def test_regret_is_the_latency_lost() -> None:
    truth, predicted = np.array([1.0, 2.0, 4.0, 8.0]), np.array([3.0, 1.0, 2.0, 4.0])
    assert top_k_regret(truth, predicted, k=1) == 1.0  # 2 in place of 1
    assert top_k_regret(truth, predicted, k=2) == 1.0  # 2 and 4 in place of 1 and 2
    assert top_k_regret(truth, np.ones(4), k=1) == 2.75  # any of them: 15 / 4
