"""The manifest of a campaign's table: where its figures come from, and what a later campaign adds to it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, get_args

import pytest

from hwnas.networks import NetworkFamily, network_family
from latency_tables import Coordinates, LatencyTable, TableMismatchError, read_table, split, validate
from profilers import CampaignError, CampaignSettings, MeasuringProtocol, ModelError, OnnxRuntimeBackend, profile
from profilers import rounds as rounds_module
from profilers.backends import Method
from profilers.devices.clock_lock import ClockLock
from profilers.devices.energy import EnergyReading
from profilers.kernels import KEY_VERSION
from profilers.manifests import extended
from tests.builders import made_up_manifest
from tests.profilers.fakes_backend import (
    PROTOCOL,
    PROVIDER,
    WORKLOADS,
    FakeBackend,
    FakeMeter,
    Moment,
    campaign,
    network,
)

METHODS: tuple[Method, ...] = get_args(Method)

every_method = pytest.mark.parametrize("method", METHODS)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "table.jsonl"


# --- one campaign


@every_method
def test_it_says_what_was_measured_where_and_how(out: Path, method: Method) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    backend = FakeBackend(method=method)
    manifest = campaign(backend, out).manifest
    assert (manifest.runtime, manifest.runtime_version, manifest.provider) == ("fakeruntime", "0.0", PROVIDER)
    assert (manifest.device, manifest.device_name, manifest.threads) == ("made-up", "Fake device", 1)
    assert (manifest.precisions, manifest.batches, manifest.space) == (("fp32",), (1,), "made-up")
    assert manifest.fingerprint == backend.fingerprint()
    assert manifest.protocol == {**PROTOCOL.to_json(), "key_version": KEY_VERSION, "method": method}
    created = datetime.fromisoformat(manifest.created)
    assert created.tzinfo == timezone.utc
    assert before <= created <= datetime.now(timezone.utc)


def test_the_method_is_the_one_chosen_and_not_the_backends_own(out: Path) -> None:
    assert campaign(FakeBackend(method="in-place"), out, method="blocks").manifest.protocol["method"] == "blocks"


def test_conditions_say_how_restless_the_device_was(out: Path) -> None:
    conditions = campaign(FakeBackend(), out).manifest.conditions
    assert conditions["load_1min_median"] is None or conditions["load_1min_median"] >= 0  # type: ignore[operator]
    assert conditions["sentinel_slowdown"] == {"median": 1.0, "p90": 1.0, "max": 1.0}
    assert conditions["sentinel_ms"] == pytest.approx(0.25 + 0.01 * 32, rel=0.01)
    assert conditions["restless_share"] == 0.0
    assert (conditions["clock_mhz"], conditions["clock_drift"], conditions["throttled_measurements"]) == (None, None, 0)
    assert (conditions["clock_lock"], conditions["unmeasured"]) == (None, {})


def test_what_came_of_locking_the_clocks_is_kept(out: Path) -> None:
    lock = ClockLock(requested_mhz=1200, locked=False, reason="no permission")
    assert campaign(FakeBackend(), out, clock_lock=lock).manifest.conditions["clock_lock"] == lock.to_json()


@pytest.mark.parametrize("method", ["in-place", "isolated"])
def test_operators_are_counted_by_what_they_computed_in(out: Path, method: Method) -> None:
    manifest = campaign(FakeBackend(method=method), out, WORKLOADS[2:], []).manifest
    assert manifest.conditions["operators"] == {"fp32": {"Copy:fp32": 5, "Work:fp32": 5}}


def test_what_is_unknown_has_its_reason_in_words(out: Path) -> None:
    manifest = campaign(FakeBackend(), out).manifest
    assert manifest.unknown == {"energy_mj": "not asked for: --energy measures it for whole networks"}


def unexplained(table: LatencyTable) -> list[str]:
    return [one.message for one in validate(table) if one.rule == "unknown without a reason"]


@pytest.mark.parametrize("method", ["in-place", "isolated"])
def test_nothing_is_unknown_without_a_reason(out: Path, method: Method) -> None:
    assert unexplained(campaign(FakeBackend(method=method), out)) == []


def test_blocks_say_why_their_memory_is_unknown(out: Path) -> None:
    assert unexplained(campaign(FakeBackend(method="blocks"), out)) == []


def test_kernels_say_why_their_energy_is_unknown(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = FakeBackend()
    monkeypatch.setattr(rounds_module, "energy_meter", lambda device: FakeMeter(backend))
    reading = EnergyReading(energy_mj=1.0, method="made up", window_s=2.0, runs=1, idle_power_w=1.0)
    monkeypatch.setattr(rounds_module, "network_energy", lambda *_: reading)
    assert unexplained(campaign(backend, out, energy=True)) == []


def test_a_made_up_table_is_sound_but_for_its_few_networks(out: Path) -> None:
    found = validate(campaign(FakeBackend(method="isolated"), out))
    assert {one.rule for one in found} == {"few networks"}


# --- batches and precisions


def test_precisions_and_batches_stand_in_every_name_and_in_the_manifest(out: Path) -> None:
    family = network_family("mobilenet:tiny", channels=1)
    networks = [at.workloads()[0] for at in (family, family.at(batch=8, precision="fp32"))]
    precisions = ("fp32", "int8", "fp16")
    table = campaign(FakeBackend(), out, networks, networks, precisions=precisions)
    assert (table.manifest.precisions, table.manifest.batches) == (("fp16", "fp32", "int8"), (1, 8))
    expected = {f"{networks[0].name}{suffix}" for suffix in ("", "@b8", "@b1,int8", "@b8,int8", "@b1,fp16", "@b8,fp16")}
    assert set(table.networks) == expected
    assert {split(key)[1:] for key in table.blocks} == {(batch, name) for batch in (1, 8) for name in precisions}
    assert table.coordinates() == [
        Coordinates(batch=batch, precision=name) for batch in (1, 8) for name in sorted(precisions)
    ]
    for row in table.networks.values():
        assert {split(block)[1:] for block in row.blocks} == {split(row.key)[1:]}
    assert len({row.timing.latency_ms for row in table.networks.values()}) > 1
    assert read_table(out) == table
    with pytest.raises(TableMismatchError, match="no rows for batch 2, fp32"):
        table.require_coordinates(Coordinates(batch=2))


def test_operators_are_told_apart_by_the_precision_asked_for(out: Path) -> None:
    workloads = network_family("mobilenet:tiny", channels=1).workloads()[:1]
    operators: Any = campaign(
        FakeBackend(), out, workloads, [], precisions=("fp32", "int8", "fp16")
    ).manifest.conditions["operators"]
    assert set(operators) == {"fp32", "int8", "fp16"}
    assert {name.partition(":")[2] for name in operators["fp32"]} == {"fp32"}
    assert operators["fp16"]["Conv:fp16"] == operators["fp32"]["Conv:fp32"]
    assert operators["int8"]["QuantizeLinear:convert"] > 0


def test_a_real_runtime_proves_that_it_computed_in_integers(out: Path, tiny_family: NetworkFamily) -> None:
    rule = MeasuringProtocol(warmup_runs=1, timed_runs=3, rounds=1, most_rounds=1, sentinel_runs=3)
    chosen = CampaignSettings(space="mobilenet:tiny", precisions=("int8",), steps=False, protocol=rule)
    workloads = tiny_family.workloads()[:1]
    table = profile(workloads, workloads, backend=OnnxRuntimeBackend(), out=out, settings=chosen)
    operators: Any = table.manifest.conditions["operators"]
    assert set(operators) == {"int8"}
    assert operators["int8"]["QLinearConv:int8"] > 0
    assert not any(name.startswith("Conv:") for name in operators["int8"])
    assert any(row.arithmetic == "int8" for row in table.kernels.values())
    assert set(table.networks) == {f"{workloads[0].name}@b1,int8"}
    assert all(key.endswith("@b1,int8") for key in table.blocks)


def test_a_precision_nobody_knows_is_refused_before_anything_is_measured(out: Path) -> None:
    backend = FakeBackend()
    with pytest.raises(CampaignError, match="unknown precision 'int4': expected one of fp32"):
        campaign(backend, out, precisions=("fp32", "int4"))
    assert backend.calls == []
    assert not list(out.parent.iterdir())


# --- a campaign that adds to a table


def test_an_extension_keeps_the_protocols_and_conditions_of_both(out: Path) -> None:
    first = campaign(FakeBackend(), out).manifest
    rule = replace(PROTOCOL, rounds=2, timed_runs=16)
    table = campaign(FakeBackend(), out, [*WORKLOADS, network("new", "e")], [], protocol=rule, space="other")
    manifest = table.manifest
    assert (manifest.protocol, manifest.created, manifest.space) == (first.protocol, first.created, first.space)
    assert {key: value for key, value in manifest.conditions.items() if key != "extensions"} == first.conditions
    extension: Any = manifest.conditions["extensions"]
    assert len(extension) == 1
    assert extension[0]["protocol"] == {**rule.to_json(), "key_version": KEY_VERSION, "method": "in-place"}
    assert extension[0]["space"] == "other"
    assert extension[0]["conditions"]["operators"] == {"fp32": {"Copy:fp32": 1, "Work:fp32": 1}}
    assert extension[0]["created"] >= first.created
    assert read_table(out).manifest == manifest


def test_an_extension_by_another_method_is_refused(out: Path) -> None:
    campaign(FakeBackend(method="in-place"), out)
    with pytest.raises(CampaignError, match="in-place"):
        campaign(FakeBackend(method="isolated"), out, [*WORKLOADS, network("new", "e")])


def test_every_extension_adds_its_own_record(out: Path) -> None:
    campaign(FakeBackend(), out)
    for block in ("e", "f"):
        manifest = campaign(FakeBackend(), out, [network(f"net {block}", block)], [], space=block).manifest
    extensions: Any = manifest.conditions["extensions"]
    assert [one["space"] for one in extensions] == ["e", "f"]
    assert all("extensions" not in one["conditions"] for one in extensions)


def test_an_extension_in_another_precision_lists_both(out: Path) -> None:
    family = network_family("mobilenet:tiny", channels=1)
    workloads = [family.workloads()[0], family.at(batch=4, precision="fp32").workloads()[0]]
    campaign(FakeBackend(), out, workloads[:1], [])
    table = campaign(FakeBackend(), out, workloads, [], precisions=("fp32", "fp16"))
    assert (table.manifest.precisions, table.manifest.batches) == (("fp16", "fp32"), (1, 4))
    assert table.coordinates() == [Coordinates(batch=b, precision=p) for b in (1, 4) for p in ("fp16", "fp32")]


def test_what_could_not_be_measured_later_stands_beside_what_could_not_before(out: Path) -> None:
    def failure(moment: Moment) -> BaseException | None:
        return ModelError("no") if moment.what in {"block a", "block e"} else None

    campaign(FakeBackend(method="blocks", failure=failure), out)
    backend = FakeBackend(method="blocks", failure=failure)
    manifest = campaign(backend, out, [network("new", "e", "d")], []).manifest
    extensions: Any = manifest.conditions["extensions"]
    assert set(manifest.conditions["unmeasured"]) == {"block:a"}  # type: ignore[arg-type]
    assert set(extensions[0]["conditions"]["unmeasured"]) == {"block:e"}


def test_extending_is_a_union_of_coordinates_and_reasons() -> None:
    first = made_up_manifest(precisions=("fp32",), batches=(1, 8), unknown={"energy_mj": "first", "memory_mib": "m"})
    later = made_up_manifest(precisions=("int8", "bf16"), batches=(2,), unknown={"energy_mj": "later"})
    found = extended(first, later)
    assert (found.precisions, found.batches) == (("bf16", "fp32", "int8"), (1, 2, 8))
    assert found.unknown == {"energy_mj": "later", "memory_mib": "m"}
    assert extended(found, later).precisions == found.precisions
