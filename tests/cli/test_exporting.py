"""``hwnas export`` in its forms, and ``hwnas verify``: results, messages and exit statuses."""

from __future__ import annotations

import json
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import cli
import profilers
from cli.measuring import engines_of
from hwnas.commands.endings import ended
from hwnas.exports import Exported
from profilers.backends import Engine
from profilers.backends.tensorrt import TensorRtBackend
from profilers.devices.cuda import CudaRuntime
from tests.profilers.fakes_cuda import FakeCuda
from tests.profilers.fakes_tensorrt import FakeTensorRt, fake_tensorrt


@pytest.fixture
def folder(exported: Exported, quick_exporter: None, tmp_path: Path) -> Path:
    """The folder of a run with an exported knee."""
    return shutil.copytree(exported.model.parents[1], tmp_path / "run")


def status(*arguments: str) -> int:
    return ended(cli.app, list(arguments))


def broken(model: Path, to: Path) -> str:
    """Writes the model with one convolution negated; names the tensor that is wrong then."""
    proto = onnx.load(model)
    node = [one for one in proto.graph.node if one.op_type == "Conv"][1]
    weight = next(one for one in proto.graph.initializer if one.name == node.input[1])
    weight.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(weight), weight.name))
    to.write_bytes(proto.SerializeToString())
    return str(node.output[0])


def test_verify_passes_an_export_and_says_what_it_did(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = folder / "models" / "knee.onnx"
    assert status("verify", str(model), "--against", str(model.with_suffix(".py")), "--data", "digits") == 0
    said = capsys.readouterr().out
    for words in (
        "passed",
        "the first 64 of 359 test images of digits",
        "knee.py: largest difference",
        "provider   CPU",
        "fixed at 1",
    ):
        assert words in said


def test_verify_exits_4_and_names_the_first_tensor_that_differs(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensor = broken(folder / "models" / "knee.onnx", tmp_path / "broken.onnx")
    against = str(folder / "models" / "knee.onnx")
    assert status("verify", str(tmp_path / "broken.onnx"), "--against", against, "--json") == 4
    printed = capsys.readouterr()
    found: dict[str, Any] = json.loads(printed.out)
    assert found["culprit"]["tensor"] == tensor
    assert found["passed"] is False
    assert f"the first tensor that differs is {tensor}" in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.onnx"], "there is no file nowhere.onnx: expected an .onnx file"),
        (["MODEL", "--data", "digits", "--samples", "x.npz"], "expected --data or --samples, received both"),
        (["MODEL", "--samples", "nowhere.npz"], "cannot read samples from nowhere.npz"),
        (["MODEL", "--tolerance", "0"], "expected a tolerance above 0"),
        (["MODEL", "--device", "tpu"], "unknown device 'tpu'"),
        (["MODEL", "--table", "nowhere.jsonl"], "expected the path of a table"),
        (["MODEL", "--against", "nowhere.py"], "there is no file nowhere.py"),
    ],
)
def test_mistakes_about_verifying_are_one_message(
    folder: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(folder / "models" / "knee.onnx")
    assert status("verify", *(model if word == "MODEL" else word for word in arguments)) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "int4"], "unknown precision 'int4': expected one of fp16, fp32, int8"),
        (["--opset", "9"], "expected an opset from 15 to 22, received 9"),
        (["--max-drop", "2"], "expected a largest drop from 0 to 1"),
        (["--pick", "77"], "has no finished trial '77': expected knee, fastest, best"),
    ],
)
def test_mistakes_about_exporting_are_one_message(
    folder: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("export", str(folder), "--allow-other-device", *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_precision_that_the_device_computes_nothing_in_is_refused_before_anything_is_trained(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cli.delivering.backend_of", lambda table: profilers.open_device("cpu"))
    monkeypatch.setattr("profilers.inspection.computes_in", lambda *_: False)
    assert status("export", str(folder), "--precision", "fp16") == 3
    said = capsys.readouterr().err
    assert "computes nothing of the network in fp16" in said
    assert "--allow-other-device" in said
    assert not (folder / "models" / "knee-fp16.onnx").exists()


def test_an_export_in_integers_prints_its_accuracy_before_and_after(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("export", str(folder), "--allow-other-device", "--precision", "int8", "--max-drop", "0.2")
    assert status(*asked) == 0
    said = capsys.readouterr().out
    assert "knee-int8.onnx" in said
    assert "nodes left in floating point" in said
    card = json.loads((folder / "models" / "knee-int8.json").read_text())
    assert card["conversion"]["precision"] == "int8"
    assert np.isclose(card["accuracy"]["test"], card["conversion"]["accuracy"]["test"])


def test_a_bundle_of_the_knee_is_a_folder_that_is_not_written_twice(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("export", str(folder), "--allow-other-device", "--bundle", "--json")
    assert status(*asked) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bundle"] == str(folder / "bundle-knee")
    assert found["pick"] == "knee"
    assert (folder / "bundle-knee" / "run.py").is_file()
    assert status(*asked) == 2
    assert "expected a new folder" in capsys.readouterr().err
    assert status(*asked, "--force") == 0


def test_a_bundle_for_tensorrt_holds_the_engine_that_was_measured(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With FAKES of TensorRT and CUDA: no engine here was ever made by the real ones."""
    device = FakeCuda()
    trt = FakeTensorRt(cuda=device)
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt(trt))
    backend = TensorRtBackend(cuda=CudaRuntime(device))
    monkeypatch.setattr("cli.delivering.backend_of", lambda table: backend)
    monkeypatch.setattr(profilers, "DeviceMeter", partial(profilers.DeviceMeter, rounds=1, most_rounds=1))
    asked = ("export", str(folder), "--bundle", "--force", "--latency-tolerance", "1e9")
    assert status(*asked, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    bundle = folder / "bundle-knee"
    (told,) = found["engines"].values()
    assert (told["file"], told["measured"], told["tensorrt"]) == ("model.plan", True, trt.version)
    built = backend.builds
    assert onnx.load(bundle / "model.plan").graph.input[0].name == "image"  # the fake's engines are models
    assert status(*asked) == 0
    said = capsys.readouterr().out
    assert f"engine of {bundle}: `model.plan` is the model in fp32 for TensorRT {trt.version} on one GPU alone" in said
    assert backend.builds == built
    monkeypatch.setattr(backend, "engine", _lost)
    assert status(*asked) == 0
    assert f"engine of {bundle}: not made: the GPU is gone" in capsys.readouterr().out
    assert (bundle / "run.py").is_file()
    assert not (bundle / "model.plan").exists()
    backend.close()


def _lost(model: bytes) -> Engine:
    raise profilers.DeviceError("the GPU is gone")


def test_where_nothing_is_compiled_there_is_no_engine() -> None:
    assert engines_of(None) is None
    assert engines_of(profilers.open_device("cpu")) is None


def test_tiers_become_a_hub_and_all_of_the_front_is_exported_at_once(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("export", str(folder), "--allow-other-device", "--json")
    assert status(*asked, "--tiers", "2s,1s", "--out", str(tmp_path / "hub")) == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["tier"] for entry in found["tiers"]] == ["1s", "2s"]
    assert found["hub"] == str(tmp_path / "hub")
    assert status(*asked, "--pick", "all") == 0
    every = json.loads(capsys.readouterr().out)
    from hwnas.study import open_run

    assert [one["trial"] for one in every["exports"]] == [trial.number for trial in open_run(folder).front()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tiers", "1ns"], "keeps the tier 1ns: the fastest takes"),
        (["--tiers", "1ms", "--pick", "best"], "expected --pick or --tiers, received both"),
        (["--out", "there"], "a folder is for --bundle or --tiers: give one of them, too"),
        (["--force"], "it replaces a folder of --bundle or --tiers: give one of them, too"),
        (["--max-drop", "0.1", "--precision", "fp32"], "float32 is not converted, and loses nothing: leave it out"),
    ],
)
def test_mistakes_about_folders_are_one_message(
    folder: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("export", str(folder), "--allow-other-device", *arguments) == 2
    assert message in capsys.readouterr().err
