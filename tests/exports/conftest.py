"""A run whose knee is exported, to be changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import hwnas
from hwnas.exports import Exported
from hwnas.study import Run


@pytest.fixture
def run(exported: Exported, quick_exporter: None, tmp_path: Path) -> Run:
    """The run of ``exported``, in a folder of its own."""
    return hwnas.open_run(shutil.copytree(exported.model.parents[1], tmp_path / "run"))
