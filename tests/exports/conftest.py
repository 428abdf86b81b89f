"""A run of tiny networks whose winners are trained for two epochs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import hwnas
from hwnas.exports import Exported
from hwnas.networks import NetworkFamily
from hwnas.study import Run
from hwnas.training import Recipe
from tests.builders import made_up_table


@pytest.fixture(scope="session")
def exported(tiny_family: NetworkFamily, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The knee of a run, in float32; its folder is that of ``whole_run``. Copy it to change it."""
    run = hwnas.search(
        table=made_up_table(tiny_family),
        out=tmp_path_factory.mktemp("exported") / "run",
        space="mobilenet:tiny",
        trials=2,
        recipe=Recipe(epochs=1),
    )
    return hwnas.export(run)


@pytest.fixture
def run(exported: Exported, tmp_path: Path) -> Run:
    """That run, in a folder of its own."""
    return hwnas.open_run(shutil.copytree(exported.model.parents[1], tmp_path / "run"))
