"""What is left out of long searches, and what never is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hwnas.reports import thinning
from hwnas.reports.numbers import collect
from hwnas.reports.thinning import one_a_spot, spread
from tests.reports.pages import AddTrials, MakeRun, Read


@given(
    points=st.integers(0, 60).flatmap(lambda n: arrays(float, (n, 2), elements=st.floats(-1e6, 1e6))),
    most=st.integers(1, 40),
)
def test_what_is_kept_of_a_crowd_is_few_and_of_it(points: np.ndarray, most: int) -> None:
    kept = one_a_spot(points, most=most)
    assert len(kept) <= most
    assert len(set(kept)) == len(kept)
    assert list(kept) == sorted(kept)
    if len(points) <= most:
        assert len(kept) == len(points)
    elif len(points):
        assert len(kept) >= 1


def test_a_crowd_keeps_its_outline() -> None:
    points = np.random.default_rng(0).random((20_000, 2))
    kept = points[one_a_spot(points, most=500)]
    assert kept.min() < 0.07
    assert kept.max() > 0.93
    assert len(kept) > 250


@given(st.lists(st.integers(), unique=True), st.integers(2, 30))
def test_a_spread_has_both_ends_and_keeps_the_order(items: list[int], most: int) -> None:
    kept = spread(items, most)
    assert len(kept) <= max(most, 0)
    assert kept == [one for one in items if one in kept]
    if items:
        assert (kept[0], kept[-1]) == (items[0], items[-1])


def test_of_a_long_search_the_whole_front_is_drawn_and_listed(
    make_run: MakeRun, add_trials: AddTrials, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("front", "parallel", "figures", "html"):
        monkeypatch.setattr(f"hwnas.reports.{module}.TOLD", 2)
    monkeypatch.setattr("hwnas.reports.numbers.LISTED", 3)
    monkeypatch.setattr("hwnas.reports.front.one_a_spot", lambda points: thinning.one_a_spot(points, most=4))
    run = make_run(targets=("latency", "params"), trials=20)
    add_trials(run, [0.5 + 0.4 * ((7 * i) % 20) / 20 for i in range(20)])
    page, front = read(run), run.front()
    crowd = len(front) - len(page.points("latency_ms", "front"))
    assert crowd > 0
    drawn = page.source[page.source.index('id="front-latency-wide-crowd-front"') :]
    assert drawn[: drawn.index("</g>")].count("M ") == crowd
    assert len(page.points("latency_ms", "dominated")) == 0
    assert 'id="front-latency-wide-crowd-dominated"' in page.source
    assert "those are drawn that look like all of them" in page.said
    assert {f"trial-{t.number}" for t in front} == {row["id"] for row in page.having("tr") if "id" in row}
    assert len(collect(run).listed) < 20
    assert "a sample of the front and of the others" in page.said
