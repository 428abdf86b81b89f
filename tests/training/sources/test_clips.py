"""Clips: images whose channels are frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hwnas.training import CLASSIFICATION, ImageData, Recipe, load_data, prepared
from hwnas.training.augmentation import Augmentation
from hwnas.training.sources.function import as_data


@pytest.fixture(scope="module")
def clips() -> ImageData:
    return load_data("clips")


def test_the_clips_are_eight_directions_of_the_same_number_and_the_same_every_time(clips: ImageData) -> None:
    assert (clips.channels, clips.classes, clips.notes) == (8, 8, ())
    assert clips.train.images.shape == (1440, 32, 32, 8)
    assert set(np.bincount(clips.test.labels)) == {60}
    assert load_data("clips").fingerprint == clips.fingerprint


def test_the_spot_moves_the_way_that_the_class_says(clips: ImageData) -> None:
    frames = clips.train.images.astype(float)
    wave = np.exp(2j * np.pi * np.arange(32) / 32)  # a place on a field that goes round is an angle
    for axis, step in ((1, {"down": 1, "up": -1, "left": 0, "right": 0}), (2, {"right": 1, "left": -1, "up": 0})):
        angles = np.angle(np.einsum("nxt,x->nt", frames.sum(axis=3 - axis), wave))
        turned = np.angle(np.exp(1j * np.diff(angles, axis=1))).mean(axis=1) * 32 / (2 * np.pi)  # pixels a frame
        for name, sign in step.items():
            of_class = turned[clips.train.labels == clips.class_names.index(name)]
            assert of_class.mean() == pytest.approx(3 * sign, abs=0.5)


def test_no_single_frame_tells_the_class(clips: ImageData) -> None:
    mean = np.stack([clips.train.images[clips.train.labels == k].mean(axis=0) for k in range(8)])
    assert np.ptp(mean, axis=0).max() < 60  # of single pixels; a spot is 160 above the field


def test_five_axes_are_clips_in_arrays_and_tensors_and_in_data_made_ready(tmp_path: Path, clips: ImageData) -> None:
    rng = np.random.default_rng(0)
    made, labels = rng.integers(0, 256, (30, 4, 6, 6, 1), dtype=np.uint8), np.arange(30) % 2
    np.savez(tmp_path / "own.npz", images=made, labels=labels)
    tensors = torch.from_numpy(made).movedim(-1, -3)  # (n, frames, 1, h, w), as tensors have it
    read = [load_data(str(tmp_path / "own.npz")), *(as_data("own", (one, labels)) for one in (made, tensors))]
    for found in read:
        assert found.channels == 4
        of_both = np.concatenate([found.train.images, found.validation.images, found.test.images])
        assert {one.tobytes() for one in of_both} == {one.tobytes() for one in np.moveaxis(made[..., 0], 1, -1)}
    assert as_data("again", clips).fingerprint == clips.fingerprint


def test_every_frame_is_resized_by_itself(clips: ImageData) -> None:
    both = clips.train.images[:2].copy()
    both[..., 3] = 0
    shown, blank = prepared(clips.train.images[:2], clips, size=16), prepared(both, clips, size=16)
    others = [0, 1, 2, 4, 5, 6, 7]
    torch.testing.assert_close(shown[:, others], blank[:, others])
    assert shown.shape == (2, 8, 16, 16)


def test_clips_are_not_mirrored_as_images_in_colour_are() -> None:
    images, labels = torch.arange(2 * 8 * 4 * 4).reshape(2, 8, 4, 4).float(), torch.tensor([0, 1])
    vary = Augmentation(Recipe(flip="colour"), size=4, task=CLASSIFICATION, outputs=2, fill=torch.zeros(8))
    for seed in range(5):
        torch.testing.assert_close(vary(images, labels, torch.Generator().manual_seed(seed))[0], images)
