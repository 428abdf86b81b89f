"""Images that stand in two parts of a split: what was learned by heart looks like skill there."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

from hwnas.core import DataError
from hwnas.training.arrays import Split

_TOO_MANY = 0.5  # of a part's images: beyond this a part is no part of its own


def shared_images(name: str, parts: Mapping[str, Split], *, given: Collection[str]) -> tuple[str, ...]:
    """What a user should know about images that are equal, pixel by pixel.

    Args:
        name: Of the data, for messages.
        parts: Name to images, ``train`` first.
        given: The parts that the user made; where most of such a part stands in another one, that was a mistake.

    Returns:
        A sentence for each pair of parts with common images, and one for equal images under different labels.

    Raises:
        DataError: More than half of a given part's images stand in a part before it.
    """
    digests = {part: [hashlib.blake2b(image, digest_size=16).digest() for image in _rows(split)]
               for part, split in parts.items()}  # fmt: skip
    notes = []
    names = list(parts)
    for i, part in enumerate(names):
        for other in names[:i]:
            known = set(digests[other])
            n = sum(digest in known for digest in digests[part])
            if part in given and n > _TOO_MANY * len(digests[part]):
                raise DataError(
                    f"data {name}: {n} of {len(digests[part])} {part} images are also {other} images: expected "
                    "different ones, since what was learned by heart says nothing. Give other images, or leave that "
                    "part out: a fifth is then split off"
                )
            if n:
                notes.append(f"{n} of {len(digests[part])} {part} images are also {other} images, pixel by pixel")
    return (*notes, *_contradictions(digests, parts))


def _contradictions(digests: Mapping[str, list[bytes]], parts: Mapping[str, Split]) -> tuple[str, ...]:
    """A sentence where equal images have different labels."""
    labels: dict[bytes, int] = {}
    differing: set[bytes] = set()
    for part, split in parts.items():
        for digest, label in zip(digests[part], split.labels.tolist(), strict=True):
            if labels.setdefault(digest, label) != label:
                differing.add(digest)
    return (f"{len(differing)} images stand in the data more than once, under different labels",) if differing else ()


def _rows(split: Split) -> list[bytes]:
    return [image.tobytes() for image in split.images]
