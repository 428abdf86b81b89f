"""Pools of latencies: what is read, cleaned and made of it, on made-up files and on the real one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwnas.core import Architecture, DataError, MachineError, UsageError
from hwnas.networks.cells import Cell, Edge
from hwnas.predictors import AdaptedPredictor, LatencyPool, cleaned, device_model, read_pool
from hwnas.predictors.pool_spaces import POOL_SPACES, _live, _pruned_cells
from hwnas.predictors.ranking import spearman
from hwnas.spaces import from_string, nasbench201_space, read_architecture
from hwnas.spaces.nasbench201 import EDGES, NODES
from latency_tables import MissingExtraError
from tests.predictors.pools import DEVICES, write_nasbench201, write_ofa, write_table

pytest.importorskip("pyarrow")
CELLS = POOL_SPACES["nasbench201"]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pools")
    write_nasbench201(made)
    write_ofa(made)
    return made


@pytest.fixture
def cells(folder: Path, monkeypatch: pytest.MonkeyPatch) -> LatencyPool:
    monkeypatch.setenv("HWNAS_DATA", str(folder))
    return read_pool("nasbench201")


@pytest.fixture
def mobile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> LatencyPool:
    monkeypatch.setenv("HWNAS_DATA", str(folder))
    return read_pool("mobilenet:ofa")


def measured(pool: LatencyPool, n: int, *, device: int = 0, scale: float = 1.0) -> dict[Architecture, float]:
    latency = dict(zip(pool.architectures, pool.latency_ms[device], strict=True))
    return {one: scale * float(latency[one]) for one in pool.choose(n)}


# --- features


@given(st.lists(st.booleans(), min_size=6, max_size=6))
@settings(deadline=None)
def test_an_edge_is_live_exactly_when_a_cell_says_so(present: list[bool]) -> None:
    edges = [Edge(source=i, target=j) for (i, j), there in zip(EDGES, present, strict=True) if there]
    live = Cell(nodes=NODES, edges=tuple(edges)).live
    expected = {(edges[i].source, edges[i].target) for i in live}
    found = {edge for edge, alive in zip(EDGES, _live(np.array([present]))[0], strict=True) if alive}
    assert found == expected


def test_cells_of_equal_features_are_the_same_cell() -> None:
    every = list(nasbench201_space().enumerate())
    assert len({tuple(row) for row in CELLS.features(every).tolist()}) == len(every) == 15_625


def test_dead_edges_count_among_all_edges_alone() -> None:
    dead = from_string("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|none~0|none~1|none~2|")
    features = CELLS.features([dead])[0].reshape(2, -1)
    assert features[0].sum() == 4  # two convolutions, each in a count and on an edge
    assert not features[1].any()


def test_pruned_latencies_leave_out_what_dead_edges_cost_and_nothing_else() -> None:
    space, rng = nasbench201_space(), np.random.default_rng(0)
    drawn = [space.sample(rng) for _ in range(500)]
    features = CELLS.features(drawn)
    everything, live = np.hsplit(features, 2)
    prices = rng.uniform(0, 1, everything.shape[1])
    found = _pruned_cells(features, (5 + everything @ prices)[None])
    np.testing.assert_allclose(found[0], 5 + live @ prices)


def test_features_of_the_once_for_all_space_count_the_blocks_of_each_stage(mobile: LatencyPool) -> None:
    for one, row in zip(mobile.architectures, mobile.features, strict=True):
        counts = row[1:91].reshape(5, 2, 9)  # stage, first block or a later one, kernel and expansion
        depths = [int(one[f"s{stage}.depth"]) for stage in range(1, 6)]
        assert counts.sum(axis=2).tolist() == [[1, depth - 1] for depth in depths]
        np.testing.assert_allclose(row[91:], row[1:91] * (int(one["resolution"]) / 224) ** 2)


# --- pools


def test_a_pool_has_the_devices_and_the_latencies_of_its_file(cells: LatencyPool) -> None:
    assert cells.devices == DEVICES
    assert cells.latency_ms.shape == (len(DEVICES), len(cells.architectures))
    assert cells.candidates == cells.architectures


def test_resolutions_outside_the_space_are_learned_from_but_not_offered(mobile: LatencyPool) -> None:
    assert {one["resolution"] for one in mobile.architectures} == {132, 160, 192, 204, 224}
    assert {one["resolution"] for one in mobile.candidates} == {160, 192, 224}
    assert {one["resolution"] for one in mobile.choose(12)} <= {160, 192, 224}


def test_names_are_read_back_as_the_same_architecture(cells: LatencyPool, mobile: LatencyPool) -> None:
    for pool in (cells, mobile):
        for one in pool.candidates[:20]:
            assert read_architecture(pool.about.space, pool.about.name(one)) == one


def test_the_batch_is_no_part_of_a_devices_model() -> None:
    names = {"2080ti_32": "2080ti", "titan_rtx_1": "titan_rtx", "gold_6240": "gold_6240", "samsung_s7": "samsung_s7"}
    assert {name: device_model(name) for name in names} == names


def test_what_is_no_latency_becomes_unknown_and_nothing_else_changes() -> None:
    given_ms = np.array([[1.0, 2.0, 0.0, -1.0, np.nan, np.inf, 0.02, 0.06], [np.nan] * 8])
    found = cleaned(given_ms)
    np.testing.assert_array_equal(found[0], [1.0, 2.0, *[np.nan] * 5, 0.06])
    assert np.isnan(found[1]).all()


def test_devices_left_out_leave_no_trace_and_take_their_pruned_twins_along(cells: LatencyPool) -> None:
    left = cells.prior_without(["board_1", "board_32"])
    assert len(cells.prior.coefficients) == 2 * len(DEVICES)
    np.testing.assert_array_equal(left.coefficients, cells.prior.coefficients[[2, 3, 6, 7]])


# --- the predictor


def test_a_scaled_copy_of_a_pool_device_is_predicted(cells: LatencyPool, mobile: LatencyPool) -> None:
    for pool in (cells, mobile):
        adapted = AdaptedPredictor(pool, measured(pool, 20, scale=7.0))
        predicted_ms, spread_ms = adapted.predict(pool.architectures)
        assert (spearman(predicted_ms, pool.latency_ms[0]) or 0) > 0.98
        assert np.median(np.abs(predicted_ms / (7 * pool.latency_ms[0]) - 1)) < 0.05
        assert (spread_ms > 0).all()
        assert adapted.left_out_error < 0.2
        assert (adapted.left_out_spearman or 0) > 0.7


def test_a_spoiled_measurement_is_suspected() -> None:
    folder = os.environ.get("HWNAS_DATA", "")
    if not Path(folder, "nasbench201.parquet").is_file():
        pytest.skip("needs nasbench201.parquet in the folder that HWNAS_DATA names")
    pool = read_pool("nasbench201")
    known = measured(pool, 20, device=pool.devices.index("silver_4210r"))
    assert AdaptedPredictor(pool, known).suspects == []
    spoiled = list(known)[7]
    assert 7 in AdaptedPredictor(pool, {**known, spoiled: 6 * known[spoiled]}).suspects


def test_what_the_pool_does_not_tell_is_taken_over_and_must_be_one(mobile: LatencyPool) -> None:
    known = measured(mobile, 8)
    wide = {Architecture({**one, "width": 1.2}): ms for one, ms in known.items()}
    adapted = AdaptedPredictor(mobile, wide)
    assert {one["width"] for one in adapted.candidates()} == {1.2}
    with pytest.raises(UsageError, match=r"architectures of width 1.2, as measured, received width 1.0"):
        adapted.predict(mobile.candidates[:1])
    mixed = dict(list(known.items())[:4] + list(wide.items())[4:])
    with pytest.raises(DataError, match=r"measured networks of one width, received 1.0, 1.2"):
        AdaptedPredictor(mobile, mixed)


def test_too_few_or_equal_latencies_are_refused(cells: LatencyPool) -> None:
    known = measured(cells, 6)
    with pytest.raises(DataError, match="at least 5 networks, received 4: measure more"):
        AdaptedPredictor(cells, dict(list(known.items())[:4]))
    assert AdaptedPredictor(cells, dict(list(known.items())[:5])).measured_ms.shape == (5,)
    with pytest.raises(DataError, match="all 6 latencies are 2 ms: expected different ones"):
        AdaptedPredictor(cells, dict.fromkeys(known, 2.0))


# --- what is missing or broken


def test_a_space_without_a_pool_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(UsageError, match=r"unknown space with a pool of latencies 'mobilenet'.*mobilenet:ofa"):
        read_pool("mobilenet")


def test_without_a_data_folder_it_is_said_what_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HWNAS_DATA", raising=False)
    with pytest.raises(MachineError, match=r"needs the environment variable HWNAS_DATA: .* nasbench201.parquet"):
        read_pool("nasbench201")
    monkeypatch.setenv("HWNAS_DATA", str(tmp_path))
    with pytest.raises(MachineError, match=r"nasbench201.parquet does not exist; HWNAS_DATA should name the folder"):
        read_pool("nasbench201")


def test_without_pyarrow_the_install_line_is_named(cells: LatencyPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'reading a pool of latencies needs pyarrow.*pip install "hwnas\[parq'):
        read_pool("nasbench201")


def test_files_of_another_form_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HWNAS_DATA", str(tmp_path))
    file = tmp_path / "nasbench201.parquet"
    file.write_text("no table")
    with pytest.raises(DataError, match=r"cannot read .* as a Parquet file"):
        read_pool("nasbench201")
    columns: dict[str, object] = {f"d{i}_latency_ms": [1.0] for i in range(3)}
    write_table(tmp_path, file.name, columns)
    with pytest.raises(DataError, match=r"expected the columns arch_str and <device>_latency_ms of at least 3 devices"):
        read_pool("nasbench201")
    write_table(tmp_path, file.name, {"arch_str": ["conv"], **columns})
    with pytest.raises(DataError, match="has an architecture that cannot be read: expected an architecture of"):
        read_pool("nasbench201")
    write_table(tmp_path, file.name, {"arch_str": ["conv"], **columns, "d2_latency_ms": ["slow"]})
    with pytest.raises(DataError, match="expected numbers in the columns <device>_latency_ms"):
        read_pool("nasbench201")


# --- the real tables


def test_devices_left_out_are_ranked_from_ten_networks_on_the_real_table() -> None:
    if not Path(os.environ.get("HWNAS_DATA", ""), "nasbench201.parquet").is_file():
        pytest.skip("needs nasbench201.parquet in the folder that HWNAS_DATA names")
    pool, found = read_pool("nasbench201"), {}
    for device in ("2080ti_1", "eyeriss", "gold_6240", "pixel3", "samsung_a50", "titanxp_256"):
        held = [other for other in pool.devices if device_model(other) == device_model(device)]
        prior = pool.prior_without(held)
        rows = prior.choose(pool.features, 10)
        truth = pool.latency_ms[pool.devices.index(device)]
        predicted_ms, _ = prior.adapt(pool.features[rows], truth[rows]).predict(pool.features)
        found[device] = spearman(np.delete(predicted_ms, rows), np.delete(truth, rows)) or 0
    assert np.mean(list(found.values())) > 0.95
    assert min(found.values()) > 0.85
