"""``hwnas systems``: what it lists is there."""

from __future__ import annotations

import itertools
import json
import shlex
import sys
from pathlib import Path

import pytest

import cli
from hwnas.commands.systems import SYSTEMS, System
from hwnas.evaluators import EVALUATORS
from hwnas.searchers import ALGORITHMS, INNERS
from hwnas.study.one_shot import ONE_SHOTS

ROOT = Path(__file__).parents[2]


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["hwnas", "systems", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert not caught.value.code
    return capsys.readouterr().out


def test_every_system_is_listed_with_what_shows_it_working(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    printed = said(monkeypatch, capsys)
    told = json.loads(said(monkeypatch, capsys, "--json"))["systems"]
    assert [one["name"] for one in told] == [one.name for one in SYSTEMS]
    assert all(one["name"] in printed for one in told)
    assert all(all(one.values()) for one in told)


def test_every_system_has_a_page_and_the_page_of_all_leads_there() -> None:
    index = (ROOT / "docs" / "systems.md").read_text(encoding="utf-8")
    for system in SYSTEMS:
        assert (ROOT / system.page).is_file(), system.name
        assert f"({Path(system.page).relative_to('docs').as_posix()})" in index, system.name


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_the_command_that_shows_a_system_is_one(system: System) -> None:
    words = shlex.split(system.command)
    options = dict(itertools.pairwise(words))
    if words[0] == "python":
        assert (ROOT / words[1]).is_file()
        assert set(options.get("--algorithms", "lamoo").split(",")) <= set(ALGORITHMS)
        return
    assert words[:2] == ["hwnas", "search"]
    assert options.get("--algorithm", "lamoo") in {*ALGORITHMS, *ONE_SHOTS}
    assert options.get("--inner", "random") in INNERS
    assert options.get("--evaluator", "trained") in EVALUATORS
