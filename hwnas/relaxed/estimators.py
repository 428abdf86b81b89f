"""Choices from logits: their probabilities, or draws through which gradients pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

from hwnas.core import unknown

Estimator = Literal["expectation", "reinmax", "gumbel"]
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)


def choices_of(logits: Sequence[Tensor], *, estimator: Estimator, generator: torch.Generator) -> list[Tensor]:
    """What an objective is asked about.

    Args:
        logits: Of each choice's options, shape ``(b, o_i)``.
        estimator: ``"expectation"`` gives the probabilities, by which a table has its exact mean; ``"reinmax"`` and
            ``"gumbel"`` give architectures that are drawn, each choice by itself, through which gradients pass.
        generator: Randomness of the draws.

    Returns:
        For each choice shape ``(b, o_i)``, rows with a sum of 1; of draws one 1 among zeros.

    Raises:
        UsageError: No such estimator.
    """
    if estimator == "expectation":
        return [part.softmax(1) for part in logits]
    if estimator == "reinmax":
        return [reinmax(part, drawn(part, generator)) for part in logits]
    if estimator == "gumbel":
        return [gumbel(part, generator) for part in logits]
    raise unknown("estimator", estimator, ESTIMATORS)


def drawn(logits: Tensor, generator: torch.Generator) -> Tensor:
    """One option a row by its chance, as a 1 among zeros; shape ``(b, o)``."""
    places = torch.multinomial(logits.detach().softmax(1), 1, generator=generator)
    return torch.zeros_like(logits).scatter_(1, places, 1.0)


def reinmax(logits: Tensor, draw: Tensor) -> Tensor:
    """A draw whose gradient is that of the expectation to second order (Liu et al., 2023, ReinMax, algorithm 2).

    Between the draw and each other option an objective is integrated by Heun's rule, with the slopes at both ends; so
    the mean gradient is exact wherever the objective is quadratic in a choice, where plain straight-through is so for
    linear ones alone. Temperature 1. https://arxiv.org/abs/2304.08612

    Args:
        logits: Shape ``(b, o)``.
        draw: From their chances, shape ``(b, o)``.
    """
    chances = logits.softmax(1)
    middle = (draw + chances.detach()) / 2
    # with the value of the middle, and the slope that a softmax has there
    sloped = (middle.log() - logits.detach() + logits).softmax(1)
    through = 2 * sloped - chances / 2
    return through - through.detach() + draw


def gumbel(logits: Tensor, generator: torch.Generator, *, temperature: float = 1.0) -> Tensor:
    """A draw whose gradient is that of the softmax of perturbed logits (Jang et al., 2017, straight-through).

    https://arxiv.org/abs/1611.01144

    Args:
        logits: Shape ``(b, o)``.
        generator: Randomness of the draw.
        temperature: The lower, the nearer is the softmax to the draw, and the noisier its gradient.
    """
    uniform = torch.rand(logits.shape, generator=generator).clamp_(1e-9, 1 - 1e-7)
    perturbed = logits - (-uniform.log()).log()
    soft = (perturbed / temperature).softmax(1)
    hard = torch.zeros_like(soft).scatter_(1, perturbed.argmax(1, keepdim=True), 1.0)
    return hard + soft - soft.detach()
