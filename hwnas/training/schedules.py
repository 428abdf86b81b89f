"""Learning rate and momentum as functions of the step, so that a training that goes on needs only to know its step."""

from __future__ import annotations

import math

from hwnas.training.recipe import MOMENTUM_SWING, Recipe

_CYCLE_STARTS_AT = 25.0  # times below the largest learning rate
_CYCLE_ENDS_AT = 1e4  # times below the start


def learning_rate(recipe: Recipe, step: int, *, steps: int) -> float:
    """The learning rate of a step.

    Args:
        recipe: The schedule, its largest learning rate and its warm-up.
        step: From 0; ``steps`` itself is the end, which no step is made with.
        steps: Of the whole training.
    """
    largest = recipe.learning_rate
    if recipe.schedule == "one-cycle":
        start = largest / _CYCLE_STARTS_AT
        rising, share = _cycle(step, steps, recipe.warmup)
        return _between(start, largest, share) if rising else _between(largest, start / _CYCLE_ENDS_AT, share)
    warm = recipe.warmup * steps
    if step + 1 <= warm:
        return largest * (step + 1) / warm
    return _between(largest, 0.0, max(0.0, step - warm) / (steps - warm))


def momentum(recipe: Recipe, step: int, *, steps: int) -> float:
    """The momentum of a step, or AdamW's first beta: under one-cycle it goes down and up again, else it stays.

    Args:
        recipe: The schedule, its momentum and its warm-up.
        step: From 0.
        steps: Of the whole training.
    """
    if recipe.schedule != "one-cycle":
        return recipe.momentum
    low = recipe.momentum - MOMENTUM_SWING
    rising, share = _cycle(step, steps, recipe.warmup)
    return _between(recipe.momentum, low, share) if rising else _between(low, recipe.momentum, share)


def ema_decay(recipe: Recipe, updates: int) -> float:
    """Decay of the average of the weights; the first updates count more, or it would stay near the random start.

    Args:
        recipe: The decay that is reached in the end.
        updates: How many there were before.
    """
    return min(recipe.ema_decay, (1 + updates) / (10 + updates))


def _cycle(step: int, steps: int, warmup: float) -> tuple[bool, float]:
    """Whether the learning rate of a cycle rises, and the share of the rise or fall that lies behind."""
    peak = warmup * steps - 1
    if step <= peak:
        return True, step / peak if peak else 1.0
    return False, (step - peak) / (steps - 1 - peak)


def _between(start: float, end: float, share: float) -> float:
    """From ``start`` at 0 to ``end`` at 1, along half a cosine."""
    return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)
