"""Recipes by name, with where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hwnas.core import unknown
from hwnas.training.recipe import Recipe

PRESETS: Mapping[str, Recipe] = {
    # Ours: found on the digits, where six passes are enough to tell networks apart.
    "default": Recipe(),
    # Ours: to see a whole search run.
    "quick": Recipe(epochs=2, batch=32, decay="weights"),
    # Dong and Yang, 2020, NAS-Bench-201, arXiv:2001.00326, table 1, and the configuration of 200 epochs published with
    # it: everything decays, no smoothing. Made for CIFAR-10; there 4 pixels of padding are an eighth of the side.
    "nasbench201": Recipe(
        epochs=200,
        batch=256,
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        schedule="cosine",
        warmup=0.0,
        weight_decay=5e-4,
        label_smoothing=0.0,
        crop_padding=1 / 8,
        flip="colour",
    ),
    # In the style of the recipes for small mobile networks on ImageNet. Cai et al., 2020, Once-for-All,
    # arXiv:1908.09791, section 4.1: SGD with Nesterov momentum 0.9, weight decay 3e-5, 180 epochs of cosine, learning
    # rate 2.6 for batches of 2048; in its code neither biases nor normalisation decay, label smoothing is 0.1, and the
    # later phases are warmed up for five epochs. The learning rate is scaled to the batch as by Goyal et al., 2017,
    # arXiv:1706.02677. The average of the weights is EfficientNet's (Tan and Le, 2019, arXiv:1905.11946), over fewer
    # steps, since data sets here are smaller. Crops and flips are those of small images, not of ImageNet.
    "mobile": Recipe(
        epochs=180,
        batch=256,
        optimizer="sgd",
        learning_rate=2.6 / 8,
        momentum=0.9,
        schedule="cosine",
        warmup=5 / 180,
        weight_decay=3e-5,
        decay="weights",
        label_smoothing=0.1,
        crop_padding=1 / 8,
        flip="colour",
        ema_decay=0.999,
    ),
}


def preset(name: str, **changes: Any) -> Recipe:
    """A recipe by name, with changes.

    Args:
        name: One of ``PRESETS``.
        changes: Fields of the recipe that are to be others.

    Raises:
        UsageError: No such preset or field, or a value that cannot be meant.
    """
    if name not in PRESETS:
        raise unknown("recipe", name, PRESETS)
    return Recipe.from_json({**PRESETS[name].to_json(), **changes})


def preset_name(recipe: Recipe, *, but: tuple[str, ...] = ()) -> str | None:
    """The preset that a recipe is, apart from some fields; ``None`` where it is none.

    Args:
        recipe: The recipe.
        but: Fields that may differ.
    """
    own = {name: getattr(recipe, name) for name in but}
    return next((name for name, known in PRESETS.items() if replace(known, **own) == recipe), None)
