"""``hwnas predictor choose`` and ``adapt``: what they print, write and refuse, on a made-up pool."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import pytest

import cli
from hwnas.predictors import LatencyPool, read_pool
from tests.predictors.pools import write_nasbench201, write_ofa

pytest.importorskip("pyarrow")


class Answer(NamedTuple):
    status: int
    out: str
    err: str


Hwnas = Callable[..., Answer]


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("data")
    write_nasbench201(made)
    write_ofa(made)
    return made


@pytest.fixture
def hwnas(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, data_folder: Path
) -> Hwnas:
    """Runs the command line in a temporary folder and gives its status and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HWNAS_DATA", str(data_folder))

    def run(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["hwnas", "predictor", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        printed = capsys.readouterr()
        return Answer(int(caught.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture
def measured(hwnas: Hwnas) -> Callable[..., list[list[str]]]:
    """Writes ``measured.csv`` with the latencies of the pool's first device, and gives its rows."""

    def write(n: int, *, space: str = "nasbench201") -> list[list[str]]:
        pool = read_pool(space)
        known = dict(zip(pool.architectures, pool.latency_ms[0], strict=True))
        rows = [[pool.about.name(one), f"{known[one]:.6f}"] for one in pool.choose(n)]
        save(rows)
        return rows

    return write


def save(rows: list[list[str]], *, names: tuple[str, ...] = ("architecture", "latency_ms")) -> None:
    with Path("measured.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([list(names), *rows])


def read(path: Path | str) -> list[dict[str, str]]:
    with Path(path).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def pool_latencies(pool: LatencyPool) -> dict[str, float]:
    return {
        pool.about.name(one): float(ms) for one, ms in zip(pool.architectures, pool.latency_ms[0], strict=True)
    }  # fmt: skip


# --- choose


@pytest.mark.parametrize("space", ["nasbench201", "mobilenet:ofa"])
def test_what_is_chosen_is_a_file_to_fill_in_and_the_same_every_time(hwnas: Hwnas, space: str) -> None:
    first, second = (hwnas("choose", "--space", space, "-n", 7) for _ in range(2))
    assert first == second
    assert first.status == 0
    Path("chosen.csv").write_text(first.out, encoding="utf-8")
    rows = read("chosen.csv")
    assert len({row["architecture"] for row in rows}) == 7
    assert {row["latency_ms"] for row in rows} == {""}
    listed = json.loads(hwnas("choose", "--space", space, "-n", 7, "--json").out)
    assert listed["architectures"] == [row["architecture"] for row in rows]


@pytest.mark.parametrize("space", ["nasbench201", "mobilenet:ofa"])
def test_chosen_networks_are_written_as_sound_onnx_beside_the_file(hwnas: Hwnas, space: str) -> None:
    done = hwnas("choose", "--space", space, "-n", 3, "--out", "board")
    assert done.status == 0
    assert "hwnas predictor adapt board/measured.csv" in done.out
    for row in read("board/measured.csv"):
        onnx.checker.check_model(onnx.load(Path("board", row["model"])))
    assert len(list(Path("board").glob("*.onnx"))) == 3


def test_latencies_that_were_filled_in_are_not_overwritten(hwnas: Hwnas) -> None:
    assert hwnas("choose", "-n", 2, "--out", "board").status == 0
    refused = hwnas("choose", "-n", 2, "--out", "board")
    assert refused.status == 2
    assert "board/measured.csv exists" in refused.err
    assert hwnas("choose", "-n", 2, "--out", "board", "--force").status == 0


def test_more_networks_than_there_are_cannot_be_chosen(hwnas: Hwnas) -> None:
    refused = hwnas("choose", "-n", 5000)
    assert refused.status == 2
    assert re.search(r"expected a number of networks from 1 to \d+, received 5000", refused.err)


# --- adapt


@pytest.mark.parametrize("space", ["nasbench201", "mobilenet:ofa"])
def test_every_network_is_predicted_with_a_spread(
    hwnas: Hwnas, measured: Callable[..., list[list[str]]], space: str
) -> None:
    measured(20, space=space)
    done = hwnas("adapt", "measured.csv", "--space", space, "--out", "predicted.csv", "--json")
    assert done.status == 0
    result, rows = json.loads(done.out), read("predicted.csv")
    pool = read_pool(space)
    assert result["predicted"] == {"networks": len(rows), "file": "predicted.csv"}
    assert len(rows) == len(pool.candidates)
    truth = pool_latencies(pool)
    apart = [abs(float(row["latency_ms"]) / truth[row["architecture"]] - 1) for row in rows]
    assert np.median(apart) < 0.05
    assert all(float(row["spread_ms"]) > 0 for row in rows)
    fastest = min(rows, key=lambda row: float(row["latency_ms"]))
    assert result["fastest"][0]["architecture"] == fastest["architecture"]
    assert result["measured"] == 20
    assert 0 < result["left_out"]["spearman"] <= 1


def test_people_see_the_fastest_and_how_well_measurements_predict_one_another(
    hwnas: Hwnas, measured: Callable[..., list[list[str]]]
) -> None:
    measured(12)
    done = hwnas("adapt", "measured.csv")
    assert done.status == 0
    assert "From 12 networks and 4 other devices; --out writes all of them." in done.out
    assert re.search(r"predicted from the others: Spearman 0\.\d{3}, median error \d", done.out)


def test_networks_of_ones_own_are_predicted(hwnas: Hwnas, measured: Callable[..., list[list[str]]]) -> None:
    measured(8)
    name = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"
    Path("mine.csv").write_text(f"architecture\n{name}\n", encoding="utf-8")
    done = hwnas("adapt", "measured.csv", "--architectures", "mine.csv", "--json")
    assert [one["architecture"] for one in json.loads(done.out)["fastest"]] == [name]
    Path("mine.csv").write_text("architecture\n", encoding="utf-8")
    refused = hwnas("adapt", "measured.csv", "--architectures", "mine.csv")
    assert (refused.status, "mine.csv has no architectures" in refused.err) == (2, True)


def test_the_order_of_lines_and_further_columns_change_nothing(
    hwnas: Hwnas, measured: Callable[..., list[list[str]]]
) -> None:
    rows = measured(9)
    once = json.loads(hwnas("adapt", "measured.csv", "--json").out)["fastest"]
    save([["x", *row] for row in reversed(rows)], names=("note", "architecture", "latency_ms"))
    again = json.loads(hwnas("adapt", "measured.csv", "--json").out)["fastest"]
    assert [one["architecture"] for one in again] == [one["architecture"] for one in once]
    for a, b in zip(once, again, strict=True):
        assert a["latency_ms"] == pytest.approx(b["latency_ms"], rel=1e-6)


@pytest.mark.parametrize(
    ("latency", "message"),
    [
        ("nan", r"line 4: expected a latency_ms above 0, received 'nan'"),
        ("-1", r"line 4: expected a latency_ms above 0, received '-1'"),
        ("0", r"line 4: expected a latency_ms above 0, received '0'"),
        ("fast", r"line 4: expected a latency_ms above 0, received 'fast'"),
        ("", r"line 4: no latency_ms: measure that network, or take the line out"),
    ],
)
def test_a_latency_that_is_none_is_refused_with_its_line(
    hwnas: Hwnas, measured: Callable[..., list[list[str]]], latency: str, message: str
) -> None:
    rows = measured(6)
    rows[2][1] = latency
    save(rows)
    refused = hwnas("adapt", "measured.csv")
    assert refused.status == 2
    assert re.search(message, refused.err)


def test_what_else_is_wrong_with_a_file_is_said(hwnas: Hwnas, measured: Callable[..., list[list[str]]]) -> None:
    rows = measured(6)
    wrong = {
        r"at least 5 networks, received 4": rows[:4],
        r"line 8: .* was measured before in this file": [*rows, rows[0]],
        r"line 2: expected an architecture of nasbench201 in the form": [["conv", "1"], *rows],
    }
    for message, lines in wrong.items():
        save(lines)
        refused = hwnas("adapt", "measured.csv")
        assert refused.status == 2
        assert re.search(message, refused.err)
    save(rows, names=("architecture", "ms"))
    columns = hwnas("adapt", "measured.csv")
    assert "expected the columns architecture, latency_ms named in the first line, received architecture, ms" in (
        columns.err
    )
    Path("measured.csv").write_bytes(b"\xff\xfe\x00")
    assert "as a CSV file in UTF-8" in hwnas("adapt", "measured.csv").err
    assert hwnas("adapt", "nothing.csv").status == 3


def test_what_is_missing_on_the_machine_is_said(
    hwnas: Hwnas, measured: Callable[..., list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(6)
    assert hwnas("adapt", "measured.csv", "--space", "mobilenet:tiny").status == 2
    monkeypatch.delenv("HWNAS_DATA")
    refused = hwnas("adapt", "measured.csv")
    assert refused.status == 3
    assert "needs the environment variable HWNAS_DATA" in refused.err
