"""The command line: exit statuses, messages without tracebacks, and what survives a kill."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import cli
from hwnas.commands.printing import render
from hwnas.commands.profile_words import diagnosis_parts
from hwnas.networks import network_family
from hwnas.study import open_run
from hwnas.training import PRESETS, preset
from latency_tables import LatencyTable, read_table, write_table
from profilers import open_device
from tests.builders import made_up_table


class Answer(NamedTuple):
    status: int
    out: str
    err: str


Hwnas = Callable[..., Answer]


@pytest.fixture
def hwnas(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Hwnas:
    """Runs the command line in a temporary folder and gives its status and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["hwnas", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return Answer(int(caught.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture(scope="session")
def here_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up table of ``mobilenet:tiny`` under the fingerprint of this machine."""
    table = made_up_table(network_family("mobilenet:tiny"))
    manifest = replace(table.manifest, fingerprint=open_device("cpu").fingerprint())
    return write_table(
        LatencyTable(manifest, table.kernels, table.blocks, table.networks), tmp_path_factory.mktemp("t") / "here.jsonl"
    )


TINY = ("--space", "mobilenet:tiny")
BRIEF = ("--epochs", "1")  # where a search has to end, but not to find anything


def test_help_answers_without_importing_torch() -> None:
    script = "import sys, cli\nsys.argv = ['hwnas', '--help']\ntry:\n    cli.main()\nexcept SystemExit:\n    pass\n"
    script += "print([m for m in ('torch', 'onnx', 'optuna', 'sklearn', 'matplotlib', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["profile", "search", "export", "verify", "report", "doctor"])
def test_every_command_has_help(hwnas: Hwnas, command: str) -> None:
    answer = hwnas(command, "--help")
    assert answer.status == 0
    assert "--json" in answer.out


def test_the_help_names_every_recipe(hwnas: Hwnas) -> None:
    said = " ".join(hwnas("search", "--help").out.split())
    assert all(name in said for name in PRESETS)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["profile", "--device", "tpu"], 2, "unknown device 'tpu': expected one of auto, cpu, gpu"),
        (["search", "--device", "tpu"], 2, "unknown device 'tpu'"),
        (["search", "--space", "mobilnet"], 2, "unknown space 'mobilnet'.*Did you mean 'mobilenet'"),
        (["search", "--space", "mobilenet:huge"], 2, "unknown space 'mobilenet:huge'"),
        (["search", "--algorithm", "lamo"], 2, "unknown algorithm 'lamo'.*Did you mean 'lamoo'"),
        (["search", "--inner", "mutatoin"], 2, "unknown inner searcher 'mutatoin'.*Did you mean 'mutation'"),
        (["search", "--algorithm", "alphax", "--inner", "random"], 2, "alphax takes no inner searcher.*its own tree"),
        (["search", "--devices", "pixel3"], 2, r"unknown device 'pixel3': expected one of TABLE\.jsonl, "),
        (["search", "--unseen", "pixel3"], 2, "lamoo takes all of them as --devices"),
        (["search", "--max-latency", "jetson=8ms"], 2, r"how long networks take on jetson: .* --devices jetson=TABLE"),
        (["search", "--target", "latency@jetson"], 2, r"how long networks take on jetson: .* --devices jetson=TABLE"),
        (["search", "--algorithm", "modnas", "--inner", "random"], 2, "modnas takes no inner searcher"),
        (["search", "--algorithm", "modnas"], 2, "expected a space of independent choices, such as nasbench201"),
        (
            ["search", "--algorithm", "modnas", "--space", "nasbench201"],
            2,
            "expected --evaluator tabular, received trained",
        ),
        (
            ["search", "--algorithm", "lightnas", "--devices", "pixel3"],
            2,
            "algorithm lightnas learns for one device, that of --table: leave --devices out",
        ),
        (["search", "--algorithm", "dca-nas", "--max-latency", "1ms"], 2, "expected a space of independent choices"),
        (["search", "--algorithm", "dca-nas", "--inner", "random"], 2, "dca-nas takes no inner searcher"),
        (
            ["search", "--hit-latency", "8ms", "--max-latency", "9ms"],
            2,
            "--hit-latency 8ms is a band of its own: leave out --min-latency and --max-latency",
        ),
        (["search", "--hit-latency", "soon"], 2, "cannot read 'soon'"),
        (
            ["search", "--target", "speed"],
            2,
            "unknown target 'speed': expected one of energy, flops, latency, latency@",
        ),
        (["search", "--target", "energy"], 2, "energy is known from a table alone.*`hwnas profile --energy`"),
        (["search", "--max-energy", "5mJ"], 2, "energy is known from a table alone"),
        (["search", "--missing", "guess"], 2, "--missing: expected one of error, step, regress, measure"),
        (
            ["search", "--max-latency", "5 minutes"],
            2,
            "--max-latency: cannot read '5 minutes': expected a number with one of the units",
        ),
        (["search", "--max-latency", "-5ms"], 2, "--max-latency: cannot use '-5ms': expected a number above 0"),
        (["search", "--max-params", "0"], 2, "--max-params: cannot use '0': expected a number above 0"),
        (["search", "--min-latency", "2ms", "--max-latency", "1ms"], 2, "nothing can keep --min-latency 2ms and --max"),
        (["search", "--space", "gpunet:huge"], 2, "unknown space 'gpunet:huge': .*gpunet:paper"),
        (["search", "--data", "mnist"], 2, "unknown data 'mnist'"),
        (["search", "--data", "nowhere/data.npz"], 2, "no data at nowhere/data.npz"),
        (["search", "--data", "nowhere:make"], 2, "no module nowhere: expected nowhere.py in the current folder"),
        (["search", "--data", "digits?size=9"], 2, "digits takes no options"),
        (["search", "--recipe", "nasbench"], 2, "unknown recipe 'nasbench'.*Did you mean 'nasbench201'"),
        (["search", "--epochs", "0"], 2, "--epochs"),
        (["search", "--train-on", "tpu"], 2, "--train-on: expected one of auto, cpu, gpu, received 'tpu'"),
        (["search", "--evaluator", "supernets"], 2, "unknown evaluator 'supernets'.*Did you mean 'supernet'"),
        (["search", "--evaluator", "json:dump"], 2, r"json:dump takes \(obj, fp, .*expected \(architecture\)"),
        (["search", "--evaluator", "json:quality"], 2, "json has no function 'quality': it has detect_encoding, dump"),
        (
            ["search", "--evaluator", "few-shot", "--space", "recurrent:tiny", "--data", "clips"],
            2,
            "weights cannot be shared by recurrent networks.*--evaluator trained",
        ),
        (["search", "--halving", "3", "--evaluator", "few-shot"], 2, "which the evaluator few-shot does not make"),
        (["search", "--halving", "3", "--epochs", "1"], 2, "expected a recipe of at least 3 epochs"),
        (["search", "--halving", "1"], 2, "expected a halving of 2 or more, such as 3, received 1"),
        (["search", "--evaluator", "tabular"], 2, "no table holds accuracies of space mobilenet:small on data digits"),
        (["search", "--evaluator", "predictor"], 2, "earlier run: name its folder with --learn-from"),
        (["search", "--evaluator", "predictor", "--learn-from", "nowhere"], 2, "nowhere is no run folder"),
        (["search", "--executor", "dask"], 2, "unknown executor 'dask': expected one of auto, processes, ray, serial"),
        (["search", "--executor", "serial", "--workers", "2"], 2, "one trial at a time, received 2 workers"),
        (["search", "--workers", "0"], 2, "--workers"),
        (["search", "--trial-timeout", "soon"], 2, "--trial-timeout: expected a time such as 90s, 20min or 2h"),
        (["search", "--trial-timeout", "0s"], 2, "--trial-timeout: expected a time such as 90s, 20min or 2h"),
        (["search", "--worker-resource", "jetson"], 2, "--worker-resource: expected NAME=1 with a number above 0"),
        (["search", "--address", "auto"], 2, "an address is for the executor ray; this one is serial"),
        (["search", "--executor", "slurm"], 2, "give --worker-time, for example 2h"),
        (
            ["search", "--worker-time", "soon"],
            2,
            "--worker-time: expected a time such as 90s, 20min or 2h, received soo",
        ),
        (["search", "--worker-memory", "much"], 2, "cannot read 'much': expected a number with one of the units"),
        (["search", "--partition", "gpu"], 2, "a partition is for the executor slurm; this one is serial"),
        (["search", "--storage", "redis://here"], 2, "nobody knows a database 'redis': expected sqlite:///FILE"),
        (["search", "--storage", "nonsense"], 2, "cannot use the storage 'nonsense': expected sqlite:///FILE"),
        (
            ["search", "--warm-start", "nowhere"],
            2,
            "cannot begin with 'nowhere': expected the folder of a run, or STOR",
        ),
        (["search", "--progress", "bars"], 2, "--progress: expected one of auto, plain, json, received 'bars'"),
        (["search", "--seed", "-1"], 2, "--seed"),
        (["search", "--trials", "many"], 2, "--trials.*integer"),
        (["search", "--table", "nowhere.jsonl"], 2, "expected the path of a table .*received 'nowhere.jsonl'"),
        (["search", "--no-such-option"], 2, "No such option"),
        (["frobnicate"], 2, "No such command"),
        (["export", "nowhere"], 2, "nowhere is no run folder"),
        (["export"], 2, "Missing argument"),
        (["report", "nowhere"], 2, "nowhere is no run folder"),
        (["report", "nowhere", "--every", "5"], 2, "--every: it is how often --watch looks"),
    ],
)
def test_a_users_mistake_is_one_message_with_its_status(
    hwnas: Hwnas, arguments: list[str], status: int, message: str
) -> None:
    answer = hwnas(*arguments)
    assert answer.status == status
    assert re.search(message, answer.err), answer.err
    assert "Traceback" not in answer.err
    assert answer.out == ""


def test_training_on_a_gpu_that_is_not_there_exits_3_before_anything_is_measured(
    hwnas: Hwnas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    answer = hwnas("search", *TINY, "--train-on", "gpu", "--out", "run")
    assert answer.status == 3
    assert "no GPU to train on" in answer.err
    assert not Path("run").exists()
    assert not Path("hwnas-tables").exists()


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["hwnas", "--debug", "report", "nowhere"])
    with pytest.raises(ValueError, match="no run folder"):
        cli.main()


def test_gpu_without_a_usable_gpu_exits_3_with_cause_and_cure_and_measures_nothing(hwnas: Hwnas) -> None:
    answer = hwnas("profile", "--device", "gpu", "--out", "gpu.jsonl")
    if answer.status == 0:
        pytest.skip("this machine has a usable GPU")
    assert answer.status == 3
    assert "no usable GPU" in answer.err
    assert "hwnas[gpu]" in answer.err
    assert not Path("gpu.jsonl").exists()


def damaged(table: Path, how: str, to: Path) -> Path:
    text = table.read_text()
    if how == "truncated":
        text = text[: len(text) // 2]
    elif how == "edited":
        text = text.replace('"latency_ms": 0', '"latency_ms": 1', 1)
    elif how == "schema":
        text = text.replace('"schema_version": 2', '"schema_version": 7', 1)
    elif how == "empty":
        text = ""
    elif how == "binary":
        to.write_bytes(bytes(range(256)))
        return to
    to.write_text(text)
    return to


@pytest.mark.parametrize("how", ["truncated", "edited", "schema", "empty", "binary"])
@pytest.mark.parametrize("command", ["search", "profile"])
def test_a_damaged_table_is_refused_and_left_alone(hwnas: Hwnas, here_table: Path, how: str, command: str) -> None:
    bad = damaged(here_table, how, Path("bad.jsonl"))
    before = bad.read_bytes()
    answer = hwnas(command, *TINY, "--table" if command == "search" else "--out", str(bad))
    assert answer.status == 2
    assert "bad.jsonl" in answer.err
    assert ("pip install --upgrade hwnas" if how == "schema" else "hwnas profile") in answer.err
    assert bad.read_bytes() == before


def test_a_table_of_another_machine_is_refused_unless_accepted(
    hwnas: Hwnas, tmp_path: Path, quick_exporter: None
) -> None:
    write_table(made_up_table(network_family("mobilenet:tiny")), tmp_path / "other.jsonl")
    arguments = ["search", *TINY, *BRIEF, "--table", "other.jsonl", "--trials", "2", "--out", "run"]
    answer = hwnas(*arguments)
    assert answer.status == 2
    assert "other conditions" in answer.err
    assert "--allow-other-device" in answer.err
    assert hwnas(*arguments, "--allow-other-device", "--json").status == 0
    card = json.loads(Path("run/models/knee.json").read_text())
    assert card["latency"] == {
        "skipped": "--allow-other-device was given: this device may be another one than the table's"
    }


def test_a_table_that_lacks_kernels_names_the_command_that_measures_them(hwnas: Hwnas, here_table: Path) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 255, (60, 8, 8, 3), dtype=np.uint8), np.arange(60) % 3
    np.savez("colour.npz", images=images, labels=labels)
    answer = hwnas("search", *TINY, "--table", str(here_table), "--data", "colour.npz")
    assert answer.status == 2
    assert "the table holds no block stem(in=3" in answer.err
    assert "hwnas profile" in answer.err


def test_what_a_user_should_know_about_the_data_is_said_before_anything_is_trained(
    hwnas: Hwnas, here_table: Path
) -> None:
    images = np.random.default_rng(0).integers(0, 255, (60, 8, 8), dtype=np.uint8)
    images[1] = images[0]
    np.savez("twice.npz", images=images, labels=np.arange(60) % 3)
    answer = hwnas("search", *TINY, "--table", str(here_table), "--data", "twice.npz", "--max-latency", "1ns")
    assert "data twice.npz: 1 images stand in the data more than once, under different labels" in answer.err


def test_an_impossible_limit_names_the_nearest_feasible_value_before_any_training(
    hwnas: Hwnas, here_table: Path
) -> None:
    answer = hwnas("search", *TINY, "--table", str(here_table), "--max-latency", "1ns", "--out", "run")
    assert answer.status == 2
    nearest = answer.err.split("the smallest reachable value is ")[1].split("ms")[0]
    assert not Path("run").exists()
    again = hwnas("search", *TINY, *BRIEF, "--table", str(here_table), "--max-latency", f"{nearest}ms", "--trials", "1",
                  "--out", "run", "--json", "--allow-other-device")  # fmt: skip
    assert again.status == 0
    assert "What space mobilenet:tiny offers" in again.err
    assert json.loads(again.out)["feasibility"]["share"]["value"] > 0


def test_a_preview_says_what_limits_leave_and_trains_nothing(hwnas: Hwnas, here_table: Path) -> None:
    asked = ("search", *TINY, "--table", str(here_table), "--preview", "--out", "run")
    found = json.loads(hwnas(*asked, "--max-latency", "50us", "--max-params", "5k", "--json").out)
    assert found["exact"] is True
    assert found["looked_at"] == found["size"] == 12800
    assert 0 < found["share"]["value"] < 1
    assert {one["cost"] for one in found["costs"] if one["limit"] is not None} == {"latency_ms", "params_m"}
    shown = hwnas(*asked)
    assert shown.status == 0
    assert "Every one of its 12,800 architectures was looked at" in shown.out
    band = hwnas(*asked, "--min-latency", "20us", "--max-latency", "50us")
    assert "0.02 to" in band.out
    assert "from 0.02" in hwnas(*asked, "--min-latency", "20us").out
    assert "0.0392 to" in hwnas(*asked, "--hit-latency", "40us").out
    beyond = hwnas(*asked, "--min-latency", "1s")
    assert beyond.status == 2
    assert "--min-latency 1000ms: the largest reachable value is" in beyond.err
    hit = hwnas(*asked, "--hit-latency", "1s")
    assert hit.status == 2
    assert "--hit-latency 1s asks for a latency within 2 % of it." in hit.err
    assert "--max-latency 1020ms" not in hit.err  # which every network keeps
    impossible = hwnas(*asked, "--max-latency", "1ns", "--json")
    assert impossible.status == 2
    assert json.loads(impossible.out)["feasible"] is False
    assert "the smallest reachable value is" in impossible.err
    assert not Path("run").exists()


@pytest.mark.parametrize("kind", ["one class", "nan", "shape", "labels", "text"])
def test_unusable_data_are_refused_before_any_training(hwnas: Hwnas, kind: str) -> None:
    images, labels = np.zeros((40, 8, 8), dtype=np.float32), np.arange(40) % 2
    if kind == "one class":
        labels = np.zeros(40, dtype=int)
    elif kind == "nan":
        images[3, 2, 1] = np.nan
    elif kind == "shape":
        images = np.zeros((40, 64), dtype=np.float32)
    elif kind == "labels":
        labels = labels[:-1]
    np.savez("bad.npz", images=images, labels=labels)
    if kind == "text":
        Path("bad.npz").write_text("not an archive")
    answer = hwnas("search", *TINY, "--data", "bad.npz")
    assert answer.status == 2
    assert "bad.npz" in answer.err
    assert "Traceback" not in answer.err


def test_an_unwritable_place_is_named_with_status_3(hwnas: Hwnas, here_table: Path) -> None:
    Path("file").write_text("in the way")
    answer = hwnas("search", *TINY, "--table", str(here_table), "--out", "file/run")
    assert answer.status == 3
    assert "file/run" in answer.err
    assert hwnas("profile", *TINY, "--out", "file/table.jsonl").status == 3


def test_doctor_says_what_there_is(hwnas: Hwnas) -> None:
    answer = hwnas("doctor", "--json")
    assert answer.status == 0
    assert json.loads(answer.out)["device"] in {"cpu", "gpu"}
    assert "onnxruntime" in hwnas("doctor").out


def test_a_diagnosis_shows_brackets_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    cure = 'pip install "hwnas[gpu]"'
    checks = [{"name": "GPU", "status": "absent", "found": "[none]", "cure": cure}]
    found = {"checks": checks, "fit_to_measure": False, "reasons": [f"no GPU: {cure}"], "device": "cpu"}
    render(found, lambda: diagnosis_parts(found), as_json=False)
    shown = capsys.readouterr().out
    assert shown.count("[gpu]") == 2
    assert "[none]" in shown


def test_profile_search_export_report_in_one_folder(hwnas: Hwnas, short_protocol: None, quick_exporter: None) -> None:
    """The main job on the tiny space, by the quick exporter: every command, its files, and all of them again."""
    profiled = hwnas("profile", "--device", "cpu", *TINY, "--out", "cpu.jsonl", "--no-steps", "--json")
    assert profiled.status == 0
    assert json.loads(profiled.out)["kernels"] == len(read_table("cpu.jsonl").kernels)
    stamp = Path("cpu.jsonl").stat().st_mtime_ns
    assert hwnas("profile", "--device", "cpu", *TINY, "--out", "cpu.jsonl", "--no-steps").status == 0
    assert Path("cpu.jsonl").stat().st_mtime_ns == stamp

    targets = ("--target", "latency", "--target", "flops")
    training = ("--recipe", "quick", "--train-on", "cpu", "--no-channels-last", *BRIEF)
    command = ["search", *targets, *TINY, *training, "--table", "cpu.jsonl", "--trials", "6"]
    searched = hwnas(*command, "--json")
    assert searched.status in {0, 4}, searched.err  # 4: a machine too restless for the latency check
    run = Path("runs/search")
    if searched.status == 0:
        result = json.loads(searched.out)
        assert [row["trial"] for row in result["front"]] == [t.number for t in open_run(run).front()]
        assert result["winners"]["knee"]["parity"]["passed"]
    assert {"study.db", "front.csv", "report.html", "latency_table.jsonl", "run.json"} <= {
        f.name for f in run.iterdir()
    }
    assert open_run(run).settings.recipe == preset("quick", epochs=1, device="cpu", channels_last=False)
    again = hwnas(*command)
    assert "finished: 6 of 6 trials" in again.err
    refused = hwnas(*command, "--seed", "3")
    assert refused.status == 2
    assert "seed: recorded 0, asked for 3" in refused.err

    exported = hwnas("export", str(run), "--pick", "2", "--latency-tolerance", "5")
    assert exported.status == 0
    assert "parity" in exported.out
    assert hwnas("export", str(run), "--pick", "nobody").status == 2
    assert hwnas("report", str(run)).status == 0
    name = open_run(run).pick("2").architecture.id
    assert_runs_with_only_onnxruntime_and_numpy(run / "models" / f"{name}.onnx")


def assert_runs_with_only_onnxruntime_and_numpy(model: Path) -> None:
    """In a process in which nothing but these two, and what they need, can be imported."""
    script = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {{"torch", "hwnas", "profilers", "latency_tables", "onnx", "sklearn", "optuna"}}:
            raise ImportError(name + " is not here")
sys.meta_path.insert(0, Refuse())
import json, numpy, onnxruntime
session = onnxruntime.InferenceSession({str(model)!r}, providers=["CPUExecutionProvider"])
entry = session.get_inputs()[0]
logits = session.run(None, {{entry.name: numpy.zeros(entry.shape, dtype=numpy.float32)}})[0]
meta = session.get_modelmeta().custom_metadata_map
print(json.dumps([list(logits.shape), sorted(meta), json.loads(meta["hwnas.labels"])]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    shape, keys, labels = json.loads(done.stdout)
    assert shape == [1, 10]
    assert labels == [str(i) for i in range(10)]
    assert {"hwnas.architecture", "hwnas.preprocessing", "hwnas.table_sha256", "hwnas.versions"} <= set(keys)


def test_a_deliberately_broken_export_exits_4(
    hwnas: Hwnas, here_table: Path, monkeypatch: pytest.MonkeyPatch, quick_exporter: None
) -> None:
    command = ["search", *TINY, *BRIEF, "--table", str(here_table), "--trials", "1", "--allow-other-device"]
    assert hwnas(*command).status == 0
    for card in Path("runs/search/models").glob("*.json"):
        card.unlink()
    from hwnas.conversion import parity

    whole = parity.to_onnx

    def broken(module: object, image: object, **form: object) -> bytes:
        import onnx

        model = onnx.load_model_from_string(whole(module, image, **form))  # type: ignore[arg-type]
        for weight in model.graph.initializer:
            if weight.data_type == 1 and len(weight.dims) == 2:
                weight.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(weight), weight.name))
        return bytes(model.SerializeToString())

    monkeypatch.setattr(parity, "to_onnx", broken)
    answer = hwnas("export", "runs/search", "--allow-other-device")
    assert answer.status == 4
    assert "differs from torch by up to" in answer.err
    assert "the first tensor that differs is logits of Gemm node" in answer.err
    card = json.loads(Path("runs/search/models/knee.json").read_text())
    assert card["passed"] is False
    assert card["culprit"]["op_type"] == "Gemm"


def test_a_latency_outside_the_tolerance_exits_4_with_everything_written(
    hwnas: Hwnas, here_table: Path, quick_exporter: None
) -> None:
    table = read_table(here_table)
    slow = {
        key: replace(row, timing=replace(row.timing, latency_ms=50 * row.timing.latency_ms))
        for key, row in table.kernels.items()
    }
    write_table(LatencyTable(table.manifest, slow, table.blocks, {}), "slow.jsonl")  # predicts fifty times too much
    answer = hwnas("search", *TINY, *BRIEF, "--table", "slow.jsonl", "--trials", "1", "--out", "run")
    assert answer.status == 4
    assert "ms were predicted" in answer.err
    assert Path("run/report.html").exists()
    assert Path("run/models/knee.onnx").exists()
    assert json.loads(Path("run/models/knee.json").read_text())["latency"]["passed"] is False


def test_the_status_after_ctrl_c_counts_wherever_it_came(tmp_path: Path) -> None:
    """Where code from a string was running, the making of a dataclass for one, Python kills itself at its end."""
    (tmp_path / "interrupted.py").write_text(
        "import sys, typer\n"
        "from hwnas.commands.endings import ended\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def search() -> None:\n"
        "    exec('raise KeyboardInterrupt')\n"
        "sys.exit(ended(app, []))\n"
    )
    paths = os.pathsep.join([str(tmp_path), str(Path(cli.__file__).parents[1])])
    command = [sys.executable, "-m", "interrupted"]
    environment = {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert (done.returncode, "Stopped" in done.stderr) == (1, True)


def test_ctrl_c_stops_cleanly_and_kill_9_loses_and_doubles_nothing(
    hwnas: Hwnas, here_table: Path, tmp_path: Path, quick_exporter: None
) -> None:
    """Real processes: one Ctrl-C and three kills a random moment after a trial, then the same command to the end.

    Signals follow the trials seen, not the clock: a fast machine would finish before a timer rang.
    """
    search = ["search", *TINY, *BRIEF, "--table", str(here_table), "--trials", "12",
              "--algorithm", "lamoo", "--out", str(tmp_path / "run"), "--allow-other-device"]  # fmt: skip
    command = [sys.executable, "-m", "cli", *search]
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    rng = np.random.default_rng(7)
    begun: dict[int, str] = {}
    for how in (signal.SIGINT, signal.SIGKILL, signal.SIGKILL, signal.SIGKILL):
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True)
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("search: trials"):
                break
        time.sleep(float(rng.uniform(0.0, 0.2)))
        process.send_signal(how)
        err = process.communicate(timeout=60)[1]
        if how == signal.SIGINT:
            assert process.returncode == 1
            assert "Every finished trial is kept" in err
            assert "Traceback" not in err
        for trial in open_run(tmp_path / "run").record.finished():
            assert begun.setdefault(trial.number, trial.architecture.id) == trial.architecture.id
    assert len(begun) < 12  # the last command had something left to do
    assert hwnas(*search).status == 0
    finished = open_run(tmp_path / "run").record.finished()
    assert [t.number for t in finished] == list(range(12))
    assert len({t.architecture.id for t in finished}) == 12
    assert all(finished[number].architecture.id == name for number, name in begun.items())
