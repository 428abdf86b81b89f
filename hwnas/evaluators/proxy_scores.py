"""Scores of networks that were not trained.

Each takes a freshly initialised module and a batch of training images, and is the larger the better the network is
expected to be. Those that spread over many orders of magnitude are logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from hwnas.networks import Block, macs_m, params_m

_TINY = 1e-30  # stands for nothing where a logarithm is taken
_ZICO_BATCHES = 4


@dataclass(frozen=True, kw_only=True)
class Untrained:
    """A network before its training.

    Attributes:
        blocks: The network.
        make: A freshly initialised module of it, the same each time.
        images: Shape ``(b, c, h, w)``.
        labels: Shape ``(b,)``.
    """

    blocks: Sequence[Block]
    make: Callable[[], nn.Module]
    images: torch.Tensor
    labels: torch.Tensor


@torch.no_grad()
def naswot(network: Untrained) -> float:
    """How differently the rectifiers respond to different images (Mellor et al., 2021, arXiv:2006.04647).

    The logarithm of the determinant of the matrix of agreements: for two images, how many units are on in both or off
    in both. Hard swish counts as on where it is above zero.
    """
    module = network.make().train()
    count = len(network.images)
    agreements = torch.zeros(count, count, dtype=torch.float64)

    def add(_: nn.Module, __: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        on = (output.flatten(1) > 0).float()
        off = 1 - on
        agreements.add_((on @ on.T + off @ off.T).double())

    with _hooked(module, add):
        module(network.images)
    sign, value = torch.linalg.slogdet(agreements)
    return float(value) if float(sign) > 0 else math.log(_TINY)


def synflow(network: Untrained) -> float:
    """Total synaptic flow (Tanaka et al., 2020, arXiv:2006.05467), its logarithm.

    All weights are made positive and an image of ones is shown; summed up are the weights times their gradients. In
    double precision, since the sum overflows where networks are deep.
    """
    module = network.make().double().eval()  # fresh normalisations do nothing in evaluation mode
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.abs_()
    shown = torch.ones(1, *network.images.shape[1:], dtype=torch.float64)
    gradients = _gradients(module, module(shown).sum())
    flow = sum(float((parameter.detach() * gradient).sum().abs()) for parameter, gradient in gradients)
    return math.log(max(flow, _TINY))


def gradnorm(network: Untrained) -> float:
    """Norm of the gradient of the loss on one batch (Abdelfattah et al., 2021, arXiv:2101.08134), its logarithm."""
    module = network.make().train()
    loss = nn.functional.cross_entropy(module(network.images), network.labels)
    square = sum(float(gradient.square().sum()) for _, gradient in _gradients(module, loss))
    return 0.5 * math.log(max(square, _TINY))


def zico(network: Untrained) -> float:
    """How large and how steady gradients are from batch to batch (Li et al., 2023, arXiv:2301.11300).

    The sum over layers of the logarithm of the sum over weights of the mean size of the gradient over its deviation.
    """
    module = network.make().train()
    held: dict[int, list[torch.Tensor]] = {}
    batches = zip(network.images.chunk(_ZICO_BATCHES), network.labels.chunk(_ZICO_BATCHES), strict=True)
    for images, labels in batches:
        loss = nn.functional.cross_entropy(module(images), labels)
        for parameter, gradient in _gradients(module, loss):
            if parameter.ndim > 1:  # weights of layers, not scales and shifts
                held.setdefault(id(parameter), []).append(gradient)
    total = 0.0
    for gradients in held.values():
        stacked = torch.stack(gradients)  # (batches, ...)
        deviation = stacked.std(dim=0, correction=0)
        steady = stacked.abs().mean(dim=0)[deviation > 0] / deviation[deviation > 0]
        total += math.log(max(float(steady.sum()), _TINY)) if len(steady) else 0.0
    return total


def params(network: Untrained) -> float:
    """Trainable parameters, their logarithm: what a score has to be better than."""
    return math.log(params_m(network.blocks))


def flops(network: Untrained) -> float:
    """Floating-point operations, their logarithm: what a score has to be better than."""
    return math.log(max(2 * macs_m(network.blocks), _TINY))


SCORES: Mapping[str, Callable[[Untrained], float]] = {
    "flops": flops,
    "gradnorm": gradnorm,
    "naswot": naswot,
    "params": params,
    "synflow": synflow,
    "zico": zico,
}


def _gradients(module: nn.Module, loss: torch.Tensor) -> list[tuple[nn.Parameter, torch.Tensor]]:
    """Parameters that the loss depends on, with their gradients."""
    parameters = list(module.parameters())
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [(one, gradient) for one, gradient in zip(parameters, found, strict=True) if gradient is not None]


@contextmanager
def _hooked(
    module: nn.Module, hook: Callable[[nn.Module, tuple[torch.Tensor, ...], torch.Tensor], None]
) -> Iterator[None]:
    """Calls something with the output of every rectifier and swish, hard or not, for a while."""
    rectifiers = [part for part in module.modules() if isinstance(part, nn.ReLU | nn.Hardswish | nn.SiLU)]
    handles = [part.register_forward_hook(hook) for part in rectifiers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
