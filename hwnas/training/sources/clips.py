"""Made-up clips: a bright spot that moves over a noisy field, to be told by the direction it moves in.

Frames are long vectors, and no single one tells the class: the spot begins anywhere, and leaves the field on one side
to come back on the other. So a network has to hold one frame against the next.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwnas.training.data import ImageData, checked

_CLIPS, _FRAMES, _SIDE = 2400, 8, 32
_SPEED = 3.0  # pixels a frame
_RADIUS = 3.0  # pixels: deviation of the spot
_SPOT, _GREY, _NOISE = 160.0, 48.0, 35.0  # of 255
_DIRECTIONS = ("down", "down-right", "right", "up-right", "up", "up-left", "left", "down-left")
_SEED = 0  # the same clips for every run


def moving_spots() -> ImageData:
    """2,400 clips of 8 frames of 32 x 32 pixels, in eight classes of the same size: the directions."""
    rng = np.random.default_rng(_SEED)
    labels = np.arange(_CLIPS) % len(_DIRECTIONS)
    turn = 2 * np.pi * labels / len(_DIRECTIONS)
    step = _SPEED * np.stack([np.cos(turn), np.sin(turn)], axis=1)  # (n, 2): down and to the right
    places = rng.uniform(0, _SIDE, (_CLIPS, 1, 2)) + np.arange(_FRAMES)[None, :, None] * step[:, None]
    clips = np.stack([_drawn(place, rng) for place in places])  # (n, frames, side, side)
    return checked("clips", clips[..., None], labels, class_names=_DIRECTIONS)


def _drawn(places: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The frames of a clip, shape ``(frames, side, side)``, from the spot's places, shape ``(frames, 2)``."""
    apart = np.abs(np.arange(_SIDE) - places[:, :, None] % _SIDE)
    profile = np.exp(-0.5 * (np.minimum(apart, _SIDE - apart) / _RADIUS) ** 2)  # (frames, 2, side)
    spot = _SPOT * profile[:, 0, :, None] * profile[:, 1, None, :]
    frames: NDArray[np.uint8] = np.clip(np.rint(spot + rng.normal(_GREY, _NOISE, spot.shape)), 0, 255).astype(np.uint8)
    return frames
