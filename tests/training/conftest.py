"""What the tests of data share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hwnas.training import ImageData, load_data
from tests.training.made import Arrays


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Arrays], ImageData]:
    """Writes arrays to an .npz file and reads that as data."""

    def read(arrays: Arrays) -> ImageData:
        np.savez(tmp_path / "arrays.npz", **arrays)  # type: ignore[arg-type]
        return load_data(str(tmp_path / "arrays.npz"))

    return read
