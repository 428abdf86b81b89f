"""What is known of the tiny space, all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.networks import NetworkFamily
from hwnas.objectives import KnownCosts
from hwnas.predictors import LatencyPredictor
from latency_tables import LatencyTable, NetworkRow
from tests.builders import additive_device, made_up_table


def known_costs(family: NetworkFamily, seed: int = 0) -> KnownCosts:
    table = made_up_table(family, device=additive_device(0.02, 0.9, -0.0004), seed=seed)
    rows = [
        replace(row, energy_mj=2.0 + 30 * row.timing.latency_ms) if isinstance(row, NetworkRow) else row
        for row in table.rows()
    ]
    predictor = LatencyPredictor.of(LatencyTable.from_rows(table.manifest, rows), family)
    return KnownCosts(family, predictor, energy=predictor.energy)


@pytest.fixture(scope="session")
def costs(tiny_family: NetworkFamily) -> KnownCosts:
    return known_costs(tiny_family)


@pytest.fixture(scope="session")
def everything(tiny_family: NetworkFamily) -> list[Architecture]:
    return list(tiny_family.space.enumerate())


@pytest.fixture(scope="session")
def all_values(costs: KnownCosts, everything: list[Architecture]) -> dict[str, NDArray[np.float64]]:
    """Every cost of every architecture of the tiny space."""
    return costs.values(everything)
