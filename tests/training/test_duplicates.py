"""Images in two parts: found wherever they stand, and nowhere else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hwnas.training import Split
from hwnas.training.duplicates import shared_images

codes = st.lists(st.integers(0, 12), min_size=1, max_size=8)


def split(values: list[int]) -> Split:
    """Images that are equal where their numbers are; so are their labels."""
    images = np.full((len(values), 4, 4, 1), np.array(values).reshape(-1, 1, 1, 1), dtype=np.uint8)
    return Split(images, np.array(values, dtype=np.int64))


@given(train=codes, validation=codes, test=codes)
def test_each_image_of_a_part_that_stands_in_an_earlier_one_is_counted(
    train: list[int], validation: list[int], test: list[int]
) -> None:
    parts = {"training": train, "validation": validation, "test": test}
    expected = []
    for part, other in (("validation", "training"), ("test", "training"), ("test", "validation")):
        n = sum(value in parts[other] for value in parts[part])
        if n:
            expected.append(f"{n} of {len(parts[part])} {part} images are also {other} images, pixel by pixel")
    assert shared_images("x", {name: split(values) for name, values in parts.items()}, given=()) == tuple(expected)


@given(values=codes)
def test_equal_images_under_different_labels_are_counted_once_each(values: list[int]) -> None:
    part = split(values)
    other = Split(part.images, part.labels + 1)
    notes = shared_images("x", {"training": part, "test": other}, given=())
    assert notes[-1].startswith(f"{len(set(values))} images stand in the data more than once")
