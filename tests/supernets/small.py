"""Supernets that are trained in a moment."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from hwnas.networks import NetworkFamily
from hwnas.supernets import SupernetRecipe

QUICK = SupernetRecipe(epochs=3, batch=24, random_paths=1, calibration_images=24)  # two steps an epoch of 48 images


def narrow(tiny: NetworkFamily) -> NetworkFamily:
    return replace(tiny, space=tiny.space.restrict({"resolution": [8], "width": [1.0]}))


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in module.named_parameters()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
