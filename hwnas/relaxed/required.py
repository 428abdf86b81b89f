"""What settings, numbers and spaces have to be, before anything is learned from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hwnas.core import UsageError
from hwnas.spaces import SearchSpace


def require_above_0(**values: float) -> None:
    """Checks settings.

    Args:
        values: By the setting's name.

    Raises:
        UsageError: One is no finite number above 0.
    """
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise UsageError(f"expected {name} above 0, received {value:g}")


def require_at_least_0(**values: float) -> None:
    """Checks settings that may be 0, likewise.

    Raises:
        UsageError: One is no finite number, or below 0.
    """
    for name, value in values.items():
        if not (np.isfinite(value) and value >= 0):
            raise UsageError(f"expected {name} of 0 or above, received {value:g}")


def required_description(description: NDArray[np.float64], *, length: int) -> NDArray[np.float64]:
    """A device's description that is one.

    Args:
        description: Of the device.
        length: Of those that were learned from.

    Raises:
        UsageError: It has another shape, or holds what is no finite number.
    """
    given = np.asarray(description, dtype=np.float64)
    if given.shape != (length,):
        raise UsageError(
            f"expected a description of {length} numbers, received shape {given.shape}: it is made of as many "
            "reference networks as those of the devices learned from"
        )
    if not np.isfinite(given).all():
        raise UsageError(
            f"expected a description of {length} finite numbers, received "
            f"{np.array2string(given, precision=4, threshold=12)}: see described_device"
        )
    return given


def require_space(received: SearchSpace, wanted: SearchSpace, *, what: str) -> None:
    """Checks that two parts are of one space.

    Args:
        received: Of one part.
        wanted: Of the other one.
        what: The first part, in a word or two.

    Raises:
        UsageError: They are of different spaces, or one of a space and one of a part of it.
    """
    if received == wanted:
        return
    same = received.name == wanted.name
    told = f"another part of it ({received.size:,g} architectures, not {wanted.size:,g})" if same else received.name
    raise UsageError(
        f"expected {what} of space {wanted.name}, received one of {told}: make both of the same SearchSpace"
    )
