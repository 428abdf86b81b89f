"""What libraries say to their makers is kept off the terminal, and everything is as before afterwards."""

from __future__ import annotations

import logging
import warnings

import pytest

from hwnas.core import without_remarks


def test_records_up_to_a_level_and_warnings_are_dropped_and_no_others(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("some.library")
    with without_remarks(logging.INFO):
        warnings.warn("internals changed", DeprecationWarning, stacklevel=1)
        logger.info("dropped")
        logger.warning("kept")
        with without_remarks(logging.WARNING):
            logger.warning("dropped")
            with without_remarks(logging.INFO):
                logger.warning("dropped")
            logger.error("kept")
    assert {record.message for record in caplog.records} == {"kept"}
    assert len(caplog.records) == 2


def test_they_are_heard_again_afterwards_whatever_happened() -> None:
    before = logging.root.manager.disable
    with pytest.raises(ValueError, match="broken"), without_remarks(logging.WARNING):
        raise ValueError("broken")
    assert logging.root.manager.disable == before
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", stacklevel=1)
