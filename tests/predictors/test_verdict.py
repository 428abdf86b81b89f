"""The outcome of an evaluation as JSON, and the bounds a check in CI sets."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwnas.core import DataError, UsageError
from hwnas.networks import NetworkFamily
from hwnas.predictors import Evaluation, gates, read_evaluation, write_evaluation
from tests.evaluations import made_up_evaluation


@pytest.fixture(scope="module")
def evaluation(tiny_family: NetworkFamily) -> Evaluation:
    found = made_up_evaluation(tiny_family, slower=1.04, half=1.01, disturbed=lambda index: 1 + 0.01 * (index % 3))
    return replace(found, gates=gates(found.groups, estimate="table", max_mape=0.02, min_kendall=0.5))


def test_an_evaluation_comes_back_from_its_file(evaluation: Evaluation, tmp_path: Path) -> None:
    file = write_evaluation(evaluation, tmp_path / "evaluation.json")
    assert read_evaluation(file) == evaluation


def test_the_schema_is_what_programs_rely_on(evaluation: Evaluation) -> None:
    value = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert set(value) == {
        *("schema", "schema_version", "about", "session", "groups", "gates", "unmeasured", "networks")
    }
    assert (value["schema"], value["schema_version"]) == ("hwnas-evaluation", 1)
    assert set(value["groups"]) == {"random", "front"}
    for group in value["groups"].values():
        assert set(group) == {"networks", "noise", "estimates"}
        assert set(group["estimates"]) == {"table", "session", "flops", "params"}
        for figures in (group["noise"], *group["estimates"].values()):
            assert set(figures) == {
                *("mape", "median_error", "bias", "within_5", "within_10", "worst_5", "spearman", "kendall"),
                *("top_1_regret", "top_k_regret", "k", "inside"),
            }
    assert set(value["networks"][0]) == {
        *("id", "group", "flops_m", "params_m", "truth_ms", "halves_ms", "noise", "predicted_ms", "spread_ms")
    }
    assert set(value["session"]) == {"networks", "in_table", "device_speed", "noise_median", "noise_p95"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "expected hwnas-evaluation version 1, received hwnas-evaluation version 2"),
        ({"schema": "hwnas-run"}, "received hwnas-run version 1: evaluate again"),
        ({"groups": {"random": {}}}, "expected an evaluation, received something else"),
        ({"groups": None}, "expected an evaluation, received something else"),
        ({"about": {"space": "x"}}, "expected an evaluation, received something else"),
        ({"networks": [{"halves_ms": [1, 2, 3]}]}, "expected an evaluation, received something else"),
    ],
)
def test_what_is_no_evaluation_is_named_with_its_file(
    evaluation: Evaluation, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    file = tmp_path / "evaluation.json"
    file.write_text(json.dumps({**evaluation.to_json(), **changes}))
    with pytest.raises(DataError, match=message) as caught:
        read_evaluation(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "1"])
def test_a_damaged_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(DataError, match=r"evaluation\.json"):
        read_evaluation(tmp_path / "evaluation.json")


# --- bounds


def test_bounds_hold_in_every_group_for_the_estimate_they_are_for(evaluation: Evaluation) -> None:
    mape = {name: group.estimates["table"].mape for name, group in evaluation.groups.items()}
    found = gates(evaluation.groups, estimate="table", max_mape=max(mape.values()), min_kendall=None)
    assert [(gate.group, gate.figure, gate.passed) for gate in found] == [
        ("random", "mape", True),
        ("front", "mape", True),
    ]
    tight = gates(evaluation.groups, estimate="table", max_mape=0.99 * min(mape.values()), min_kendall=None)
    assert not any(gate.passed for gate in tight)
    assert all(gate.passed for gate in gates(evaluation.groups, estimate="table", max_mape=None, min_kendall=-0.5))
    assert gates(evaluation.groups, estimate="table", max_mape=None, min_kendall=None) == ()


def test_a_missed_bound_says_which_figure_against_which_bound(evaluation: Evaluation) -> None:
    (first, *_) = gates(evaluation.groups, estimate="table", max_mape=0.001, min_kendall=None)
    figure = f"{evaluation.groups['random'].estimates['table'].mape:.2%}"
    assert str(first) == f"MAPE of the estimate 'table' on the random networks is {figure}, expected at most 0.10%"


def test_an_undefined_order_meets_no_bound(evaluation: Evaluation) -> None:
    group = evaluation.groups["random"]
    none = replace(group, estimates={"table": replace(group.estimates["table"], kendall=None)})
    (gate,) = gates({"random": none}, estimate="table", max_mape=None, min_kendall=-0.9)
    assert not gate.passed
    assert "Kendall of the estimate 'table' on the random networks is undefined, expected at least -0.9000" in str(gate)


@pytest.mark.parametrize(
    ("max_mape", "min_kendall", "message"),
    [
        (0.0, None, "expected a bound of the MAPE above 0, such as 0.05 for 5 %, received 0"),
        (math.nan, None, "received nan"),
        (None, 1.5, "expected a bound of Kendall's tau above -1 and up to 1, received 1.5"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(max_mape: float | None, min_kendall: float | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        gates({}, estimate="table", max_mape=max_mape, min_kendall=min_kendall)
