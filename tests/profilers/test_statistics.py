"""From raw times to a figure: laws of the estimator, and how it does on a made-up clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from latency_tables import Timing
from profilers import MeasuringProtocol
from profilers.statistics import Sample, Times, combine, quiet_runs, summarise

PROTOCOL = MeasuringProtocol()
ROUNDING = 1e-5  # figures are kept to six digits

relaxed = settings(deadline=None)
times = st.floats(min_value=1e-3, max_value=1e3)
fractions = st.floats(min_value=0.01, max_value=1.0)


@st.composite
def blocks_of_runs(draw: st.DrawFn) -> tuple[Times, NDArray[np.bool_]]:
    """Times of a block of runs, and which of them were interrupted."""
    runs = draw(st.lists(st.tuples(times, st.booleans()), min_size=1, max_size=40))
    return np.array([time for time, _ in runs]), np.array([hit for _, hit in runs])


def sample(quiet_ms: float, *, clean: bool = True, spread: float = 0.0, n: int = 10) -> Sample:
    """A round whose quiet runs took ``quiet_ms``."""
    return Sample(
        quiet_ms=quiet_ms,
        min_ms=0.95 * quiet_ms,
        median_ms=quiet_ms * (1 + spread),
        iqr_ms=quiet_ms * spread,
        n=n,
        clean=clean,
    )


def whole_network(run_ms: Times, preempted: NDArray[np.bool_], fraction: float = PROTOCOL.quiet_fraction) -> Sample:
    return summarise(run_ms, preempted, quiet_runs(run_ms, preempted, fraction=fraction))


# --- which runs count


@relaxed
@given(block=blocks_of_runs(), fraction=fractions)
def test_interrupted_runs_are_kept_only_when_every_run_was_interrupted(
    block: tuple[Times, NDArray[np.bool_]], fraction: float
) -> None:
    run_ms, preempted = block
    quiet = quiet_runs(run_ms, preempted, fraction=fraction)
    if not preempted.all():
        assert not preempted[quiet].any()
    usable = len(run_ms) if preempted.all() else int((~preempted).sum())
    assert len(set(quiet.tolist())) == len(quiet) == max(1, round(fraction * usable))


@relaxed
@given(block=blocks_of_runs(), fraction=fractions)
def test_no_usable_run_left_out_is_faster_than_one_kept(
    block: tuple[Times, NDArray[np.bool_]], fraction: float
) -> None:
    run_ms, preempted = block
    quiet = quiet_runs(run_ms, preempted, fraction=fraction)
    usable = set(range(len(run_ms)) if preempted.all() else np.flatnonzero(~preempted).tolist())
    assert all(run_ms[i] >= run_ms[quiet].max() for i in usable - set(quiet.tolist()))


@relaxed
@given(block=blocks_of_runs(), other_ms=times, fraction=fractions)
def test_the_times_of_interrupted_runs_change_nothing(
    block: tuple[Times, NDArray[np.bool_]], other_ms: float, fraction: float
) -> None:
    run_ms, preempted = block
    assume(not preempted.all())
    before = whole_network(run_ms, preempted, fraction)
    after = whole_network(np.where(preempted, other_ms, run_ms), preempted, fraction)
    assert before == after
    assert before.clean
    assert before.n == (~preempted).sum()


@relaxed
@given(block=blocks_of_runs())
def test_a_block_without_an_undisturbed_run_counts_all_of_them_and_is_not_clean(
    block: tuple[Times, NDArray[np.bool_]],
) -> None:
    run_ms, _ = block
    disturbed = whole_network(run_ms, np.ones(len(run_ms), dtype=np.bool_))
    undisturbed = whole_network(run_ms, np.zeros(len(run_ms), dtype=np.bool_))
    assert not disturbed.clean
    assert disturbed == replace(undisturbed, clean=False)


@relaxed
@given(block=blocks_of_runs(), seed=st.integers(0, 2**31))
def test_a_kernel_is_timed_in_the_quiet_runs_of_its_network(block: tuple[Times, NDArray[np.bool_]], seed: int) -> None:
    run_ms, preempted = block
    quiet = quiet_runs(run_ms, preempted, fraction=PROTOCOL.quiet_fraction)
    kernel_ms = np.random.default_rng(seed).uniform(1e-3, 1.0, len(run_ms))
    found = summarise(kernel_ms, preempted, quiet)
    assert found.quiet_ms == pytest.approx(kernel_ms[quiet].mean())
    assert found.min_ms <= found.quiet_ms * (1 + 1e-12)
    assert found.iqr_ms >= 0


# --- rounds into a row


@relaxed
@given(
    rounds=st.lists(times, min_size=2, max_size=8),
    slower=st.floats(min_value=1.0, max_value=100.0),
    clean=st.booleans(),
)
def test_a_slow_round_more_changes_neither_latency_nor_verdict(rounds: list[float], slower: float, clean: bool) -> None:
    samples = [sample(value) for value in rounds]
    slow = sample(slower * max(rounds), clean=clean, n=7)
    before, after = combine([samples], PROTOCOL), combine([[*samples, slow]], PROTOCOL)
    assert after.latency_ms == before.latency_ms
    assert after.min_ms == before.min_ms
    assert after.noise == before.noise
    assert after.n == before.n + 7
    assert after.median_ms >= before.median_ms


@relaxed
@given(rounds=st.lists(times, min_size=1, max_size=8), faster=st.floats(min_value=0.01, max_value=1.0))
def test_a_quieter_round_more_becomes_the_latency(rounds: list[float], faster: float) -> None:
    quietest = faster * min(rounds)
    row = combine([[*(sample(value) for value in rounds), sample(quietest)]], PROTOCOL)
    assert row.latency_ms == pytest.approx(quietest, rel=ROUNDING)


@relaxed
@given(
    quiet_ms=times,
    limit=st.floats(min_value=0.01, max_value=1.0),
    excess=st.floats(min_value=-0.999, max_value=2.0).filter(lambda value: abs(value) > 1e-6),
    later=st.lists(st.floats(min_value=10.0, max_value=20.0), max_size=3),
    seed=st.integers(0, 2**31),
)
def test_the_verdict_flips_where_the_two_quietest_rounds_differ_by_the_limit(
    quiet_ms: float, limit: float, excess: float, later: list[float], seed: int
) -> None:
    second = quiet_ms * (1 + limit * (1 + excess))
    rounds = [sample(value) for value in (quiet_ms, second, *(quiet_ms * factor for factor in later))]
    order = np.random.default_rng(seed).permutation(len(rounds))
    row = combine([[rounds[i] for i in order]], replace(PROTOCOL, noise_limit=limit))
    assert row.noise == ("noisy" if excess > 0 else "ok")


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_row_without_any_undisturbed_run_is_noisy(rounds: int) -> None:
    assert combine([[sample(1.0, clean=False)] * rounds], PROTOCOL).noise == "noisy"
    assert combine([[sample(1.0, clean=False)] * rounds, [sample(1.0)] * rounds], PROTOCOL).noise == "ok"


def test_one_round_alone_is_believed() -> None:
    assert combine([[sample(1.0)]], PROTOCOL).noise == "ok"


@relaxed
@given(
    block=st.lists(blocks_of_runs(), min_size=1, max_size=4),
    fraction=st.floats(min_value=0.01, max_value=0.5),
)
def test_the_latency_of_a_network_lies_between_minimum_and_median(
    block: list[tuple[Times, NDArray[np.bool_]]], fraction: float
) -> None:
    row = combine([[whole_network(run_ms, preempted, fraction) for run_ms, preempted in block]], PROTOCOL)
    assert row.min_ms <= row.latency_ms * (1 + ROUNDING)
    assert row.latency_ms <= row.median_ms * (1 + ROUNDING)
    assert row.iqr_ms >= 0


@relaxed
@given(
    networks=st.lists(st.lists(times, min_size=1, max_size=4), min_size=1, max_size=5),
    seed=st.integers(0, 2**31),
)
def test_neither_the_order_of_rounds_nor_that_of_networks_matters(networks: list[list[float]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    shuffled = [list(rng.permutation(rounds)) for rounds in networks]
    rng.shuffle(shuffled)
    rows = [
        combine([[sample(value) for value in rounds] for rounds in each], PROTOCOL) for each in (networks, shuffled)
    ]
    assert rows[0] == rows[1]


@relaxed
@given(networks=st.lists(st.lists(times, min_size=1, max_size=4), min_size=1, max_size=5))
def test_a_kernel_seen_in_several_networks_is_the_median_of_their_quietest_rounds(networks: list[list[float]]) -> None:
    row = combine([[sample(value) for value in rounds] for rounds in networks], PROTOCOL)
    assert row.latency_ms == pytest.approx(float(np.median([min(rounds) for rounds in networks])), rel=ROUNDING)
    assert row.n == 10 * sum(len(rounds) for rounds in networks)


def test_one_restless_network_among_three_does_not_make_a_kernel_noisy() -> None:
    steady, restless = [sample(1.0), sample(1.01)], [sample(1.0), sample(2.0)]
    assert combine([steady, steady, restless], PROTOCOL).noise == "ok"
    assert combine([steady, restless, restless], PROTOCOL).noise == "noisy"


def test_a_kernel_too_short_for_the_clock_is_a_row_all_the_same() -> None:
    row = combine([[sample(0.0), sample(0.001)]], PROTOCOL)
    assert row.latency_ms == 0.0
    assert row.noise == "ok"


def test_figures_are_kept_to_six_digits() -> None:
    assert combine([[sample(0.00123456789)]], PROTOCOL).latency_ms == 0.00123457
    assert combine([[sample(1234.56789)]], PROTOCOL).latency_ms == 1234.57


# --- a made-up clock


def measured(base_ms: float, slowdowns: list[float], *, seed: int, runs: int = 60) -> tuple[Timing, Times]:
    """A network of known speed on a made-up machine, and all its raw times.

    Each run takes the base time, a little jitter that only ever adds, in one run of eight an interruption that the
    system reports and in one of twenty a stall that it does not; each round is slowed down by a factor.
    """
    rng = np.random.default_rng(seed)
    rounds, everything = [], []
    for slowdown in slowdowns:
        jitter = rng.gamma(shape=2.0, scale=0.01, size=runs)
        preempted = rng.random(runs) < 1 / 8
        stalled = rng.random(runs) < 1 / 20
        run_ms = slowdown * base_ms * (1 + jitter) + 3.0 * base_ms * preempted + 5.0 * base_ms * stalled
        rounds.append(whole_network(run_ms, preempted))
        everything.append(run_ms)
    return combine([rounds], PROTOCOL), np.concatenate(everything)


@relaxed
@given(base_ms=st.floats(min_value=0.01, max_value=10.0), seed=st.integers(0, 2**31))
def test_the_estimate_finds_the_speed_of_a_machine_whose_mean_is_far_off(base_ms: float, seed: int) -> None:
    row, raw_ms = measured(base_ms, [1.0, 1.02, 1.0], seed=seed)
    assert row.latency_ms == pytest.approx(base_ms, rel=0.03)
    assert row.noise == "ok"
    assert raw_ms.mean() > 1.2 * base_ms
    assert row.n < raw_ms.size


@relaxed
@given(seed=st.integers(0, 2**31), where=st.integers(0, 2))
def test_one_round_in_a_slow_spell_is_outvoted(seed: int, where: int) -> None:
    slowdowns = [1.0, 1.0, 1.0]
    slowdowns[where] = 1.8
    row, _ = measured(1.0, slowdowns, seed=seed)
    assert row.latency_ms == pytest.approx(1.0, rel=0.03)
    assert row.noise == "ok"


@relaxed
@given(seed=st.integers(0, 2**31))
def test_a_machine_of_another_speed_every_round_is_flagged(seed: int) -> None:
    row, _ = measured(1.0, [1.0, 1.3, 1.7], seed=seed)
    assert row.noise == "noisy"
