"""The example in the README's words: the main job in Python."""

from __future__ import annotations

import contextlib
import importlib.util
from functools import partial
from pathlib import Path

import pytest

import hwnas
import profilers
from hwnas.core import VerificationError
from hwnas.training import Recipe
from tests.conftest import SHORT

EXAMPLE = Path(__file__).parents[1] / "examples" / "quickstart.py"


def test_the_quickstart_does_the_main_job_in_under_thirty_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it stands, except that it measures and trains for seconds."""
    brief = profilers.CampaignSettings(space="mobilenet:tiny", protocol=SHORT)
    monkeypatch.setattr(profilers, "profile", partial(profilers.profile, settings=brief))
    monkeypatch.setattr(hwnas, "search", partial(hwnas.search, recipe=Recipe(epochs=1)))
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) <= 30
    spec = importlib.util.spec_from_file_location("quickstart", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # a machine too restless for the latency check may end it there, with everything written all the same
    with contextlib.suppress(VerificationError):
        module.main(tmp_path, space="mobilenet:tiny", trials=4)
        assert (tmp_path / "run" / "report.html").exists()
        assert "report.html" in capsys.readouterr().out
    assert (tmp_path / "run" / "models" / "knee.onnx").exists()
