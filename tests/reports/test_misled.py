"""What the count of operations would have got wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.reports.misled import Misled, misled_by_flops
from hwnas.reports.trials import TrialRow
from hwnas.study import Run
from tests.reports.pages import AddTrials, MakeRun, Read

COSTS = st.tuples(st.integers(1, 8), st.integers(1, 8))


def row(number: int, flops_m: float, latency_ms: float, *, precision: str | None = None) -> TrialRow:
    return TrialRow(
        number=number,
        id=f"{number:010x}",
        state="dominated",
        accuracy=0.5,
        costs={"flops_m": flops_m, "latency_ms": latency_ms},
        measured=False,
        roles=(),
        why={},
        failed="",
        rung_accuracy=None,
        origin=None,
        rungs=(),
        predicted_ms=None,
        precision=precision,
    )


def ordered(rows: list[TrialRow]) -> Iterator[tuple[TrialRow, TrialRow]]:
    for one, other in itertools.combinations(rows, 2):
        yield (one, other) if one.costs["flops_m"] <= other.costs["flops_m"] else (other, one)


@given(st.lists(COSTS, max_size=8), st.sampled_from([0.0, 0.11]))
def test_pairs_are_those_whose_latency_contradicts_their_flops(costs: list[tuple[int, int]], spread: float) -> None:
    rows = [row(i, *pair) for i, pair in enumerate(costs)]
    clear = []
    for lean, more in ordered(rows):
        flops, ms = (sorted(one.costs[name] for one in (lean, more)) for name in ("flops_m", "latency_ms"))
        if flops[0] < flops[1] and ms[1] / ms[0] > 1 + 2 * spread:
            clear.append((lean, more))
    wrong = [(lean, more) for lean, more in clear if lean.costs["latency_ms"] > more.costs["latency_ms"]]
    found = misled_by_flops(rows, spread_of_error=spread)
    if not wrong:
        assert found is None
        return
    assert found is not None
    assert (found.pairs, found.of) == (len(wrong), len(clear))
    assert (found.lean, found.fast) in wrong
    assert found.flops_ratio > 1
    assert found.latency_ratio > 1 + 2 * spread


def test_rows_without_a_cost_are_left_out() -> None:
    bare = row(0, 1.0, 1.0)
    assert misled_by_flops([bare, row(1, 0.0, 3.0), row(2, 2.0, 2.0)], spread_of_error=0.0) is None
    assert misled_by_flops([], spread_of_error=0.0) is None


def test_networks_of_different_precisions_make_no_pair() -> None:
    lean, fast = row(0, 1.0, 3.0, precision="fp32"), row(1, 2.0, 1.0, precision="int8")
    assert misled_by_flops([lean, fast], spread_of_error=0.0) is None
    assert misled_by_flops([lean, fast, row(2, 2.0, 2.0, precision="fp32")], spread_of_error=0.0) is not None


def test_the_page_tells_the_pair_where_there_is_one(
    make_run: MakeRun, add_trials: AddTrials, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: Run = make_run()
    add_trials(run, (0.9, 0.8, 0.7))
    found = Misled(lean=row(1, 1.5, 0.2), fast=row(0, 3.0, 0.1), pairs=2, of=3)
    for said in (found, None):
        monkeypatch.setattr("hwnas.reports.html.misled_by_flops", lambda *_, said=said, **__: said)
        words = read(run).said.replace("\u202f", " ")
        assert ("Fewer FLOPs are not always faster here" in words) == (said is not None)
        sentence = "2.00 times the FLOPs and 0.100 ms: by FLOPs alone, the one that takes 2.00 times as long"
        assert (sentence in words) == (said is not None)
        assert ("So it is in 2 of 3 pairs of trials" in words) == (said is not None)
