"""A winner whose precision the search chose is handed over in it, as the network that was judged and predicted."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import hwnas
from hwnas.conversion import rounded, to_onnx
from hwnas.exports import ExportSettings, ExportStep
from hwnas.networks import NetworkFamily
from hwnas.predictors import LatencyPredictor
from hwnas.spaces import precision_of, without_precision
from hwnas.study import Run
from hwnas.training import Recipe
from profilers.precision import with_precision
from tests.builders import made_up_table, with_int8
from tests.exports.test_converting import Meter


@pytest.fixture(scope="module")
def searched_int8(tiny_family: NetworkFamily, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out, recipe = tmp_path_factory.mktemp("int8") / "run", Recipe(epochs=1)
    table = with_int8(made_up_table(tiny_family))
    hwnas.search(table=table, out=out, space="mobilenet:tiny", precisions=["int8"], trials=1, recipe=recipe)
    return out


@pytest.fixture
def int8_run(searched_int8: Path, quick_exporter: None, tmp_path: Path) -> Run:
    return hwnas.open_run(shutil.copytree(searched_int8, tmp_path / "run"))


def test_it_is_exported_in_that_precision_and_its_latency_held_against_its_prediction(int8_run: Run) -> None:
    meter, steps = Meter(), list[ExportStep]()
    trial = int8_run.pick("knee")
    expected_ms = float(int8_run.predictors.latency.predict([trial.architecture])[0][0])
    done = hwnas.export(int8_run, meter=meter, latency_tolerance=1e6)
    card = done.card
    assert done.model.name == "knee.onnx"
    assert card["precision"] == "int8"
    assert card["latency"]["predicted_ms"] == expected_ms
    assert card["costs"]["memory_mib"] == trial.values["memory_mib"]
    assert card["conversion"]["kept"] == []
    assert card["conversion"]["max_drop"] == 1.0
    assert b"QuantizeLinear" in meter.model
    assert "float_accuracy" in trial.values

    plain = hwnas.export(int8_run, settings=ExportSettings(precision="fp32"), on_step=steps.append)
    assert plain.model.name == "knee-fp32.onnx"
    assert "training" not in {step.name for step in steps}  # twins share their weights
    assert plain.card["costs"]["memory_mib"] > card["costs"]["memory_mib"]
    member = LatencyPredictor.of(int8_run.table, int8_run.family.at(batch=1, precision="fp32"))
    assert plain.card["costs"]["latency_ms"] == member.predict([without_precision(trial.architecture)])[0][0]


def test_a_bound_on_the_drop_counts_where_it_is_given(int8_run: Run) -> None:
    done = hwnas.export(int8_run, settings=ExportSettings(precision="int8", max_drop=0.5))
    assert done.model.name == "knee.onnx"
    assert done.card["conversion"]["max_drop"] == 0.5


def test_the_report_reads_the_cards_of_both_precisions(int8_run: Run) -> None:
    hwnas.export(int8_run, meter=Meter(), latency_tolerance=1e6)
    hwnas.export(int8_run, meter=Meter(), latency_tolerance=1e6, settings=ExportSettings(precision="fp32"))
    page = hwnas.report(int8_run).read_text(encoding="utf-8")
    assert "cannot be read" not in page
    assert "--precision int8" in page


def executed(model: bytes, folder: Path) -> Counter[str]:
    """What ONNX Runtime makes of a model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node)


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
def test_an_exported_network_in_int8_runs_the_kernels_that_tables_of_int8_hold(
    tiny_family: NetworkFamily, tmp_path: Path, exporter: str
) -> None:
    rng = np.random.default_rng(5)
    for _ in range(1 if exporter == "dynamo" else 4):
        architecture = tiny_family.space.sample(rng)
        size = tiny_family.resolution(architecture)
        images = rng.standard_normal((4, 1, size, size)).astype(np.float32)
        module = tiny_family.module(architecture, seed=0)
        model = rounded(to_onnx(module, torch.from_numpy(images[:1]), exporter=exporter), images)
        profiled = with_precision(tiny_family.workload(architecture).model, "int8")
        assert executed(model, tmp_path) == executed(profiled, tmp_path)


def test_metadata_say_the_precision(int8_run: Run) -> None:
    done = hwnas.export(int8_run)
    held = {entry.key: entry.value for entry in onnx.load(done.model).metadata_props}
    assert json.loads(held["hwnas.precision"]) == "int8"
    assert precision_of(done.trial.architecture) == "int8"
    assert json.loads(held["hwnas.latency_ms_predicted"]) > 0
