"""The latency predictor on made-up devices whose law is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hwnas.core import Architecture, Predictor
from hwnas.networks import NetworkFamily
from hwnas.predictors import LatencyPredictor
from latency_tables import (
    BlockRow,
    Coordinates,
    KernelRow,
    LatencyTable,
    MissingRowError,
    NetworkRow,
    Row,
    TableMismatchError,
    keyed,
)
from tests.builders import (
    PROVIDER,
    Device,
    additive_device,
    made_up_manifest,
    made_up_table,
    made_up_timing,
    with_networks,
)


def samples(family: NetworkFamily, n: int) -> list[Architecture]:
    rng = np.random.default_rng(99)
    return [family.space.sample(rng) for _ in range(n)]


def truth_ms(
    table: LatencyTable, family: NetworkFamily, device: Device, architectures: Sequence[Architecture]
) -> NDArray[np.float64]:
    costs = [[table.block_cost(key) for key in family.block_keys(a)] for a in architectures]
    return np.array([device(sum(ms for ms, _ in network), sum(n for _, n in network)) for network in costs])


def disturbed(table: LatencyTable, factors: Sequence[float]) -> LatencyTable:
    """The table with the times of its first networks multiplied by some factors."""
    rows = [
        NetworkRow(key=row.key, blocks=row.blocks, timing=made_up_timing(factor * row.timing.latency_ms))
        for row, factor in zip(table.networks.values(), factors, strict=False)
    ]
    return LatencyTable.from_rows(table.manifest, [*table.rows(), *rows])


# --- the law of the device


@given(
    offset_ms=st.floats(0, 1),
    scale=st.floats(0.5, 1.5),
    per_kernel_ms=st.floats(-0.001, 0.01),
    networks=st.integers(8, 24),
    seed=st.integers(0, 20),
)
@example(offset_ms=1.0, scale=1.0, per_kernel_ms=0.0, networks=8, seed=4)  # nearly all of it is the offset
@example(offset_ms=0.0, scale=0.5, per_kernel_ms=0.0078125, networks=8, seed=13)  # one that widens it
@settings(max_examples=40, deadline=None)
def test_the_law_of_an_additive_device_is_found_and_predicts_exactly(
    tiny_family: NetworkFamily, offset_ms: float, scale: float, per_kernel_ms: float, networks: int, seed: int
) -> None:
    device = additive_device(offset_ms, scale, per_kernel_ms)
    table = made_up_table(tiny_family, device=device, networks=networks, seed=seed)
    predictor, architectures = LatencyPredictor(table, tiny_family.block_keys), samples(tiny_family, 20)
    found = predictor.calibration
    assert found.networks == len(table.networks)
    assert found.offset_ms == pytest.approx(offset_ms, abs=1e-9)
    assert found.scale == pytest.approx(scale, abs=1e-9)
    assert found.per_kernel_ms == pytest.approx(per_kernel_ms, abs=1e-9)
    latency_ms, spread_ms = predictor.predict(architectures)
    np.testing.assert_allclose(latency_ms, truth_ms(table, tiny_family, device, architectures), rtol=1e-9)
    if networks >= 12:  # of fewer, the rest may take one for an outlier that is none, which widens the spread
        assert found.spread < 1e-9
        assert (spread_ms < 1e-9 * latency_ms).all()


@pytest.mark.parametrize("factor", [1.2, 3.0, 10.0, 100.0])
def test_one_network_disturbed_while_measured_does_not_bend_the_law(tiny_family: NetworkFamily, factor: float) -> None:
    device = additive_device(0.05, 0.8, -0.0005)
    table = made_up_table(tiny_family, device=device)
    architectures = samples(tiny_family, 50)
    expected = truth_ms(table, tiny_family, device, architectures)
    for position in range(3):
        bent = disturbed(table, [1.0] * position + [factor])
        predictor = LatencyPredictor(bent, tiny_family.block_keys)
        np.testing.assert_allclose(predictor.predict(architectures)[0], expected, rtol=1e-4)


@pytest.mark.parametrize("factor", [0.1, 0.01])
@pytest.mark.parametrize("law", [(0.05, 0.8, -0.0005), (0.0, 1.0, 0.0), (0.5, 1.2, 0.005)])
def test_networks_recorded_far_too_fast_do_not_bend_the_law(
    tiny_family: NetworkFamily, factor: float, law: tuple[float, float, float]
) -> None:
    device = additive_device(*law)
    table, architectures = made_up_table(tiny_family, device=device), samples(tiny_family, 50)
    expected = truth_ms(table, tiny_family, device, architectures)
    assert len(table.networks) == 24
    for positions in [*((i,) for i in range(0, 24, 3)), (0, 1), (22, 23), (0, 8, 16), (5, 6, 7)]:
        factors = [factor if i in positions else 1.0 for i in range(24)]
        predictor = LatencyPredictor(disturbed(table, factors), tiny_family.block_keys)
        np.testing.assert_allclose(predictor.predict(architectures)[0], expected, rtol=1e-3)


@pytest.mark.parametrize("factor", [0.1, 0.01])
@pytest.mark.parametrize("seed", range(8))
def test_noise_with_a_network_recorded_far_too_fast_is_averaged_out(
    tiny_family: NetworkFamily, factor: float, seed: int
) -> None:
    device, rng = additive_device(0.05, 0.8, -0.0005), np.random.default_rng(seed)
    table, architectures = made_up_table(tiny_family, device=device, seed=seed), samples(tiny_family, 50)
    factors = 1 + 0.03 * rng.standard_normal(len(table.networks))
    factors[rng.integers(len(factors))] *= factor
    predicted = LatencyPredictor(disturbed(table, factors), tiny_family.block_keys).predict(architectures)[0]
    np.testing.assert_allclose(predicted, truth_ms(table, tiny_family, device, architectures), rtol=0.06)


def test_noise_with_a_disturbed_network_is_averaged_out(tiny_family: NetworkFamily) -> None:
    device = additive_device(0.05, 0.8, -0.0005)
    table, rng = made_up_table(tiny_family, device=device, networks=48), np.random.default_rng(0)
    noisy = disturbed(table, [5.0, *(1 + 0.03 * rng.standard_normal(47))])
    architectures = samples(tiny_family, 50)
    predicted = LatencyPredictor(noisy, tiny_family.block_keys).predict(architectures)[0]
    np.testing.assert_allclose(predicted, truth_ms(table, tiny_family, device, architectures), rtol=0.05)


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.1])
def test_the_spread_is_the_relative_noise_of_the_networks(tiny_family: NetworkFamily, noise: float) -> None:
    device, rng = additive_device(0.05, 0.8, -0.0005), np.random.default_rng(1)
    table = made_up_table(tiny_family, device=device, networks=48)
    predictor = LatencyPredictor(
        disturbed(table, 1 + noise * rng.standard_normal(len(table.networks))), tiny_family.block_keys
    )
    assert 0.7 * noise < predictor.calibration.spread < 1.6 * noise
    latency_ms, spread_ms = predictor.predict(samples(tiny_family, 50))
    typical = float(np.median(spread_ms / latency_ms))
    assert typical == pytest.approx(predictor.calibration.spread, rel=0.1)  # a little more or less by where it lies


def test_the_spread_comes_from_networks_left_out_of_the_fit(tiny_family: NetworkFamily) -> None:
    table, rng = made_up_table(tiny_family, networks=9), np.random.default_rng(2)
    noisy = disturbed(table, 1 + 0.05 * rng.standard_normal(9))
    errors = []
    for left_out in noisy.networks.values():
        rows = [row for row in noisy.rows() if row is not left_out]
        predictor = LatencyPredictor(
            LatencyTable.from_rows(noisy.manifest, rows), lambda _, row=left_out: list(Counter(row.blocks).elements())
        )
        assert predictor.calibration.networks == 8
        errors.append(predictor.predict([Architecture({})])[0][0] / left_out.timing.latency_ms - 1)
    spread = LatencyPredictor(noisy, tiny_family.block_keys).calibration.spread
    size = np.abs(errors)
    deviations = 1.4826 * float(np.median(size)), float(np.quantile(size, 0.8)) / 1.2816  # of a normal variable
    assert spread == pytest.approx(max(deviations), rel=1e-6)


@pytest.mark.parametrize("factor", [0.01, 0.1, 10.0])
def test_one_disturbed_network_does_not_pass_for_a_bad_predictor(tiny_family: NetworkFamily, factor: float) -> None:
    rng, table = np.random.default_rng(3), made_up_table(tiny_family, device=additive_device(0.05, 0.8, -0.0005))
    for position in range(0, 24, 6):
        factors = 1 + 0.03 * rng.standard_normal(len(table.networks))
        factors[position] *= factor
        found = LatencyPredictor(disturbed(table, factors), tiny_family.block_keys).calibration
        assert 0.5 * 0.03 < found.spread < 1.7 * 0.03


# --- few networks


def test_fewer_than_eight_networks_give_the_plain_sum(tiny_family: NetworkFamily) -> None:
    device, plain = additive_device(0.5, 2.0, 0.01), additive_device()
    architectures = samples(tiny_family, 10)
    for networks in (0, 1, 7):
        table = made_up_table(tiny_family, device=device, networks=networks)
        predictor = LatencyPredictor(table, tiny_family.block_keys)
        found = predictor.calibration
        assert (found.offset_ms, found.scale, found.per_kernel_ms, found.spread, found.networks) == (0, 1, 0, 0, 0)
        latency_ms, spread_ms = predictor.predict(architectures)
        np.testing.assert_allclose(latency_ms, truth_ms(table, tiny_family, plain, architectures), rtol=1e-12)
        assert not spread_ms.any()
    eight = made_up_table(tiny_family, device=device, networks=8)
    assert LatencyPredictor(eight, tiny_family.block_keys).calibration.networks == 8


def test_networks_of_other_data_or_without_a_time_are_left_out_of_the_fit(tiny_family: NetworkFamily) -> None:
    table = made_up_table(tiny_family, device=additive_device(0.1, 0.9, 0.001), networks=12)
    strangers = [
        NetworkRow(key="other data", blocks={"stem(in=3,out=8)": 1}, timing=made_up_timing(5.0)),
        NetworkRow(key="no time", blocks=next(iter(table.networks.values())).blocks, timing=made_up_timing(0.0)),
    ]
    extended = LatencyTable.from_rows(table.manifest, [*table.rows(), *strangers])
    first, found = (LatencyPredictor(held, tiny_family.block_keys).calibration for held in (table, extended))
    assert found.networks == first.networks == len(table.networks)
    for name in ("offset_ms", "scale", "per_kernel_ms", "spread"):
        assert getattr(found, name) == pytest.approx(getattr(first, name), abs=1e-9)


# --- predictions


def test_repeated_blocks_count_as_often_as_they_occur() -> None:
    table = LatencyTable.from_rows(
        made_up_manifest(),
        [
            KernelRow(key="k", timing=made_up_timing(0.5), provider=PROVIDER),
            KernelRow(key="l", timing=made_up_timing(0.25), provider=PROVIDER),
            BlockRow(key="b", kernels={"k": 1, "l": 2}),
            BlockRow(key="c", kernels={"l": 1}),
        ],
    )
    predictor = LatencyPredictor(table, lambda a: ["b"] * int(a["b"]) + ["c"] * int(a["c"]))
    latency_ms, _ = predictor.predict([Architecture({"b": 1, "c": 0}), Architecture({"b": 2, "c": 3})])
    assert latency_ms.tolist() == [1.0, 2.75]


def test_no_prediction_falls_below_a_tenth_of_its_kernels() -> None:
    rows = [KernelRow(key="k", timing=made_up_timing(1.0), provider=PROVIDER), BlockRow(key="b", kernels={"k": 1})]
    table = LatencyTable.from_rows(made_up_manifest(), rows)
    law = additive_device(-5.0, 1.0)
    held = with_networks(table, [(f"n{i}", ["b"] * (10 + i)) for i in range(10)], device=law)
    predictor = LatencyPredictor(held, lambda a: ["b"] * int(a["n"]))
    latency_ms, _ = predictor.predict([Architecture({"n": n}) for n in (1, 5, 15)])
    np.testing.assert_allclose(latency_ms, [0.1, 0.5, 10.0], rtol=1e-6)


def test_predictions_come_in_the_order_asked_and_one_by_one_are_the_same(tiny_family: NetworkFamily) -> None:
    table = made_up_table(tiny_family, device=additive_device(0.1, 0.9, 0.001))
    predictor, architectures = LatencyPredictor(table, tiny_family.block_keys), samples(tiny_family, 10)
    together = predictor.predict(architectures)[0]
    assert together.shape == (10,)
    np.testing.assert_allclose([predictor.predict([a])[0][0] for a in architectures], together, rtol=1e-12)
    np.testing.assert_allclose(predictor.predict(architectures[::-1])[0], together[::-1], rtol=1e-12)
    for values in predictor.predict([]):
        assert values.shape == (0,)
    assert isinstance(predictor, Predictor)


# --- what is missing


def test_a_missing_block_is_an_error_and_never_a_guess(tiny_family: NetworkFamily) -> None:
    table = made_up_table(tiny_family, networks=0)
    architecture = samples(tiny_family, 1)[0]
    absent = tiny_family.block_keys(architecture)[1]
    rows = [row for row in table.rows() if row.key != absent]
    predictor = LatencyPredictor(LatencyTable.from_rows(table.manifest, rows), tiny_family.block_keys)
    for ask in (predictor.predict, predictor.require_coverage):
        with pytest.raises(MissingRowError) as caught:
            ask([architecture])
        assert caught.value.missing == (absent,)
        assert caught.value.nearest


def test_a_missing_kernel_is_an_error_too(tiny_family: NetworkFamily) -> None:
    table = made_up_table(tiny_family, networks=0)
    architecture = samples(tiny_family, 1)[0]
    absent = next(iter(table.blocks[tiny_family.block_keys(architecture)[0]].kernels))
    rows = [row for row in table.rows() if row.key != absent]
    predictor = LatencyPredictor(LatencyTable.from_rows(table.manifest, rows), tiny_family.block_keys)
    with pytest.raises(MissingRowError, match="holds no kernel"):
        predictor.predict([architecture])


def test_a_table_that_covers_the_family_covers_all_its_architectures(tiny_family: NetworkFamily) -> None:
    predictor = LatencyPredictor(made_up_table(tiny_family), tiny_family.block_keys)
    predictor.require_coverage(list(tiny_family.space.enumerate())[::10])


# --- batch and precision


def at(table: LatencyTable, *, batch: int, precision: str) -> list[Row]:
    """The rows of a table under the names they would have at another batch and precision, kernels included."""
    kernels = {key: f"{key} {batch} {precision}" for key in table.kernels}

    def name(key: str) -> str:
        return keyed(key, batch=batch, precision=precision)

    return [
        *(KernelRow(key=kernels[row.key], timing=row.timing, provider=PROVIDER) for row in table.kernels.values()),
        *(
            BlockRow(key=name(row.key), kernels={kernels[key]: count for key, count in row.kernels.items()})
            for row in table.blocks.values()
        ),
        *(
            NetworkRow(key=name(row.key), blocks={name(k): n for k, n in row.blocks.items()}, timing=row.timing)
            for row in table.networks.values()
        ),
    ]


LAWS = {
    Coordinates(): (0.05, 0.8, -0.0005),
    Coordinates(batch=8): (0.5, 1.3, 0.0),
    Coordinates(precision="int8"): (0.01, 0.6, 0.002),
    Coordinates(batch=8, precision="int8"): (0.0, 1.0, 0.01),
}


@pytest.fixture(scope="module")
def of_many_coordinates(tiny_family: NetworkFamily) -> LatencyTable:
    """A table of four batches and precisions, each with a law and latencies of its own."""
    rows = [
        row
        for seed, (place, law) in enumerate(LAWS.items())
        for row in at(
            made_up_table(tiny_family, device=additive_device(*law), seed=seed),
            batch=place.batch,
            precision=place.precision,
        )
    ]
    return LatencyTable.from_rows(made_up_manifest(), rows)


@pytest.mark.parametrize(("place", "seed"), [(place, seed) for seed, place in enumerate(LAWS)], ids=str)
def test_every_batch_and_precision_is_fitted_on_its_own_networks(
    of_many_coordinates: LatencyTable, tiny_family: NetworkFamily, place: Coordinates, seed: int
) -> None:
    law = LAWS[place]
    family = tiny_family.at(batch=place.batch, precision=place.precision)
    predictor = LatencyPredictor(of_many_coordinates, family.block_keys, coordinates=place)
    found = predictor.calibration
    assert found.networks == 24
    assert (found.offset_ms, found.scale, found.per_kernel_ms) == pytest.approx(law, abs=1e-8)
    alone = made_up_table(tiny_family, device=additive_device(*law), seed=seed)
    architectures = samples(tiny_family, 20)
    np.testing.assert_allclose(
        predictor.predict(architectures)[0],
        truth_ms(alone, tiny_family, additive_device(*law), architectures),
        rtol=1e-7,
    )


@pytest.mark.parametrize(
    "place",
    [
        Coordinates(batch=4),
        Coordinates(batch=80),
        Coordinates(precision="fp16"),
        Coordinates(batch=1, precision="bf16"),
    ],
    ids=str,
)
def test_a_batch_or_precision_that_was_never_measured_is_refused_with_those_that_were(
    of_many_coordinates: LatencyTable, tiny_family: NetworkFamily, place: Coordinates
) -> None:
    family = tiny_family.at(batch=place.batch, precision=place.precision)
    with pytest.raises(TableMismatchError) as caught:
        LatencyPredictor(of_many_coordinates, family.block_keys, coordinates=place)
    message = str(caught.value)
    assert f"the table holds no rows for batch {place.batch}, {place.precision}: it has " in message
    for held in ("batch 1, fp32", "batch 1, int8", "batch 8, fp32", "batch 8, int8"):
        assert held in message
    assert f"`hwnas profile --batch {place.batch} --precision {place.precision}`" in message


def test_a_table_of_another_batch_alone_is_refused_where_one_image_is_meant(tiny_family: NetworkFamily) -> None:
    rows = at(made_up_table(tiny_family), batch=8, precision="fp32")
    with pytest.raises(TableMismatchError, match="no rows for batch 1, fp32: it has batch 8, fp32"):
        LatencyPredictor(LatencyTable.from_rows(made_up_manifest(), rows), tiny_family.block_keys)
    with pytest.raises(TableMismatchError, match="no rows for batch 1, fp32: it has none"):
        LatencyPredictor(LatencyTable(made_up_manifest()), tiny_family.block_keys)


def test_blocks_asked_for_at_other_coordinates_than_the_predictors_are_missing_and_not_guessed(
    tiny_family: NetworkFamily,
) -> None:
    predictor = LatencyPredictor(made_up_table(tiny_family), tiny_family.at(batch=8, precision="fp32").block_keys)
    with pytest.raises(MissingRowError, match="@b8"):
        predictor.predict(samples(tiny_family, 1))
