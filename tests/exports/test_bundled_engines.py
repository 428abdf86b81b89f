"""TensorRT engines in bundles, with a FAKE of what makes them: what is written and said, and what a failure costs."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwnas
from hwnas.exports import Exported
from hwnas.exports.bundles import read_engine, tiers_of, write_bundle, write_hub
from hwnas.exports.bundles.snippets import trtexec_line
from hwnas.study import Run
from hwnas.training import load_data

CONDITIONS = {"tensorrt": "10.16.1.11", "gpu": "FAKE GPU", "compute_capability": "9.0", "driver": "570.86"}


@dataclass(frozen=True)
class FakeEngine:
    """FAKE of an engine: its content is made of the model's."""

    content: bytes
    timing_cache: bytes = b"timings"
    measured: bool = True
    conditions: Mapping[str, Any] = field(default_factory=lambda: CONDITIONS)


def made(model: bytes) -> FakeEngine:
    return FakeEngine(b"plan of " + model)


def failing(model: bytes) -> FakeEngine:
    raise RuntimeError("TensorRT cannot build an engine for the model: made up")


@pytest.fixture(scope="module")
def bundle(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = hwnas.open_run(exported.model.parents[1])
    return write_bundle(run, exported, tmp_path_factory.mktemp("engines") / "knee", engines=made)


def test_the_engine_of_the_very_model_lies_beside_it_with_its_timings(bundle: Path, exported: Exported) -> None:
    content = b"plan of " + exported.model.read_bytes()
    assert (bundle / "model.plan").read_bytes() == content
    assert (bundle / "timing.cache").read_bytes() == b"timings"
    assert read_engine(bundle) == {
        "file": "model.plan",
        "sha256": hashlib.sha256(content).hexdigest(),
        "timing_cache": "timing.cache",
        "portable": False,
        "measured": True,
        "batch": 1,
        "precision": "fp32",
        **CONDITIONS,
    }


def test_the_card_says_where_the_engine_runs_and_how(bundle: Path) -> None:
    page = (bundle / "README.md").read_text()
    for words in (
        "`model.plan` is the model in fp32 for TensorRT 10.16.1.11 on one GPU alone, FAKE GPU (compute capability 9.0,",
        "**It is not portable**",
        "It is the one whose latency was measured.",
        "trtexec --loadEngine=model.plan --loadInputs=image:IMAGE.bin",
        "trtexec --onnx=model.onnx --saveEngine=model.plan --noTF32 --timingCacheFile=timing.cache\n",
    ):
        assert words in page


def test_the_command_of_the_card_prepares_the_image_that_the_runner_would(bundle: Path, tmp_path: Path) -> None:
    (line,) = re.findall(r"^python -c .*$", (bundle / "README.md").read_text(), flags=re.MULTILINE)
    for file in ("run.py", "preprocessing.json"):
        (tmp_path / file).write_bytes((bundle / file).read_bytes())
    image = load_data("digits").test.images[3]
    np.save(tmp_path / "IMAGE.npy", image)
    subprocess.run([sys.executable, *shlex.split(line)[1:]], cwd=tmp_path, check=True)
    names: dict[str, Any] = {"__name__": "runner"}
    exec(compile((bundle / "run.py").read_text(), "run.py", "exec"), names)  # noqa: S102  (the file that users are given)
    rules = json.loads((bundle / "preprocessing.json").read_text())
    wanted = names["prepare"](image, rules).astype(np.float32).ravel()
    assert np.array_equal(np.fromfile(tmp_path / "IMAGE.bin", np.float32), wanted)


def test_an_engine_that_fails_costs_no_bundle_and_is_told(exported: Exported, tmp_path: Path) -> None:
    run = hwnas.open_run(exported.model.parents[1])
    folder = write_bundle(run, exported, tmp_path / "knee", engines=failing)
    assert read_engine(folder) == {"failed": "TensorRT cannot build an engine for the model: made up"}
    assert not (folder / "model.plan").exists()
    page = (folder / "README.md").read_text()
    assert "This folder has no engine: TensorRT cannot build an engine for the model: made up" in page
    assert "trtexec --onnx=model.onnx --saveEngine=model.plan --noTF32\n" in page
    assert (folder / "run.py").is_file()


def test_an_engine_without_timings_or_built_anew_or_of_an_unknown_gpu_says_so(
    exported: Exported, tmp_path: Path
) -> None:
    def anew(model: bytes) -> FakeEngine:
        return FakeEngine(model, timing_cache=b"", measured=False, conditions={"tensorrt": "8.5.3.1", "gpu": None})

    run = hwnas.open_run(exported.model.parents[1])
    folder = write_bundle(run, exported, tmp_path / "knee", engines=anew)
    page = (folder / "README.md").read_text()
    assert "TensorRT 8.5.3.1 on one GPU alone, unknown (compute capability unknown, driver unknown)" in page
    assert "It was built after the measurement" in page
    assert "--timingCacheFile" not in page
    assert not (folder / "timing.cache").exists()


def test_without_a_maker_a_bundle_has_the_command_and_no_engine(exported: Exported, tmp_path: Path) -> None:
    run = hwnas.open_run(exported.model.parents[1])
    folder = write_bundle(run, exported, tmp_path / "knee")
    assert read_engine(folder) is None
    assert "--noTF32" not in trtexec_line(exported.card, channels=1)
    assert f"```\n{trtexec_line(exported.card, channels=1)}\n```" in (folder / "README.md").read_text()


def test_a_hub_tells_where_its_engines_are(run: Run, exported: Exported, tmp_path: Path) -> None:
    (tier,) = tiers_of(run, ["1s"])
    done = {tier.trial.architecture.id: exported}
    for maker, engine in ((made, "knee/model.plan"), (failing, None), (None, None)):
        index = write_hub(run, [tier], done, tmp_path / "hub", engines=maker, force=True)
        assert [entry["engine"] for entry in index["tiers"]] == [engine]
