"""The documentation's examples are the files that are run here."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from latency_tables import read_table

ROOT = Path(__file__).parents[1]


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / "examples" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["custom_backend", "custom_workload"])
def test_the_documentation_shows_what_is_run(name: str) -> None:
    shown = (ROOT / "docs" / "backends.md").read_text(encoding="utf-8")
    assert (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8").strip() in shown


def test_blocks_of_ones_own_come_into_a_table(tmp_path: Path) -> None:
    load("custom_workload").main(str(tmp_path / "mine.jsonl"))
    table = read_table(tmp_path / "mine.jsonl")
    assert set(table.blocks) == {"mine(width=8)", "mine(width=16)", "mine(width=32)"}
    assert all(table.block_cost(key)[0] > 0 for key in table.blocks)
