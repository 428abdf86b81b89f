"""What can go wrong, and the exit status each kind ends the command line with.

Tree::

    HwnasError                          1  a fault
    ├── StudyError (also RuntimeError)  1  the record of a run cannot be read or written
    ├── UsageError (also ValueError)    2  an argument nobody can serve
    │   ├── DataError                   2  the user's data do not do
    │   ├── InfeasibleError             2  no architecture satisfies the limits
    │   └── RunMismatchError            2  a run folder of other settings
    ├── MachineError (also RuntimeError)       3  something on this machine is missing
    └── VerificationError (also RuntimeError)  4  an exported network or a prediction is not what was promised
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import ClassVar


class HwnasError(Exception):
    """Base class of everything ``hwnas`` raises; the message names the cause and the cure."""

    exit_code: ClassVar[int] = 1


class StudyError(HwnasError, RuntimeError):
    """The record of a run cannot be read or written."""


class UsageError(HwnasError, ValueError):
    """An argument that nobody can serve."""

    exit_code = 2


class DataError(UsageError):
    """Data that cannot be learned from: unreadable, one class only, not finite, of the wrong shape."""


class InfeasibleError(UsageError):
    """No architecture satisfies the limits.

    Attributes:
        nearest: By the limit's name the last value the space can reach, in the quantity's own unit: the smallest, or
            of a lower limit (``min_`` and the quantity) the largest.
        alone: Of several limits those of which one is enough to give way, with what it has to become while the others
            stay.
        together: Limits that can be met together, the nearest to those asked for.
    """

    def __init__(
        self,
        message: str,
        *,
        nearest: Mapping[str, float],
        alone: Mapping[str, float] | None = None,
        together: Mapping[str, float] | None = None,
    ) -> None:
        self.nearest, self.alone, self.together = dict(nearest), dict(alone or {}), dict(together or {})
        super().__init__(message)


class RunMismatchError(UsageError):
    """A run folder that was begun with other settings.

    Attributes:
        differences: Setting to ``(recorded, asked for)``.
    """

    def __init__(self, message: str, *, differences: Mapping[str, tuple[object, object]]) -> None:
        self.differences = dict(differences)
        super().__init__(message)


def differing(recorded: Mapping[str, object], asked: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """Settings that differ, by name: what was recorded and what was asked for, ``None`` where it was not there."""
    return {
        name: (recorded.get(name), asked.get(name))
        for name in sorted({*recorded, *asked})
        if recorded.get(name) != asked.get(name)
    }


class MachineError(HwnasError, RuntimeError):
    """Something this machine lacks: a runtime, a device, a permission, a data folder."""

    exit_code = 3


class VerificationError(HwnasError, RuntimeError):
    """An exported network, or a prediction, that is not what was promised."""

    exit_code = 4


def unknown(kind: str, received: str, known: Iterable[str]) -> UsageError:
    """The error for a name nobody knows, with the known ones and the likeliest meant.

    Args:
        kind: What the name should be, for example ``"space"``.
        received: The name given.
        known: The names there are.
    """
    names = sorted(known)
    close = get_close_matches(received, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return UsageError(f"unknown {kind} {received!r}: expected one of {', '.join(names)}.{hint}")
