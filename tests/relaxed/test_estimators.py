"""Draws through which gradients pass: how they are distributed, and where their mean gradients are exact."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hwnas.core import UsageError
from hwnas.relaxed import choices_of, gumbel, reinmax

Objective = Callable[[Tensor], Tensor]
Through = Callable[[Tensor, Tensor], Tensor]


def quadratic(options: int, generator: torch.Generator) -> Objective:
    slope, curve = torch.randn(options, generator=generator), torch.randn(options, options, generator=generator)
    return lambda choice: choice @ slope + ((choice @ curve) * choice).sum(1)


def mean_gradients(objective: Objective, logits: Tensor, through: Through) -> tuple[Tensor, Tensor]:
    """Of the expectation, and of what passes through draws, over all draws by their chances."""
    options = logits.shape[1]
    every = torch.eye(options, dtype=logits.dtype)
    (exact,) = torch.autograd.grad((logits.softmax(1)[0] * objective(every)).sum(), logits)
    passed = torch.zeros_like(logits)
    for chance, draw in zip(logits.softmax(1)[0].detach(), every, strict=True):
        (one,) = torch.autograd.grad(objective(through(logits, draw.unsqueeze(0))).sum(), logits)
        passed += chance * one
    return exact, passed


@settings(max_examples=30, deadline=None)
@given(options=st.integers(2, 5), seed=st.integers(0, 2**16))
def test_reinmax_has_the_gradient_of_the_expectation_of_whatever_is_quadratic(options: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, options, generator=generator, dtype=torch.float64).requires_grad_()
    slope, curve = (torch.randn(n, generator=generator, dtype=torch.float64) for n in ((options,), (options, options)))
    exact, passed = mean_gradients(lambda c: c @ slope + ((c @ curve) * c).sum(1), logits, reinmax)
    assert passed[0].tolist() == pytest.approx(exact[0].tolist(), abs=1e-9)


def test_plain_straight_through_has_it_of_what_is_linear_alone() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(1, 4, generator=generator).requires_grad_()

    def plain(given: Tensor, draw: Tensor) -> Tensor:
        soft = given.softmax(1)
        return soft - soft.detach() + draw

    slope = torch.randn(4, generator=generator)
    exact, passed = mean_gradients(lambda c: c @ slope, logits, plain)
    assert passed[0].tolist() == pytest.approx(exact[0].tolist(), abs=1e-6)
    exact, passed = mean_gradients(quadratic(4, generator), logits, plain)
    assert (passed - exact).abs().max() > 0.05


@pytest.mark.parametrize("estimator", ["reinmax", "gumbel"])
def test_draws_are_architectures_as_often_as_their_chances_say(estimator: str) -> None:
    logits = torch.tensor([[0.0, 1.0, -1.0]]).expand(20_000, -1)
    generator = torch.Generator().manual_seed(0)
    (found,) = choices_of([logits], estimator=estimator, generator=generator)  # type: ignore[arg-type]
    assert found.sum(1).tolist() == pytest.approx([1.0] * 20_000, abs=1e-5)
    assert found.max(1).values.tolist() == pytest.approx([1.0] * 20_000, abs=1e-5)
    assert found.mean(0).tolist() == pytest.approx(logits[0].softmax(0).tolist(), abs=0.015)


def test_a_gumbel_draw_passes_the_gradient_of_its_softmax() -> None:
    logits = torch.tensor([[0.3, -0.2, 0.9]], requires_grad=True)
    slope = torch.tensor([1.0, 2.0, 4.0])
    uniform = torch.rand(logits.shape, generator=torch.Generator().manual_seed(5))
    soft = ((logits - (-uniform.log()).log()) / 0.5).softmax(1)
    (wanted,) = torch.autograd.grad((soft @ slope).sum(), logits)
    drawn = gumbel(logits, torch.Generator().manual_seed(5), temperature=0.5)
    (passed,) = torch.autograd.grad((drawn @ slope).sum(), logits)
    assert passed.tolist()[0] == pytest.approx(wanted.tolist()[0])


def test_expectations_are_the_chances_themselves_and_certain_choices_are_drawn() -> None:
    sure = [torch.tensor([[0.0, -200.0]], requires_grad=True)]
    for estimator in ("expectation", "reinmax", "gumbel"):
        (found,) = choices_of(sure, estimator=estimator, generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]
        assert found.tolist()[0] == pytest.approx([1.0, 0.0])
        (slope,) = torch.autograd.grad(found[0, 0], sure)
        assert torch.isfinite(slope).all()


def test_an_unknown_estimator_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"unknown estimator 'reinmx': expected one of .* Did you mean 'reinmax'"):
        choices_of([torch.zeros(1, 2)], estimator="reinmx", generator=torch.Generator())  # type: ignore[arg-type]
