"""What tests of training share: data and networks small enough to train in some milliseconds."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from hwnas.networks import network_family
from hwnas.training import ImageData, Recipe, Split, Training, load_data

SIZE = 8
CPU = Recipe(epochs=3, batch=32, device="cpu")  # what is bit for bit the same is so on the CPU
ALL_OF_IT = Recipe(
    epochs=3,
    batch=32,
    optimizer="sgd",
    learning_rate=0.05,
    momentum=0.9,
    schedule="cosine",
    warmup=0.2,
    weight_decay=5e-4,
    decay="weights",
    clip_norm=1.0,
    crop_padding=1 / 8,
    flip="always",
    mixup=0.4,
    cutmix=1.0,
    mix_probability=0.8,
    ema_decay=0.9,
    recalibration_images=64,
    channels_last=True,
    device="cpu",
)


@cache
def few_digits(n: int = 100) -> ImageData:
    digits = load_data("digits")
    part = Split(digits.train.images[:n], digits.train.labels[:n])
    return ImageData(
        name="few", class_names=digits.class_names, train=part, validation=digits.validation, test=digits.test
    )


def network(seed: int = 0) -> nn.Module:
    """The smallest network for images of eight pixels."""
    family = network_family("mobilenet:tiny", channels=1, classes=10)
    architecture = family.space.architecture({choice.name: choice.options[0] for choice in family.space.choices})
    return family.module(architecture, seed=seed)


def training_of(recipe: Recipe, *, seed: int = 0, module: nn.Module | None = None) -> Training:
    return Training(module or network(), few_digits(), recipe, size=SIZE, seed=seed)


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
