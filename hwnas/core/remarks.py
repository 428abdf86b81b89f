"""What libraries say to their makers, and users need not read."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_remarks(most: int) -> Iterator[None]:
    """Keeps warnings and log records off the user's terminal, those of all libraries.

    Args:
        most: The highest level of records that are dropped, as ``logging.WARNING``; errors should be heard.
    """
    off = logging.root.manager.disable
    logging.disable(max(off, most))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(off)
