"""The coordinates of a figure inside one table: how many images a run, in which arithmetic.

Device, runtime and threads are the same for a whole table. Batch and precision are not: an int8 and an fp32 network
can stand in one table. Kernel keys show both in their shapes and types; the names of blocks and networks carry them as
a suffix.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SUFFIX = re.compile(r"(?P<key>.*)@b(?P<batch>[1-9][0-9]{0,8})(?:,(?P<precision>[a-z0-9]+))?", re.DOTALL)
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
    """The name of a block or network at a batch and precision; without a suffix for one image in fp32.

    Raises:
        ValueError: No such batch, or a precision that is no word of small letters and digits.
    """
    if not 1 <= batch <= _MOST:
        raise ValueError(f"expected a batch from 1 to {_MOST}, received {batch}: give the number of images a run")
    if not _PRECISION.fullmatch(precision):
        raise ValueError(f"expected a precision such as 'fp32' or 'int8', received {precision!r}")
    if precision != "fp32":
        return f"{key}@b{batch},{precision}"
    return key if batch == 1 else f"{key}@b{batch}"


def split(key: str) -> tuple[str, int, str]:
    """Name without suffix, batch and precision: the inverse of ``keyed``.

    What ``keyed`` would have written otherwise, such as ``"x@b1"``, is a name and no suffix.
    """
    found = _SUFFIX.fullmatch(key)
    if found is not None:
        name, batch, precision = found["key"], int(found["batch"]), found["precision"] or "fp32"
        if keyed(name, batch=batch, precision=precision) == key:
            return name, batch, precision
    return key, 1, "fp32"
