"""Which networks are measured to judge a predictor, and that the verdict is the truth on made-up devices."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from hwnas.core import UsageError
from hwnas.networks import NetworkFamily, network_family
from hwnas.predictors import signature
from hwnas.study import plan_evaluation
from latency_tables import LatencyTable, MissingRowError, TableMismatchError
from tests.evaluations import LAW, WHEN, calibrated_table, made_up_evaluation, made_up_session


@pytest.fixture(scope="module")
def table(tiny_family: NetworkFamily) -> LatencyTable:
    return calibrated_table(tiny_family)


def test_no_network_to_measure_is_in_the_table_or_in_two_groups(
    tiny_family: NetworkFamily, table: LatencyTable
) -> None:
    plan = plan_evaluation(table, tiny_family, table_name="t", networks=30)
    marks = Counter(signature(tiny_family.block_keys(one)) for group in plan.groups.values() for one in group.values())
    assert set(marks.values()) == {1}
    held = {signature(Counter(row.blocks).elements()) for row in table.networks.values()}
    assert not held & set(marks)
    assert len(plan.groups["random"]) == 30
    assert 3 <= len(plan.groups["front"]) <= 30
    names = [workload.name for workload in plan.workloads()]
    assert len(names) == len(set(names)) == 20 + len(marks)


def test_the_same_seed_draws_the_same_networks(tiny_family: NetworkFamily, table: LatencyTable) -> None:
    draw = lambda seed: plan_evaluation(table, tiny_family, table_name="t", networks=8, seed=seed).groups  # noqa: E731
    assert draw(1) == draw(1) != draw(2)


def test_another_batch_and_precision_are_asked_for_by_their_own_names(tiny_family: NetworkFamily) -> None:
    family = tiny_family.at(batch=8, precision="int8")
    plan = plan_evaluation(calibrated_table(family), family, table_name="t", networks=8)
    assert all(name.endswith("@b8,int8") for group in plan.groups.values() for name in group)
    assert all(workload.name.endswith("@b8") for workload in plan.workloads())  # who measures converts them


# --- the verdict


def test_on_a_device_that_follows_its_law_the_table_is_exact_and_the_baselines_are_not(
    tiny_family: NetworkFamily,
) -> None:
    found = made_up_evaluation(tiny_family, half=1.03)
    for group in found.groups.values():
        assert group.noise.mape == pytest.approx(0.03)
        for name in ("table", "session"):
            assert group.estimates[name].mape < 1e-9
            assert group.estimates[name].kendall == pytest.approx(1)
        for name in ("flops", "params"):
            assert group.estimates[name].mape > 0.01
            assert group.estimates[name].inside is None
    assert found.session.device_speed == pytest.approx(1)
    assert found.session.networks == 20


def test_a_device_that_is_slower_today_is_the_tables_error_and_not_the_sessions(tiny_family: NetworkFamily) -> None:
    found = made_up_evaluation(tiny_family, slower=1.25)
    for group in found.groups.values():
        assert group.estimates["table"].bias == pytest.approx(1 / 1.25 - 1)
        assert group.estimates["session"].mape < 1e-9
    assert found.session.device_speed == pytest.approx(1.25)
    assert found.session.noise_p95 == pytest.approx(0, abs=1e-9)


def test_what_moved_between_the_sessions_is_told(tiny_family: NetworkFamily) -> None:
    found = made_up_evaluation(tiny_family, disturbed=lambda index: 1 + 0.04 * (index % 2))
    assert found.session.device_speed == pytest.approx(1.02, abs=1e-3)
    assert found.session.noise_median == pytest.approx(0.02, abs=1e-3)


def test_the_networks_listed_are_those_the_figures_are_of(tiny_family: NetworkFamily) -> None:
    found = made_up_evaluation(tiny_family, disturbed=lambda index: 1 + 0.01 * (index % 5))
    for name, group in found.groups.items():
        listed = [one for one in found.networks if one.group == name]
        errors = [abs(one.predicted_ms["table"] / one.truth_ms - 1) for one in listed]
        assert len(listed) == group.networks
        assert group.estimates["table"].mape == pytest.approx(np.mean(errors))
        assert all(set(one.spread_ms) <= {"table", "session"} for one in listed)


def test_what_did_not_fit_the_device_is_named_and_left_out(tiny_family: NetworkFamily, table: LatencyTable) -> None:
    plan = plan_evaluation(table, tiny_family, table_name="t", networks=8)
    timed = made_up_session(plan)
    name, lost = next(iter(plan.groups["random"].items()))
    del timed[name]
    found = plan.judge(timed, when=WHEN, protocol={})
    assert found.unmeasured == (lost.id,)
    assert found.groups["random"].networks == 7


def test_a_table_without_whole_networks_is_judged_by_its_plain_sum_and_by_this_session(
    tiny_family: NetworkFamily, table: LatencyTable
) -> None:
    plan = plan_evaluation(replace(table, networks={}), tiny_family, table_name="t", networks=8)
    found = plan.judge(made_up_session(plan), when=WHEN, protocol={})
    assert (found.session.networks, found.session.in_table, found.session.device_speed) == (20, 0, None)
    figures = found.groups["random"].estimates
    assert figures["session"].mape < 1e-9 < figures["table"].mape
    assert figures["table"].inside is None


def test_where_the_evaluation_comes_from_is_recorded(tiny_family: NetworkFamily) -> None:
    about = made_up_evaluation(tiny_family).about
    assert (about.space, about.shape) == ("mobilenet:tiny", "1 channel, 10 classes")
    assert (about.device_name, about.measured, about.table) == ("Fake CPU", WHEN, "made-up.jsonl")
    assert len(about.table_sha256) == 64


# --- what is refused


def test_a_batch_that_the_table_lacks_is_refused(tiny_family: NetworkFamily, table: LatencyTable) -> None:
    with pytest.raises(TableMismatchError, match="no rows for batch 8, fp32"):
        plan_evaluation(table, tiny_family.at(batch=8, precision="fp32"), table_name="t")


def test_a_table_that_lacks_a_kernel_is_refused_before_anything_is_measured(
    tiny_family: NetworkFamily, table: LatencyTable
) -> None:
    kernels = dict(table.kernels)
    del kernels[next(key for key in kernels if "head" in key)]
    with pytest.raises(MissingRowError):
        plan_evaluation(replace(table, kernels=kernels, networks=table.networks), tiny_family, table_name="t")


def test_a_space_too_small_for_the_networks_asked_for_is_refused(
    tiny_family: NetworkFamily, table: LatencyTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwnas.study.evaluating.chosen_networks", lambda *given, **named: [])
    with pytest.raises(UsageError, match=r"a front of at least 3 networks, received 0 .*found by mutation"):
        plan_evaluation(table, tiny_family, table_name="t")


def test_a_group_of_which_too_little_was_measured_is_refused(tiny_family: NetworkFamily, table: LatencyTable) -> None:
    plan = plan_evaluation(table, tiny_family, table_name="t", networks=8)
    timed = made_up_session(plan, device=LAW)
    for name in list(plan.groups["front"])[2:]:
        del timed[name]
    with pytest.raises(UsageError, match="at least 3 networks in the group 'front', received 2"):
        plan.judge(timed, when=WHEN, protocol={})
    for name in list(plan.subject.calibration)[5:]:
        timed.pop(name, None)
    with pytest.raises(UsageError, match="at least 8 networks to calibrate on, received 5: the device could not hold"):
        plan.judge(timed, when=WHEN, protocol={})


def test_cells_are_judged_like_chains() -> None:
    found = made_up_evaluation(network_family("nasbench201"), networks=20)
    for group in found.groups.values():
        assert group.estimates["session"].mape < 1e-9
