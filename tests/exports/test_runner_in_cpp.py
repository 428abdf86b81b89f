"""The runner in C++: what its text holds, and, where ONNX Runtime's headers are, that it does what ``run.py`` does.

Headers are looked for in the folder that ``HWNAS_ONNXRUNTIME_HEADERS`` names and where the packages of operating
systems put them; the library is that of the installed wheel.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import hwnas
from hwnas.exports import Exported, ExportSettings
from hwnas.exports.bundles import write_bundle
from hwnas.exports.bundles.cpp_runner import cpp_runner, quoted
from hwnas.study import Run
from hwnas.training import load_data

HEADERS = [*filter(None, [os.environ.get("HWNAS_ONNXRUNTIME_HEADERS")])]
HEADERS += [f"{root}/include{end}" for root in ("/usr/local", "/usr") for end in ("/onnxruntime", "")]


def card(**changes: Any) -> dict[str, Any]:
    rules = {"resize": [24, 20], "scale": 1 / 255, "mean": [0.5, 0.25, 1.0], "std": [0.1, 0.2, 1e-05]}
    return {"id": "a1", "precision": "fp32", "preprocessing": rules, **changes}


def test_the_program_holds_the_sizes_rules_and_labels_of_the_model() -> None:
    text = cpp_runner(card(), channels=3, labels=["cat", 'a "dog"'])
    assert "kChannels = 3, kHeight = 24, kWidth = 20, kClasses = 2;" in text
    assert "kScale = 0.00392156862745098;" in text
    assert "kMean[kChannels] = {0.5, 0.25, 1.0};" in text
    assert "kStd[kChannels] = {0.1, 0.2, 1e-05};" in text
    assert r'kLabels[kClasses] = {"cat", "a \"dog\""};' in text
    assert "using Element = float;" in text
    assert "using Element = Ort::Float16_t;" in cpp_runner(card(precision="fp16"), channels=3, labels=["0"])


@pytest.mark.parametrize(
    ("text", "written"),
    [("é", '"é"'), ("a\\b", r'"a\\b"'), ("a\nb", r'"a\012b"'), ('"', r'"\""'), ("\x7f1", r'"\1771"')],
)
def test_texts_are_written_so_that_compilers_read_them_back(text: str, written: str) -> None:
    assert quoted(text) == written


def compiled(source: Path, folder: Path) -> Path:
    """The program; skips the test where it cannot be made, and says why."""
    compiler = shutil.which("c++") or shutil.which("g++")
    headers = next((where for where in HEADERS if Path(where, "onnxruntime_cxx_api.h").is_file()), None)
    library = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"), None)
    if not (compiler and headers and library):
        missing = [("a C++ compiler", compiler), ("onnxruntime_cxx_api.h", headers), ("libonnxruntime.so", library)]
        pytest.skip(f"no {' and no '.join(what for what, found in missing if not found)}: HWNAS_ONNXRUNTIME_HEADERS")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(library)
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror"]
    include = ["-isystem", str(headers)]
    link = [f"-L{folder}", "-lonnxruntime", f"-Wl,-rpath,{folder}"]
    subprocess.run([compiler, *flags, *include, str(source), "-o", str(folder / "classify"), *link], check=True)
    return folder / "classify"


def told(command: list[str], cwd: Path) -> list[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True).stdout.split()


def test_it_says_what_the_runner_in_python_says(exported: Exported, run: Run, tmp_path: Path) -> None:
    bundle = write_bundle(run, exported, tmp_path / "bundle")
    program = compiled(bundle / "run.cpp", tmp_path)
    rng = np.random.default_rng(0)
    images = [
        load_data("digits").test.images[3],
        *(rng.integers(0, 256, shape, np.uint8) for shape in ((5, 31), (40, 9, 1))),
    ]
    for image in images:
        np.save(tmp_path / "image.npy", image)
        label, chance = told([sys.executable, "run.py", str(tmp_path / "image.npy")], bundle)
        assert told([str(program), str(tmp_path / "image.npy")], bundle) == [label, chance]
    np.save(tmp_path / "image.npy", images[1].astype(np.float32))
    for wrong, words in (("image.npy", "expected bytes of 0 to 255"), ("nowhere.npy", "expected a file of numpy.save")):
        failed = subprocess.run(
            [program, str(tmp_path / wrong)], cwd=bundle, capture_output=True, text=True, check=False
        )
        assert failed.returncode == 1
        assert words in failed.stderr


def test_it_reads_a_model_in_halves(run: Run, tmp_path: Path) -> None:
    done = hwnas.export(run, settings=ExportSettings(precision="fp16", max_drop=1.0, dynamic_batch=True))
    bundle = write_bundle(run, done, tmp_path / "bundle")
    program = compiled(bundle / "run.cpp", tmp_path)
    np.save(tmp_path / "image.npy", load_data("digits").test.images[3])
    label, chance = told([sys.executable, "run.py", str(tmp_path / "image.npy")], bundle)
    found = told([str(program), str(tmp_path / "image.npy")], bundle)
    assert (found[0], float(found[1])) == (label, pytest.approx(float(chance), abs=2e-3))
    assert json.loads((bundle / "card.json").read_text())["precision"] == "fp16"
