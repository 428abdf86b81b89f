"""Whether BoTorch is there, and keeping it quiet."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from latency_tables import MissingExtraError


def require_botorch(inner: str) -> None:
    """Checks for BoTorch before anything is computed, and imports it.

    What it calls as it is imported is deprecated by newer versions of torch, which is not for our users to read.

    Args:
        inner: Name of the inner searcher that needs it.

    Raises:
        MissingExtraError: BoTorch is not installed.
    """
    if importlib.util.find_spec("botorch") is None:
        raise MissingExtraError(package="botorch", extra="bayes", purpose=f"the inner searcher {inner}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        importlib.import_module("botorch")


@contextmanager
def advice_ignored() -> Iterator[None]:
    """Silences what BoTorch and GPyTorch advise their users: to scale inputs, to prefer other acquisition functions.

    A fit that does not succeed is no warning but an error, and is dealt with.
    """
    from botorch.exceptions.warnings import BotorchWarning  # noqa: PLC0415
    from gpytorch.utils.warnings import GPInputWarning  # noqa: PLC0415
    from linear_operator.utils.warnings import NumericalWarning  # noqa: PLC0415

    with warnings.catch_warnings():
        for category in (BotorchWarning, GPInputWarning, NumericalWarning):
            warnings.simplefilter("ignore", category)
        yield


def failures() -> tuple[type[Exception], ...]:
    """What a fit or an acquisition function may end with through no fault of the caller."""
    from botorch.exceptions.errors import BotorchError, ModelFittingError  # noqa: PLC0415
    from linear_operator.utils.errors import NanError, NotPSDError  # noqa: PLC0415

    return BotorchError, ModelFittingError, NanError, NotPSDError, RuntimeError
