"""Variations of a batch: what each image may become, and that labels follow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hwnas.training import CLASSIFICATION, Recipe
from hwnas.training.augmentation import Augmentation, mixed, moved


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(n: int, channels: int = 1, side: int = 6) -> torch.Tensor:
    """Images of which every pixel is another number, from 1."""
    count = n * channels * side * side
    return torch.arange(1, count + 1, dtype=torch.float32).view(n, channels, side, side)


def augmentation(recipe: Recipe, *, channels: int = 1, size: int = 6) -> Augmentation:
    return Augmentation(recipe, size=size, task=CLASSIFICATION, outputs=4, fill=torch.zeros(channels))


def test_a_recipe_without_variations_changes_nothing_and_draws_nothing() -> None:
    images, labels, drawing = numbered(3), torch.tensor([0, 1, 2]), generator()
    before = drawing.get_state()
    found, targets = augmentation(Recipe())(images, labels, drawing)
    assert found is images
    assert targets is labels
    assert torch.equal(drawing.get_state(), before)


def seen_through(around: torch.Tensor, down: int, right: int, *, mirrored: bool) -> torch.Tensor:
    window = around[:, down : down + 6, right : right + 6]
    return window.flip(2) if mirrored else window


@pytest.mark.parametrize(("pad", "flip"), [(0, True), (1, False), (2, True)])
def test_each_image_is_itself_moved_and_perhaps_mirrored(pad: int, flip: bool) -> None:
    images = numbered(40, channels=3)
    fill = torch.tensor([-1.0, -2.0, -3.0])
    found = moved(images, pad=pad, flip=flip, fill=fill, generator=generator())
    assert found.shape == images.shape
    seen = set()
    for image, varied in zip(images, found, strict=True):
        around = fill.view(3, 1, 1).expand(3, 6 + 2 * pad, 6 + 2 * pad).clone()
        around[:, pad : pad + 6, pad : pad + 6] = image
        fits = [
            (down, right, mirrored)
            for down in range(2 * pad + 1)
            for right in range(2 * pad + 1)
            for mirrored in ((False, True) if flip else (False,))
            if torch.equal(varied, seen_through(around, down, right, mirrored=mirrored))
        ]
        assert len(fits) == 1
        seen.add(fits[0])
    assert len(seen) > (2 * pad + 1) ** 2 / 2  # not the same for all


def test_half_of_the_images_are_mirrored() -> None:
    images = numbered(1, side=4).expand(2000, 1, 4, 4)
    found = moved(images, pad=0, flip=True, fill=torch.zeros(1), generator=generator())
    mirrored = (found != images).flatten(1).any(1)
    assert 900 < int(mirrored.sum()) < 1100


@pytest.mark.parametrize(
    ("flip", "channels", "mirrors"),
    [("never", 3, False), ("never", 1, False), ("colour", 3, True), ("colour", 1, False), ("always", 1, True)],
)
def test_grey_images_such_as_digits_are_mirrored_only_where_that_is_asked_for(
    flip: str, channels: int, mirrors: bool
) -> None:
    images = numbered(50, channels=channels)
    recipe = Recipe(flip=flip)  # type: ignore[arg-type]
    found, _ = augmentation(recipe, channels=channels)(images, torch.zeros(50, dtype=torch.long), generator())
    assert bool((found != images).any()) == mirrors


@pytest.mark.parametrize(("size", "pixels"), [(32, 4), (16, 2), (8, 1), (3, 0)])
def test_images_are_moved_by_a_share_of_their_side(size: int, pixels: int) -> None:
    images = torch.ones(400, 1, size, size)
    labels = torch.zeros(400, dtype=torch.long)
    found, _ = augmentation(Recipe(crop_padding=1 / 8), size=size)(images, labels, generator())
    moved_by = size - found.amax(dim=3).sum(dim=(1, 2))  # rows that nothing flowed into
    assert int(moved_by.max()) == pixels


mixing = st.builds(
    lambda mixup, cutmix, probability: Recipe(mixup=mixup, cutmix=cutmix, mix_probability=probability),
    st.floats(0.05, 8),
    st.floats(0.05, 8),
    st.floats(0.01, 1),
)


@settings(max_examples=60)
@given(recipe=mixing, seed=st.integers(0, 10**6), n=st.integers(1, 6))
def test_shares_of_the_classes_sum_to_one_and_are_those_of_the_pixels(recipe: Recipe, seed: int, n: int) -> None:
    images = torch.eye(n)[:, :, None, None].expand(n, n, 5, 7).contiguous()  # image i is 1 in channel i alone
    labels = torch.arange(n) % 4
    found, targets = Augmentation(recipe, size=5, task=CLASSIFICATION, outputs=4, fill=torch.zeros(n))(
        images, labels, generator(seed)
    )
    assert torch.allclose(targets.sum(1), torch.ones(n))
    assert (targets >= 0).all()
    shares = found.mean((2, 3)) @ nn.functional.one_hot(labels, 4).float()  # of the pixels that come of each class
    assert torch.allclose(shares, targets, atol=1e-5)


def test_mixup_blends_the_whole_image_and_cutmix_puts_a_part_in_place() -> None:
    images = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)])
    targets = torch.eye(2)
    blended, _ = mixed(images, targets, Recipe(mixup=1.0), generator())
    assert all(len(image.unique()) == 1 for image in blended)
    assert 0 < float(blended[0].mean()) < 1
    cut, _ = mixed(images, targets, Recipe(cutmix=1.0), generator(1))
    assert cut.unique().tolist() == [0, 1]
    inside = cut[0, 0].nonzero()
    (top, left), (bottom, right) = inside.amin(0).tolist(), inside.amax(0).tolist()
    assert len(inside) == (bottom - top + 1) * (right - left + 1)  # one box


def test_so_many_batches_are_mixed_as_asked_for_and_each_way_takes_half() -> None:
    images, targets = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)]), torch.eye(2)
    recipe, drawing = Recipe(mixup=1.0, cutmix=1.0, mix_probability=0.5), generator()
    kinds = {"left": 0, "blended": 0, "cut": 0}
    for _ in range(600):
        found, _ = mixed(images, targets, recipe, drawing)
        if torch.equal(found, images):
            kinds["left"] += 1
        else:
            kinds["cut" if set(found.unique().tolist()) <= {0.0, 1.0} else "blended"] += 1
    assert 260 < kinds["left"] < 350  # a box of no pixel counts here too
    assert 100 < kinds["cut"] < 180
    assert 110 < kinds["blended"] < 190


@pytest.mark.parametrize("alpha", [0.2, 8.0])
def test_shares_of_mixup_are_beta_distributed(alpha: float) -> None:
    images, targets, drawing = torch.zeros(2, 1, 1, 1), torch.eye(2), generator()
    shares = np.array([float(mixed(images, targets, Recipe(mixup=alpha), drawing)[1][0, 0]) for _ in range(1000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.15)


def test_the_same_generator_varies_alike_and_the_next_batch_otherwise() -> None:
    recipe = Recipe(mixup=1.0, cutmix=1.0, crop_padding=1 / 3, flip="always")
    images, labels = numbered(8), torch.arange(8) % 4
    varied = []
    for seed in (3, 3, 4):
        drawing = generator(seed)
        varied.append([augmentation(recipe)(images, labels, drawing) for _ in range(2)])
    for one, other in zip(varied[0], varied[1], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert not torch.equal(varied[0][0][0], varied[2][0][0])
    assert not torch.equal(varied[0][0][0], varied[0][1][0])


def test_the_images_themselves_are_left_alone() -> None:
    images = numbered(8)
    before = images.clone()
    for recipe in (Recipe(cutmix=1.0), Recipe(mixup=1.0), Recipe(crop_padding=0.5)):
        augmentation(recipe)(images, torch.arange(8) % 4, generator())
    assert torch.equal(images, before)
