"""``hwnas predict``: architectures, models and trials from a table, and what is missing from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import cli
from hwnas.networks import NetworkFamily, network_family
from hwnas.predictors import LatencyPredictor
from latency_tables import LatencyTable, read_table, write_table
from tests.builders import made_up_table

ONE = {
    "resolution": 16, "width": 1.0, "activation": "relu", "s1.depth": 1, "s1.se": False, "s1.b1.kernel": 3,
    "s1.b1.expansion": 2, "s2.depth": 2, "s2.se": True, "s2.b1.kernel": 5, "s2.b1.expansion": 4, "s2.b2.kernel": 3,
    "s2.b2.expansion": 2,
}  # fmt: skip


def run(*arguments: str) -> tuple[int, str]:
    """Exit status and everything printed, errors as a user sees them."""
    outcome = CliRunner().invoke(cli.app, ["predict", *arguments])
    status, printed = outcome.exit_code, outcome.output
    if outcome.exception is not None and not isinstance(outcome.exception, SystemExit):
        status = getattr(type(outcome.exception), "exit_code", 1)
        printed += str(outcome.exception)
    return status, printed


def result(*arguments: str) -> dict[str, Any]:
    status, printed = run(*arguments, "--json")
    assert status == 0, printed
    return dict(json.loads(printed[printed.index("{") :]))


@pytest.fixture(scope="module")
def table_file(tiny_family: NetworkFamily, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made_up") / "table.jsonl"
    write_table(made_up_table(tiny_family), path)
    return path


def test_an_architecture_costs_what_its_predictor_says_and_its_parts_add_up(
    table_file: Path, tiny_family: NetworkFamily
) -> None:
    found = result(json.dumps(ONE), "--table", str(table_file))
    architecture = tiny_family.space.architecture(ONE)
    predictor = LatencyPredictor.of(read_table(table_file), tiny_family)
    latency_ms, spread_ms = predictor.predict([architecture])
    assert found["latency_ms"] == pytest.approx(latency_ms[0])
    assert found["spread_ms"] == pytest.approx(spread_ms[0])
    assert found["network"] == architecture.id
    parts = sum(part["count"] * part["latency_ms"] for part in found["parts"])
    assert found["parts_ms"] == pytest.approx(parts)
    assert parts + found["calls_ms"] + found["correction_ms"] == pytest.approx(found["latency_ms"])
    assert sum(part["share"] for part in found["parts"]) == pytest.approx(1)
    assert found["costs"].keys() == {
        "macs_m", "flops_m", "params_m", "weights_mib", "activations_mib", "memory_mib",
    }  # fmt: skip


def test_an_architecture_may_stand_in_a_file(table_file: Path, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps(ONE), encoding="utf-8")
    found = [result(asked, "--table", str(table_file)) for asked in (json.dumps(ONE), str(tmp_path / "one.json"))]
    assert found[0] == found[1]


def test_people_read_the_total_the_breakdown_and_the_costs(table_file: Path) -> None:
    status, printed = run(json.dumps(ONE), "--table", str(table_file))
    assert status == 0
    for words in ("(standard deviation)", "Parts ", "fitted on 24 networks", "By definition: macs_m", "mb(in="):
        assert words in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nope"], "cannot read an architecture of mobilenet:tiny from 'nope'"),
        (['{"resolution": 16}'], "choice 'width' of space mobilenet:tiny has no value: give one of (1.0, 2.0)"),
        ([json.dumps({**ONE, "depth": 3})], "space mobilenet:tiny has no choice 'depth'"),
        ([json.dumps(ONE), "--space", "nasbench201"], "space nasbench201 has no choice"),
        (["|nor_conv_9x9~0|", "--space", "nasbench201"], "expected an architecture of nasbench201 in the form"),
        ([json.dumps(ONE), "--batch", "8"], "no rows for batch 8, fp32: it has batch 1, fp32"),
        ([json.dumps(ONE), "--precision", "int8"], "no rows for batch 1, int8"),
        ([json.dumps(ONE), "--missing", "guess"], "expected one of error, step, regress, measure, received 'guess'"),
        ([json.dumps(ONE), "--shape", "x=1x3"], "shapes are for the inputs of an ONNX model"),
        ([json.dumps(ONE), "--data", "cifar10"], "holds no block stem(in=3,out="),
    ],
    ids=lambda value: None if isinstance(value, list) else value[:30],
)
def test_what_cannot_be_predicted_is_named_with_the_cure(
    table_file: Path, arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "cifar10" in arguments:
        monkeypatch.setattr("hwnas.load_data", lambda _: type("Images", (), {"channels": 3, "classes": 10}))
    status, printed = run(*arguments, "--table", str(table_file))
    assert status == 2
    assert words in printed.replace("\n", " ")


def test_without_a_table_nothing_is_predicted() -> None:
    status, printed = run(json.dumps(ONE))
    assert status == 2
    assert "expected a latency table" in printed


def test_a_row_that_is_missing_is_estimated_when_asked_for_and_said_to_be(
    table_file: Path, tiny_family: NetworkFamily, tmp_path: Path
) -> None:
    whole = read_table(table_file)
    gone = tiny_family.block_keys(tiny_family.space.architecture(ONE))[1]
    lacking = LatencyTable.from_rows(whole.manifest, [row for row in whole.rows() if row.key != gone])
    write_table(lacking, tmp_path / "lacking.jsonl")
    status, printed = run(json.dumps(ONE), "--table", str(tmp_path / "lacking.jsonl"))
    assert status == 2
    for words in (gone, "Nearest: mb(", "--missing measure", "--missing regress"):
        assert words in printed
    found = result(json.dumps(ONE), "--table", str(tmp_path / "lacking.jsonl"), "--missing", "regress")
    (part,) = (part for part in found["parts"] if part["key"] == gone)
    assert part["how"] == "regressed"
    assert part["spread"] > 0
    assert found["spread_ms"] > result(json.dumps(ONE), "--table", str(table_file))["spread_ms"]


# --- on this machine's CPU


def test_a_model_costs_what_its_architecture_costs_and_what_is_missing_is_measured_into_the_table(
    measured_tiny: Path, tiny_family: NetworkFamily, tmp_path: Path, short_protocol: None
) -> None:
    table = tmp_path / "tiny.jsonl"
    shutil.copy(measured_tiny, table)
    architecture = tiny_family.space.architecture(ONE)
    model = tmp_path / "one.onnx"
    model.write_bytes(tiny_family.workload(architecture).model)
    by_model = result(str(model), "--table", str(table))
    by_architecture = result(json.dumps(ONE), "--table", str(table))
    assert by_model["latency_ms"] == pytest.approx(by_architecture["latency_ms"], rel=1e-6)
    assert {part["how"] for part in by_model["parts"]} == {"exact"}

    other = network_family("mobilenet:tiny", channels=3, classes=7)
    model.write_bytes(other.workload(architecture).model)
    status, printed = run(str(model), "--table", str(table))
    assert status == 2
    assert "the table holds no kernel" in printed
    before = read_table(table)
    grown = result(str(model), "--table", str(table), "--missing", "measure")
    after = read_table(table)
    assert set(before.kernels) < set(after.kernels)
    assert {key: after.kernels[key] for key in before.kernels} == dict(before.kernels)
    assert {part["how"] for part in grown["parts"]} == {"exact"}
    assert result(str(model), "--table", str(table))["latency_ms"] == pytest.approx(grown["latency_ms"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--allow-other-device"], "rows of another device cannot be measured here"),
        ([], "those that come with hwnas are never changed"),
    ],
)
def test_a_table_that_is_not_the_users_to_grow_is_left_alone(
    changes: list[str], words: str, tmp_path: Path, tiny_family: NetworkFamily, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "t.jsonl"
    whole = made_up_table(tiny_family)
    gone = tiny_family.block_keys(tiny_family.space.architecture(ONE))[0]
    write_table(LatencyTable.from_rows(whole.manifest, [r for r in whole.rows() if r.key != gone]), table)
    monkeypatch.setattr("cli.predicting.backend_of", lambda *_, **__: None)
    if not changes:
        monkeypatch.setattr("latency_tables.shipped", lambda: [type("Shipped", (), {"path": table})])
    content = table.read_bytes()
    status, printed = run(json.dumps(ONE), "--table", str(table), "--missing", "measure", *changes)
    assert status == 2
    assert words in printed
    assert table.read_bytes() == content
