"""Measurements in the place of predictions, and energy by a law of its own."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hwnas.core import Architecture, Predictor
from hwnas.networks import NetworkFamily
from hwnas.predictors import Corrected, LatencyPredictor, MeasuredOrPredicted, row_spread
from latency_tables import LatencyTable, NetworkRow
from tests.builders import additive_device, made_up_table, made_up_timing


class Fixed:
    """Predicts what it was told to."""

    def predict(self, architectures: list[Architecture]) -> tuple[np.ndarray, np.ndarray]:
        values = np.array([float(a["ms"]) for a in architectures])
        return values, 0.1 * values


NETWORKS = [Architecture({"ms": ms}) for ms in (1.0, 2.0, 3.0)]


def test_what_was_measured_takes_the_place_of_what_is_predicted_as_soon_as_it_is_known() -> None:
    measured: dict[str, tuple[float, float]] = {}
    latencies = MeasuredOrPredicted(Fixed(), measured)
    assert isinstance(latencies, Predictor)
    assert latencies.predict(NETWORKS)[0].tolist() == [1.0, 2.0, 3.0]
    measured[NETWORKS[1].id] = (2.5, 0.01)
    latency_ms, spread_ms = latencies.predict(NETWORKS)
    assert latency_ms.tolist() == [1.0, 2.5, 3.0]
    assert spread_ms.tolist() == pytest.approx([0.1, 0.01, 0.3])


def test_predictions_move_by_what_measurements_said_of_others_and_measurements_do_not() -> None:
    errors: list[float] = []
    expected = Corrected(MeasuredOrPredicted(Fixed(), {NETWORKS[1].id: (2.5, 0.01)}), errors)
    assert expected.predict(NETWORKS)[0].tolist() == [1.0, 2.5, 3.0]
    errors += [math.log(1.5)] * 2  # as much as what is taken for granted
    latency_ms, spread_ms = expected.predict(NETWORKS)
    assert latency_ms.tolist() == pytest.approx([1.5**0.5, 2.5, 3 * 1.5**0.5])
    assert spread_ms.tolist() == pytest.approx([0.1 * 1.5**0.5, 0.01, 0.3 * 1.5**0.5])
    errors += [math.log(1.5)] * 996
    assert expected.predict(NETWORKS[:1])[0].tolist() == pytest.approx([1.5], rel=0.001)
    assert expected.predict([])[0].shape == (0,)


def test_a_noisy_row_is_not_believed_to_the_digit() -> None:
    sure = NetworkRow(key="n", blocks={}, timing=replace(made_up_timing(1.0), uncertainty=0.0196))
    assert row_spread(sure) == pytest.approx(0.01)
    assert row_spread(replace(sure, timing=replace(sure.timing, uncertainty=None))) == 0.0
    assert row_spread(replace(sure, timing=replace(sure.timing, noise="noisy"))) == 0.1


@pytest.mark.parametrize(("base_mj", "per_ms_mj"), [(0.5, 20.0), (0.0, 1e-3), (100.0, 3000.0)])
def test_energy_follows_its_own_law_in_its_own_unit(
    tiny_family: NetworkFamily, base_mj: float, per_ms_mj: float
) -> None:
    table = made_up_table(tiny_family, device=additive_device(0.02, 0.9))
    rows = [
        replace(row, energy_mj=base_mj + per_ms_mj * row.timing.latency_ms) if isinstance(row, NetworkRow) else row
        for row in table.rows()
    ]
    predictor = LatencyPredictor.of(LatencyTable.from_rows(table.manifest, rows), tiny_family)
    assert predictor.energy is not None
    networks = list(tiny_family.space.enumerate())[::500]
    energy_mj, spread_mj = predictor.energy.predict(networks)
    np.testing.assert_allclose(energy_mj, base_mj + per_ms_mj * predictor.predict(networks)[0], rtol=1e-6)
    assert (spread_mj < 1e-6 * energy_mj).all()


def test_the_energy_of_too_few_networks_is_unknown_and_not_nothing(tiny_family: NetworkFamily) -> None:
    table = made_up_table(tiny_family)
    few = [replace(row, energy_mj=1.0) for row in list(table.networks.values())[:7]]
    assert (
        LatencyPredictor.of(LatencyTable.from_rows(table.manifest, [*table.rows(), *few]), tiny_family).energy is None
    )
