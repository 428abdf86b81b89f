"""Parallel coordinates, and what was measured in the course of a search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwnas.networks import network_family
from hwnas.reports.numbers import collect
from hwnas.study import Run
from latency_tables import BlockRow, KernelRow, LatencyTable, NetworkRow, Row
from tests.reports.conftest import MANIFEST, _timing, begin_trial, runs_in
from tests.reports.pages import ACCURACIES, AddTrials, MakeRun, Read


def test_three_objectives_are_parallel_coordinates(make_run: MakeRun, add_trials: AddTrials, read: Read) -> None:
    run = make_run(targets=("latency", "params", "flops"))
    add_trials(run, ACCURACIES)
    page = read(run)
    lines = [link for link in page.having("a", **{"class": "curve"}) if "parallel-wide" in str(link["id"])]
    assert {link["href"] for link in lines} == {f"#trial-{trial.number}" for trial in run.front()}
    drawing = page.source[page.source.index('<figure id="figure-parallel">') :]
    for name in ("accuracy", "latency", "parameters", "FLOPs"):
        assert f">{name}</text>" in drawing
    assert f"of {len(run.front())} non-dominated trials over accuracy, latency, parameters, FLOPs" in drawing


def test_two_objectives_are_a_plane_and_no_more(run: Run, read: Read) -> None:
    assert "figure-parallel" not in read(run).source


def test_networks_measured_in_the_search_are_set_beside_their_predictions(run: Run, read: Read) -> None:
    trial = run.trials()[1]
    predicted_ms = float(run.predictors.by_precision["fp32"].predict([trial.architecture])[0][0])
    row = NetworkRow(key=f"{trial.architecture.id}-1x10", blocks={}, timing=_timing(2 * predicted_ms))
    run.measured.add(row, predicted_ms=predicted_ms)
    checked = collect(run).checked
    assert [(one.number, one.predicted_ms) for one in checked] == [(trial.number, pytest.approx(predicted_ms))]
    page = read(run)
    assert page.source.count('<figure id="figure-checked">') == 1
    assert f"trial {trial.number} · {trial.architecture.id} · predicted" in page.said


def test_cells_are_told_by_their_edges_and_kernels(tmp_path: Path) -> None:
    family = network_family("nasbench201")
    rng = np.random.default_rng(3)
    architecture = family.space.sample(rng)
    rows: list[Row] = []
    for key in {*family.block_keys(architecture), *(k for a in family.design.covering() for k in family.block_keys(a))}:
        rows.append(KernelRow(key=f"Fake({key})", timing=_timing(float(rng.uniform(0.01, 0.1))), provider="made up"))
        rows.append(BlockRow(key=key, kernels={f"Fake({key})": 2}))
    table = LatencyTable.from_rows(MANIFEST, rows)
    with runs_in(tmp_path, table) as make_run:
        run = make_run(space="nasbench201", channels=3)
        known = {name: float(values[0]) for name, values in run.costs.values([architecture]).items()}
        run.record.finish(begin_trial(run, architecture), {**known, "accuracy": 0.9})
        (network,) = collect(run).networks
    assert network.kernels.latency_ms == pytest.approx(known["latency_ms"])
    assert sum(block.latency_ms for block in network.blocks) == pytest.approx(network.kernels.parts_ms)
