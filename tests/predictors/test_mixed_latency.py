"""Predictions for networks of several precisions: each by the rows and the law of its own."""

from __future__ import annotations

import numpy as np
import pytest

from hwnas.networks import NetworkFamily, network_family
from hwnas.predictors import LatencyPredictor, LatencyPredictors
from hwnas.spaces import PRECISION, precision_of, without_precision
from latency_tables import LatencyTable, MissingRowError, TableMismatchError, keyed
from tests.builders import made_up_table, with_int8


@pytest.fixture(scope="module")
def mixed() -> NetworkFamily:
    return network_family("mobilenet:tiny", precisions=("fp32", "int8"))


@pytest.fixture(scope="module")
def table(mixed: NetworkFamily) -> LatencyTable:
    return with_int8(made_up_table(mixed.at(batch=1, precision="fp32")))


def test_a_network_costs_what_the_predictor_of_its_precision_says(mixed: NetworkFamily, table: LatencyTable) -> None:
    rng = np.random.default_rng(0)
    held = [mixed.space.sample(rng) for _ in range(40)]
    predictors = LatencyPredictors.of(table, mixed)
    latency_ms, spread_ms = predictors.latency.predict(held)
    assert {precision_of(one) for one in held} == {"fp32", "int8"}
    for one, ms, spread in zip(held, latency_ms, spread_ms, strict=True):
        member = LatencyPredictor.of(table, mixed.of(one))
        assert (ms, spread) == tuple(float(value[0]) for value in member.predict([without_precision(one)]))
        assert predictors.for_(one).rows.block(mixed.block_keys(one)[0]).how == "exact"


def test_int8_is_as_much_faster_as_its_rows(mixed: NetworkFamily, table: LatencyTable) -> None:
    network = without_precision(mixed.space.sample(np.random.default_rng(1)))
    twins = [mixed.space.architecture({**network, PRECISION: name}) for name in ("fp32", "int8")]
    before, after = LatencyPredictors.of(table, mixed).latency.predict(twins)[0]
    assert after == pytest.approx(0.8 * before, rel=0.02)


def test_nobody_asked_for_is_nobody_told(mixed: NetworkFamily, table: LatencyTable) -> None:
    latency_ms, spread_ms = LatencyPredictors.of(table, mixed).latency.predict([])
    assert latency_ms.shape == spread_ms.shape == (0,)


def test_a_family_of_one_precision_is_asked_directly(mixed: NetworkFamily, table: LatencyTable) -> None:
    plain = mixed.at(batch=1, precision="fp32")
    predictors = LatencyPredictors.of(table, plain)
    assert isinstance(predictors.latency, LatencyPredictor)
    assert predictors.energy is None


def test_a_table_without_rows_of_a_precision_is_refused_with_the_cure(mixed: NetworkFamily) -> None:
    plain = made_up_table(mixed.at(batch=1, precision="fp32"))
    with pytest.raises(TableMismatchError, match="--precision int8"):
        LatencyPredictors.of(plain, mixed)


def test_a_block_that_is_missing_in_one_precision_is_found_before_anything_is_paid_for(
    mixed: NetworkFamily, table: LatencyTable
) -> None:
    gone = keyed(mixed.block_keys(mixed.covering()[0])[0], precision="int8")
    less = LatencyTable.from_rows(
        table.manifest,
        [row for row in table.rows() if row.key != gone and gone not in getattr(row, "blocks", {})],
    )
    with pytest.raises(MissingRowError, match="int8"):
        LatencyPredictors.of(less, mixed).require_coverage(mixed.covering())
    LatencyPredictors.of(less, mixed).require_coverage([one for one in mixed.covering() if precision_of(one) == "fp32"])
