"""``hwnas search --precision`` and what other commands make of such a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import cli
from hwnas.commands.endings import ended
from hwnas.networks import network_family
from latency_tables import write_table
from tests.builders import made_up_table, with_int8

TINY = ("--space", "mobilenet:tiny", "--epochs", "1")


def status(*arguments: str) -> int:
    return ended(cli.app, list(arguments))


@pytest.fixture
def table(tmp_path: Path) -> str:
    made = with_int8(made_up_table(network_family("mobilenet:tiny")))
    return str(write_table(made, tmp_path / "table.jsonl"))


def test_a_front_of_two_precisions_is_searched_told_and_predicted(
    table: str, tmp_path: Path, quick_exporter: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "run")
    asked = ("search", *TINY, "--table", table, "--allow-other-device", "--precision", "fp32,int8", "--out", out)
    pytest.importorskip("tensorboard")
    assert status(*asked, "--trials", "3", "--json", "--tracker", "tensorboard") == 0
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))
    found = json.loads(capsys.readouterr().out)
    assert {row["precision"] for row in found["front"]} <= {"fp32", "int8"}
    for row, card in ((row, found["winners"]["knee"]) for row in found["front"]):
        assert card["trial"] != row["trial"] or card["precision"] == row["precision"]
    assert status(*asked, "--trials", "3") == 0  # the same command again
    assert "prec" in capsys.readouterr().out

    own = {row["trial"]: row["precision"] for row in found["front"]}
    trial = found["winners"]["knee"]["trial"]
    assert status("predict", "knee", "--run", out, "--json") == 0
    predicted = json.loads(capsys.readouterr().out)
    assert predicted["precision"] == own[trial]
    assert predicted["network"] == found["winners"]["knee"]["id"]
    assert status("predict", "knee", "--run", out, "--precision", "int8", "--json") == 0
    assert json.loads(capsys.readouterr().out)["precision"] == "int8"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--precision", "int4"], 2, "unknown precision 'int4': expected one of fp16, fp32, int8"),
        (
            ["--precision", "int8", "--evaluator", "supernet"],
            2,
            "the evaluator supernet tells the accuracy of",
        ),
        (["--precision", "fp32,int8", "--halving", "3", "--epochs", "9"], 2, "leave --halving out, or --precision"),
        (["--tracker", "mlflow,aim"], 2, "unknown tracker 'aim': expected one of mlflow, tensorboard, wandb"),
        (["--precision", "fp32,fp16"], 3, "computes nothing of the network in fp16"),
        (["--precision", "fp32,fp16", "--table", "TABLE", "--allow-other-device"], 2, "--precision fp16"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_measured_or_trained(
    table: str, arguments: list[str], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    asked = [table if word == "TABLE" else word for word in arguments]
    assert status("search", *TINY, *asked, "--out", "run") == code
    assert message in capsys.readouterr().err
    assert not Path("run").exists()
    assert not Path("hwnas-tables").exists()
