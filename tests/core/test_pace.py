"""The time that is left: exact at a steady pace, soon right at a new one, never misled by what an outlier took."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwnas.core import Pace

SECONDS = st.floats(0.001, 1e5)
DURATIONS = st.lists(SECONDS, min_size=1, max_size=60)


@dataclass
class Clock:
    """Shows the time it was set to."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def worked(durations_s: list[float], *, recent: int = 30) -> tuple[Pace, Clock]:
    clock = Clock()
    pace = Pace(clock=clock, recent=recent)
    for duration_s in durations_s:
        clock.now += duration_s
        pace.advanced()
    return pace, clock


def makespan(unit_s: float, workers: int, units: int) -> float:
    return -(-units // workers) * unit_s


def test_before_anything_is_done_nobody_knows() -> None:
    pace = Pace(workers=2, clock=Clock())
    pace.begun("a")
    assert pace.unit_s is None
    assert pace.left_s(5) is None


@given(unit_s=SECONDS, done=st.integers(1, 80), left=st.integers(0, 10**6))
def test_a_constant_pace_is_told_exactly(unit_s: float, done: int, left: int) -> None:
    pace, _ = worked([unit_s] * done)
    assert pace.left_s(left) == pytest.approx(left * unit_s, rel=1e-6)


@given(unit_s=st.floats(0.1, 1e4), workers=st.integers(1, 9), total=st.integers(1, 60), ended=st.integers(1, 60))
def test_with_several_workers_it_is_when_the_last_one_will_be_done(
    unit_s: float, workers: int, total: int, ended: int
) -> None:
    """All begin together and take what each unit takes: after every round, what is left is whole rounds."""
    clock = Clock()
    pace = Pace(workers=workers, clock=clock)
    left, started = total, 0
    while left > total - min(ended, total):
        crew = range(started, min(started + workers, total))
        started = crew.stop
        for unit in crew:
            pace.begun(unit)
        clock.now += unit_s / 2
        if pace.unit_s is not None:
            assert pace.left_s(left) == pytest.approx(makespan(unit_s, workers, left) - unit_s / 2, rel=1e-6)
        clock.now += unit_s / 2
        for unit in crew:
            pace.ended(unit)
        left -= len(crew)
        assert pace.left_s(left) == pytest.approx(makespan(unit_s, workers, left), rel=1e-6)


@given(before=DURATIONS, unit_s=SECONDS, left=st.integers(0, 1000), recent=st.integers(5, 40))
def test_a_new_pace_replaces_the_old_one_once_it_has_lasted(
    before: list[float], unit_s: float, left: int, recent: int
) -> None:
    pace, _ = worked([*before, *[unit_s] * recent], recent=recent)
    assert pace.left_s(left) == pytest.approx(left * unit_s, rel=1e-6)


@given(unit_s=SECONDS, outlier_s=st.floats(1e6, 1e7), done=st.integers(3, 60), place=st.integers(0, 59))
def test_one_that_takes_far_longer_changes_nothing(unit_s: float, outlier_s: float, done: int, place: int) -> None:
    durations = [unit_s] * done
    durations[place % done] = outlier_s
    pace, _ = worked(durations)
    assert pace.unit_s == pytest.approx(unit_s, rel=1e-4)


@given(durations=DURATIONS, waited=st.floats(0, 1e6), workers=st.integers(1, 5), under_way=st.integers(0, 5))
def test_it_is_never_negative_and_never_less_for_more_work(
    durations: list[float], waited: float, workers: int, under_way: int
) -> None:
    clock = Clock()
    pace = Pace(workers=workers, clock=clock)
    for unit, duration_s in enumerate(durations):
        pace.begun(unit)
        clock.now += duration_s
        pace.ended(unit)
    for unit in range(min(under_way, workers)):
        pace.begun(f"under way {unit}")
    clock.now += waited
    lefts = [pace.left_s(units) for units in range(12)]
    assert all(left is not None and left >= 0 for left in lefts)
    assert lefts == sorted(lefts, key=lambda left: left or 0.0)
    assert lefts[0] == 0


@given(durations=DURATIONS)
def test_a_unit_takes_something_between_the_shortest_and_the_longest(durations: list[float]) -> None:
    pace, _ = worked(durations)
    assert pace.unit_s is not None
    assert min(durations) * (1 - 1e-6) <= pace.unit_s <= max(durations) * (1 + 1e-6)


@given(short_s=SECONDS, long_s=SECONDS)
def test_units_unlike_each_other_count_as_their_mixture(short_s: float, long_s: float) -> None:
    pace, _ = worked([short_s, long_s] * 15)
    assert pace.unit_s == pytest.approx((short_s + long_s) / 2, rel=1e-6)


def test_what_is_done_between_two_units_is_part_of_the_pace() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    for unit in range(4):
        clock.now += 2.0  # the searcher thinks
        pace.begun(unit)
        clock.now += 8.0
        pace.ended(unit)
    assert pace.left_s(3) == pytest.approx(30.0)


def test_a_unit_that_was_lost_or_a_pause_says_nothing_of_the_pace() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    pace.begun("a")
    clock.now += 500.0
    pace.lost("a")
    assert pace.unit_s is None
    clock.now += 3.0
    pace.advanced(3)
    clock.now += 700.0
    pace.paused()
    clock.now += 4.0
    pace.advanced(4)
    pace.advanced(0)
    assert pace.unit_s == pytest.approx(1.0)


def test_a_unit_that_halts_counts_once_with_all_its_parts() -> None:
    clock = Clock()
    pace = Pace(clock=clock)
    for part in (3.0, 4.0):
        pace.begun("a")
        clock.now += part
        pace.halted("a")
    assert pace.unit_s is None
    pace.ended("a")
    assert pace.unit_s == pytest.approx(7.0)
    pace.ended("of an earlier process")
    assert pace.unit_s == pytest.approx(7.0)
