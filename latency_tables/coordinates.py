"""The coordinates of a figure inside one table: how many images a run, in which arithmetic.

Device, runtime and threads are the same for a whole table. Batch and precision are not: an int8 and an fp32 network
can stand in one table. Kernel keys show both in their shapes and types; the names of blocks and networks carry them as
a suffix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SUFFIX = re.compile(r"(?P<key>.*)@b(?P<batch>[1-9][0-9]{0,8})(?:,(?P<precision>[a-z0-9]+))?", re.DOTALL)
_ONE = "@b1"
_PRECISION = re.compile(r"[a-z0-9]+")
_MOST = 10**9 - 1


@dataclass(frozen=True, kw_only=True, order=True)
class Coordinates:
    """Batch and precision.

    Attributes:
        batch: Images a run.
        precision: Arithmetic type: ``"fp32"``, ``"fp16"``, ``"bf16"`` or ``"int8"``.
    """

    batch: int = 1
    precision: str = "fp32"

    @classmethod
    def of(cls, key: str) -> Coordinates:
        """Those that the name of a block or network carries."""
        _, batch, precision = split(key)
        return cls(batch=batch, precision=precision)

    def __str__(self) -> str:
        return f"batch {self.batch}, {self.precision}"


def keyed(key: str, *, batch: int = 1, precision: str = "fp32") -> str:
    """The name of a block or network at a batch and precision.

    One image in fp32 needs no suffix, but for a name that ends like one: a file may be called ``net@b8.onnx``, and its
    network is ``"net@b8@b1"``.

    Raises:
        ValueError: No such batch, or a precision that is no word of small letters and digits.
    """
    if not 1 <= batch <= _MOST:
        raise ValueError(f"expected a batch from 1 to {_MOST}, received {batch}: give the number of images a run")
    if not _PRECISION.fullmatch(precision):
        raise ValueError(f"expected a precision such as 'fp32' or 'int8', received {precision!r}")
    if precision != "fp32":
        return f"{key}@b{batch},{precision}"
    return f"{key}@b{batch}" if batch > 1 or _ends_like_a_suffix(key) else key


def split(key: str) -> tuple[str, int, str]:
    """Name without suffix, batch and precision: the inverse of ``keyed``, for any name.

    What ``keyed`` would have written otherwise, such as ``"x@b1"``, is a name and no suffix.
    """
    found = _suffix(key)
    if found is not None:
        return found
    name = key.removesuffix(_ONE)
    return (name if name != key and _ends_like_a_suffix(name) else key), 1, "fp32"


def _suffix(key: str) -> tuple[str, int, str] | None:
    """A suffix of other coordinates than one image in fp32, written as ``keyed`` writes it."""
    found = _SUFFIX.fullmatch(key)
    if found is None:
        return None
    name, batch, precision = found["key"], int(found["batch"]), found["precision"]
    if precision == "fp32" or (batch == 1 and precision is None):
        return None
    return name, batch, precision or "fp32"


def _ends_like_a_suffix(name: str) -> bool:
    """Whether a name would be read as one with a suffix, or already has had to be told from it."""
    end = len(name)
    while name.endswith(_ONE, 0, end):
        end -= len(_ONE)
    return _suffix(name[:end]) is not None
