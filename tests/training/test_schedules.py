"""Schedules: bounded, ending where they should, and the default's exactly torch's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hwnas.training import Recipe
from hwnas.training.schedules import ema_decay, learning_rate, momentum

SHARES = st.floats(0, 0.9)


@pytest.mark.parametrize("warmup", [0.0, 0.15, 0.3, 0.7])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 60])
def test_one_cycle_is_torchs_bit_for_bit(steps: int, warmup: float) -> None:
    recipe = Recipe(warmup=warmup)
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=steps, pct_start=warmup)
    for step in range(steps):
        assert optimizer.param_groups[0]["lr"] == learning_rate(recipe, step, steps=steps)
        assert optimizer.param_groups[0]["betas"][0] == momentum(recipe, step, steps=steps)
        optimizer.step()  # torch wants one before the schedule's
        schedule.step()


@given(steps=st.integers(1, 400), warmup=SHARES, name=st.sampled_from(["one-cycle", "cosine"]))
def test_the_learning_rate_stays_above_0_and_at_most_the_largest_rises_once_and_falls(
    steps: int, warmup: float, name: str
) -> None:
    recipe = Recipe(schedule=name, warmup=warmup, learning_rate=0.5)  # type: ignore[arg-type]
    rates = [learning_rate(recipe, step, steps=steps) for step in range(steps)]
    assert all(0 < rate <= 0.5 * (1 + 1e-12) for rate in rates)
    top = rates.index(max(rates))
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)


@given(steps=st.integers(20, 400), warmup=SHARES, name=st.sampled_from(["one-cycle", "cosine"]))
def test_the_largest_learning_rate_is_reached_when_the_warm_up_is_over(steps: int, warmup: float, name: str) -> None:
    recipe = Recipe(schedule=name, warmup=warmup, learning_rate=0.5)  # type: ignore[arg-type]
    rates = [learning_rate(recipe, step, steps=steps) for step in range(steps)]
    assert max(rates) > 0.5 * 0.95
    assert abs(rates.index(max(rates)) - warmup * steps) <= 2


@given(steps=st.integers(1, 400), warmup=SHARES)
def test_the_cosine_ends_at_0_and_its_warm_up_is_a_line(steps: int, warmup: float) -> None:
    recipe = Recipe(schedule="cosine", warmup=warmup, learning_rate=0.5)
    assert learning_rate(recipe, steps, steps=steps) == 0
    for step in range(int(warmup * steps)):
        assert learning_rate(recipe, step, steps=steps) == pytest.approx(0.5 * (step + 1) / (warmup * steps))


def test_one_cycle_ends_250000_times_below_its_largest() -> None:
    recipe = Recipe(learning_rate=0.5)
    assert learning_rate(recipe, 99, steps=100) == pytest.approx(0.5 / 250_000)


@given(steps=st.integers(1, 400), warmup=SHARES, largest=st.floats(0.1, 0.99))
def test_momentum_goes_down_by_a_tenth_in_a_cycle_and_stays_along_a_cosine(
    steps: int, warmup: float, largest: float
) -> None:
    cycle = Recipe(momentum=largest, warmup=warmup)
    found = [momentum(cycle, step, steps=steps) for step in range(steps)]
    assert all(largest - 0.1 - 1e-12 <= value <= largest + 1e-12 for value in found)
    cosine = Recipe(momentum=largest, warmup=warmup, schedule="cosine")
    assert {momentum(cosine, step, steps=steps) for step in range(steps)} == {largest}


@given(decay=st.floats(0.01, 0.9999), updates=st.integers(0, 10**6))
def test_the_decay_of_the_average_grows_to_what_was_asked_for(decay: float, updates: int) -> None:
    recipe = Recipe(ema_decay=decay)
    assert 0 < ema_decay(recipe, updates) <= decay
    assert ema_decay(recipe, updates) <= ema_decay(recipe, updates + 1)
    assert ema_decay(recipe, 10**7) == decay
