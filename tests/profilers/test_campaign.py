"""Campaigns: every measurement once, whatever happens between, and a table that can be composed from.

Most tests run on ``FakeBackend``, which computes its times; what only a real runtime and a real kill can show runs on
ONNX Runtime at the end.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwnas.networks import NetworkFamily, network_family
from latency_tables import LatencyTable, Row, TableFormatError, TableMismatchError, read_table, write_table
from profilers import (
    CampaignError,
    CampaignSettings,
    MeasuringProtocol,
    ModelError,
    OnnxRuntimeBackend,
    OnnxWorkload,
    Progress,
    profile,
)
from profilers import campaign as campaign_module
from profilers.backends import Method
from profilers.journal import Journal
from tests.profilers.fakes_backend import (
    BLOCKS,
    COPY,
    FLOOR,
    PROTOCOL,
    REFERENCES,
    WORKLOADS,
    FakeBackend,
    Moment,
    block_ms,
    campaign,
    made_up_ms,
    network,
    quiet_factor,
    stops_at,
    things,
    work,
)

REPOSITORY = Path(__file__).parents[2]
METHODS: tuple[Method, ...] = get_args(Method)
ROUNDS = PROTOCOL.rounds

every_method = pytest.mark.parametrize("method", METHODS)


def once(method: Method, **networks: Any) -> dict[tuple[str, str], int]:
    """Every measurement of a campaign, each exactly once in every round."""
    return dict.fromkeys(things(method, **networks), ROUNDS)


def total(method: Method) -> int:
    return ROUNDS * len(things(method))


def stop_after(n: int) -> Callable[[Progress], None]:
    """A user who presses Ctrl-C when ``n`` measurements are done."""

    def on_progress(progress: Progress) -> None:
        if progress.done == n:
            raise KeyboardInterrupt

    return on_progress


def interrupted(out: Path, n: int, method: Method = "in-place", **changes: Any) -> FakeBackend:
    """A campaign stopped after ``n`` measurements, and the backend it ran on."""
    backend = FakeBackend(method=method)
    with pytest.raises(KeyboardInterrupt):
        campaign(backend, out, on_progress=stop_after(n), **changes)
    assert sum(backend.measured.values()) == n
    return backend


def journal_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.partial")


def entries(text: str | bytes) -> list[dict[str, Any]]:
    """The measurements on the whole lines of a journal."""
    lines = text.decode() if isinstance(text, bytes) else text
    found = [json.loads(line) for line in lines.split("\n")[1:-1]]
    return [entry for entry in found if entry["kind"] != "structure"]


def assert_same_figures(one: LatencyTable, other: LatencyTable) -> None:
    assert one.rows() == other.rows()
    manifests = [replace(table.manifest, created="", conditions={}) for table in (one, other)]
    assert manifests[0] == manifests[1]
    assert one.manifest.conditions["operators"] == other.manifest.conditions["operators"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "table.jsonl"


# --- the whole way


@pytest.mark.parametrize("method", ["in-place", "isolated"])
def test_a_table_has_every_block_every_kernel_and_every_reference(out: Path, method: Method) -> None:
    backend = FakeBackend(method=method)
    table = campaign(backend, out)
    assert set(table.blocks) == set(BLOCKS)
    assert set(table.kernels) == {COPY, *map(work, BLOCKS)}
    assert all(row.kernels == {COPY: 1, work(key): 1} for key, row in table.blocks.items())
    assert {key: dict(row.blocks) for key, row in table.networks.items()} == {
        "first": {"stem": 1, "a": 1, "head": 1},
        "second": {"stem": 1, "a": 2, "d": 1, "head": 1},
    }
    assert set(table.floors) == {"call"}
    assert table.steps == {}
    assert backend.measured == once(method)
    assert read_table(out) == table
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_table_of_blocks_has_them_as_its_kernels(out: Path) -> None:
    backend = FakeBackend(method="blocks")
    table = campaign(backend, out)
    assert set(table.kernels) == {f"block:{block}" for block in BLOCKS}
    assert {key: dict(row.kernels) for key, row in table.blocks.items()} == {key: {f"block:{key}": 1} for key in BLOCKS}
    assert backend.measured == once("blocks")
    assert read_table(out) == table


@every_method
def test_blocks_cost_what_they_cost(out: Path, method: Method) -> None:
    table = campaign(FakeBackend(method=method), out)
    runs, fraction = (PROTOCOL.profiled_runs, 0.5) if method == "in-place" else (PROTOCOL.timed_runs, 0.25)
    quiet = quiet_factor(runs, fraction)
    for block in BLOCKS:
        latency_ms, kernels = table.block_cost(block)
        assert latency_ms == pytest.approx(quiet * block_ms(block), rel=1e-5)
        assert kernels == (1 if method == "blocks" else 2)
    for reference in REFERENCES:
        expected = 0.25 + sum(block_ms(block) for block in reference.parts.values())
        timing = table.networks[reference.name].timing
        assert timing.latency_ms == pytest.approx(quiet_factor(8, 0.25) * expected, rel=1e-5)
        assert timing.n == ROUNDS * PROTOCOL.timed_runs
    assert table.floors["call"].timing.latency_ms == pytest.approx(quiet_factor(8, 0.25) * 0.25, rel=1e-5)


def test_every_round_has_an_order_of_its_own_that_is_the_same_every_time(tmp_path: Path) -> None:
    first, second = FakeBackend(), FakeBackend()
    campaign(first, tmp_path / "one.jsonl")
    campaign(second, tmp_path / "two.jsonl")
    orders = [[(one.kind, one.what) for one in backend.calls if one.measuring] for backend in (first, second)]
    assert orders[0] == orders[1]
    per_round = len(things("in-place"))
    rounds = [orders[0][start : start + per_round] for start in range(0, total("in-place"), per_round)]
    assert all(Counter(each) == Counter(rounds[0]) for each in rounds)
    assert any(each != rounds[0] for each in rounds)


@every_method
def test_a_finished_table_is_not_measured_again(out: Path, method: Method) -> None:
    table = campaign(FakeBackend(method=method), out)
    content = out.read_bytes()
    backend = FakeBackend(method=method)
    assert campaign(backend, out) == table
    assert backend.calls == []
    assert out.read_bytes() == content


def test_networks_that_are_given_twice_are_measured_once(out: Path) -> None:
    backend = FakeBackend(method="isolated")
    campaign(backend, out, [*WORKLOADS, *WORKLOADS], [*REFERENCES, *REFERENCES])
    assert backend.measured == once("isolated")


def test_missing_folders_are_made(tmp_path: Path) -> None:
    out = tmp_path / "some" / "where" / "table.jsonl"
    campaign(FakeBackend(), out)
    assert read_table(out).blocks


def test_a_folder_as_output_is_refused(tmp_path: Path) -> None:
    backend = FakeBackend()
    with pytest.raises(CampaignError, match="is a folder: give --out the name of a file"):
        campaign(backend, tmp_path)
    assert backend.calls == []


# --- composition


@pytest.mark.parametrize("copies", [1, 4])
@pytest.mark.parametrize("floor_ms", [0.5, 2.0])
def test_kernels_and_one_floor_make_a_deep_network_where_isolated_calls_do_not(
    out: Path, copies: int, floor_ms: float
) -> None:
    """A chain of 28 layers: the sum of its kernels' calls pays for 56 calls, the network for one."""
    layers = [f"layer {i}" for i in range(28)]
    deep = network("deep", *layers)
    backend = FakeBackend(method="isolated", copies=copies, floor_ms=floor_ms)
    table = campaign(backend, out, [deep], [deep])
    whole_ms, call_ms = table.networks["deep"].timing.latency_ms, table.floors["call"].timing.latency_ms
    costs = [table.block_cost(layer) for layer in layers]
    composed_ms = call_ms + sum(cost for cost, _ in costs)
    plain_ms = sum(cost + kernels * call_ms / copies for cost, kernels in costs)
    assert composed_ms == pytest.approx(whole_ms, rel=1e-4)
    assert plain_ms / whole_ms - 1 > 0.05
    assert abs(composed_ms / whole_ms - 1) < 0.01 * abs(plain_ms / whole_ms - 1)


def test_the_floor_is_not_taken_off_what_is_timed_in_place(out: Path) -> None:
    table = campaign(FakeBackend(method="in-place", floor_ms=2.0), out)
    quiet = quiet_factor(PROTOCOL.profiled_runs, 0.5)
    assert table.kernels[COPY].timing.latency_ms == pytest.approx(quiet * made_up_ms(COPY), rel=1e-5)
    whole_ms = table.networks["first"].timing.latency_ms
    composed_ms = table.floors["call"].timing.latency_ms + sum(
        table.block_cost(block)[0] for block in ("stem", "a", "head")
    )
    assert composed_ms == pytest.approx(whole_ms, rel=0.01)


def test_copies_side_by_side_are_shared_out(tmp_path: Path) -> None:
    tables = [
        campaign(FakeBackend(method="isolated", copies=copies), tmp_path / f"{copies}.jsonl") for copies in (1, 2, 16)
    ]
    for key in tables[0].kernels:
        found = [table.kernels[key].timing.latency_ms for table in tables]
        assert found == pytest.approx([found[0]] * 3, rel=1e-4)


# --- interrupted campaigns


@every_method
def test_a_campaign_stopped_after_any_measurement_goes_on_and_measures_everything_once(
    tmp_path: Path, method: Method
) -> None:
    whole = campaign(FakeBackend(method=method), tmp_path / "whole.jsonl")
    everything = total(method)
    for n in range(1, everything + 1, 1 if method == "in-place" else 4):
        out = tmp_path / f"{n}.jsonl"
        backend = interrupted(out, n, method)
        assert not out.exists()
        seen: list[Progress] = []
        assert_same_figures(campaign(backend, out, on_progress=seen.append), whole)
        assert backend.measured == once(method)
        assert [(p.done, p.resumed, p.total) for p in seen] == [
            (done, n, everything) for done in range(n + 1, everything + 1)
        ]
        assert not journal_of(out).exists()


@every_method
def test_a_campaign_stopped_within_a_measurement_repeats_that_one_alone(tmp_path: Path, method: Method) -> None:
    whole = campaign(FakeBackend(method=method), tmp_path / "whole.jsonl")
    for n in range(0, total(method), 5):
        out = tmp_path / f"{n}.jsonl"
        backend = FakeBackend(method=method, failure=stops_at(n))
        with pytest.raises(KeyboardInterrupt):
            campaign(backend, out)
        assert_same_figures(campaign(backend, out), whole)
        assert backend.measured == once(method)


@pytest.mark.parametrize("method", ["in-place", "isolated"])
def test_a_campaign_stopped_while_it_looks_at_its_networks_goes_on(out: Path, method: Method) -> None:
    kind = "inspect" if method == "in-place" else "isolate"
    backend = FakeBackend(
        method=method,
        failure=lambda one: KeyboardInterrupt() if one.kind == kind and one.what == "three" else None,
    )
    with pytest.raises(KeyboardInterrupt):
        campaign(backend, out)
    backend.failure = lambda one: None
    campaign(backend, out)
    assert backend.measured == once(method)
    if method == "in-place":  # kernels alone have to be cut out anew
        assert Counter(one.what for one in backend.calls if one.kind == kind) == dict.fromkeys(
            [one.name for one in (*WORKLOADS, *REFERENCES)], 1
        )


def test_a_campaign_stopped_after_every_single_measurement_comes_to_an_end(tmp_path: Path) -> None:
    out, backend = tmp_path / "table.jsonl", FakeBackend()
    for n in range(1, total("in-place") + 1):
        with pytest.raises(KeyboardInterrupt):
            campaign(backend, out, on_progress=stop_after(n))
        ids = [entry["id"] for entry in entries(journal_of(out).read_text(encoding="utf-8"))]
        assert len(ids) == len(set(ids)) == n
    table = campaign(backend, out)
    assert backend.measured == once("in-place")
    assert_same_figures(table, campaign(FakeBackend(), tmp_path / "whole.jsonl"))


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), method=st.sampled_from(METHODS))
def test_however_often_a_restless_campaign_is_stopped_nothing_is_measured_twice(
    out: Path, data: st.DataObject, method: Method
) -> None:
    """With rows that need further rounds, whose number depends on what was measured."""

    def device() -> FakeBackend:
        return FakeBackend(
            method=method, slowdown=lambda one: 1 + 0.06 * ((one.visit * 7) % 5) if one.measuring else 1.0
        )

    undisturbed, backend = device(), device()
    whole = campaign(undisturbed, out)
    out.unlink()
    last = sum(undisturbed.measured.values())
    for n in sorted(data.draw(st.sets(st.integers(1, last), max_size=4), label="stopped after")):
        with pytest.raises(KeyboardInterrupt):
            campaign(backend, out, on_progress=stop_after(n))
    assert_same_figures(campaign(backend, out), whole)
    assert backend.measured == undisturbed.measured
    out.unlink()


def test_a_further_round_that_was_interrupted_measures_what_it_would_have_measured(tmp_path: Path) -> None:
    """A single kernel is uncertain, and measured again in two of its three networks: in the same two."""

    def wavering(moment: Moment, runs: Any) -> Any:
        if moment.kind != "profile":
            return runs
        factors = [[1 + 0.1 * moment.visit if use.key == COPY else 1.0] for use in runs.uses]
        return replace(runs, kernel_ms=np.array(factors) * runs.kernel_ms)

    undisturbed = FakeBackend(distort=wavering)
    whole = campaign(undisturbed, tmp_path / "whole.jsonl")
    assert Counter(undisturbed.measured.values()) == {ROUNDS: 3, ROUNDS + 2: 3}
    for n in range(total("in-place"), sum(undisturbed.measured.values())):
        out, backend = tmp_path / f"{n}.jsonl", FakeBackend(distort=wavering)
        with pytest.raises(KeyboardInterrupt):
            campaign(backend, out, on_progress=stop_after(n))
        assert_same_figures(campaign(backend, out), whole)
        assert backend.measured == undisturbed.measured


def test_a_journal_cut_anywhere_loses_only_what_was_cut_off(tmp_path: Path) -> None:
    whole = campaign(FakeBackend(), tmp_path / "whole.jsonl")
    source = tmp_path / "source.jsonl"
    interrupted(source, 9)
    content = journal_of(source).read_bytes()
    last = content.rindex(b"\n", 0, len(content) - 1) + 1
    cuts = {0, 1, content.index(b"\n"), last, last + 1, len(content) - 2, len(content) - 1, len(content)}
    for cut in sorted(cuts | set(np.random.default_rng(0).integers(2, len(content), 20).tolist())):
        out = tmp_path / f"{cut}.jsonl"
        journal_of(out).write_bytes(content[:cut])
        backend = FakeBackend()
        assert_same_figures(campaign(backend, out), whole)
        assert sum(backend.measured.values()) == total("in-place") - len(entries(content[:cut]))


def test_a_journal_cut_off_and_gone_on_with_is_sound_after_the_next_interruption(out: Path) -> None:
    interrupted(out, 5)
    content = journal_of(out).read_bytes()
    journal_of(out).write_bytes(content[:-20])
    backend = FakeBackend()
    with pytest.raises(KeyboardInterrupt):
        campaign(backend, out, on_progress=stop_after(6))
    assert sum(backend.measured.values()) == 2
    campaign(backend, out)
    assert sum(backend.measured.values()) == total("in-place") - 4


# --- journals and tables that belong to something else


@pytest.mark.parametrize(
    ("different", "changes"),
    [
        (
            "fingerprint.threads",
            {"backend": FakeBackend(conditions={"device": "made-up", "chip": "one", "threads": 2})},
        ),
        ("protocol.rounds", {"protocol": replace(PROTOCOL, rounds=2)}),
        ("extras.steps", {"steps": True}),
        ("extras.energy", {"energy": True}),
        ("workloads", {"workloads": [*WORKLOADS, network("four", "e")]}),
        ("workloads", {"references": REFERENCES[:1]}),
        ("method, workloads", {"method": "blocks"}),
    ],
    ids=["fingerprint", "protocol", "steps", "energy", "workloads", "references", "method"],
)
def test_a_journal_of_other_conditions_is_refused_and_kept(out: Path, different: str, changes: dict[str, Any]) -> None:
    interrupted(out, 4)
    content = journal_of(out).read_bytes()
    changes = dict(changes)
    backend = changes.pop("backend", None) or FakeBackend()
    with pytest.raises(CampaignError, match=rf"different: {different}\)") as caught:
        campaign(backend, out, **changes)
    assert f"Delete {journal_of(out)} to begin anew, or choose another --out" in str(caught.value)
    assert caught.value.exit_code == 2
    assert backend.calls == []
    assert journal_of(out).read_bytes() == content


def test_a_journal_of_images_of_another_shape_is_refused(out: Path) -> None:
    nine, ten = (network_family("mobilenet:tiny", classes=classes).workloads()[:2] for classes in (9, 10))
    with pytest.raises(KeyboardInterrupt):
        campaign(FakeBackend(), out, nine, [], on_progress=stop_after(2))
    backend = FakeBackend()
    with pytest.raises(CampaignError, match=r"different: workloads\)"):
        campaign(backend, out, ten, [])
    assert backend.calls == []


def test_after_a_network_that_does_not_load_the_others_can_be_measured(out: Path) -> None:
    broken = OnnxWorkload("broken", b"no model", {"p": "x"})
    with pytest.raises(ModelError, match="network broken"):
        campaign(FakeBackend(), out, [broken, *WORKLOADS])
    assert campaign(FakeBackend(), out).kernels


def test_a_second_process_is_refused_until_the_first_is_done(out: Path) -> None:
    backend = FakeBackend()
    with (
        FileLock(f"{journal_of(out)}.lock"),
        pytest.raises(CampaignError, match="another process is measuring") as caught,
    ):
        campaign(backend, out)
    assert caught.value.exit_code == 2
    assert backend.calls == []
    campaign(backend, out)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_second_campaign_is_refused_while_the_first_is_under_way(out: Path) -> None:
    second = FakeBackend()

    def barge_in(progress: Progress) -> None:
        if progress.done == 3:
            with pytest.raises(CampaignError, match="another process is measuring"):
                campaign(second, out)

    backend = FakeBackend()
    campaign(backend, out, on_progress=barge_in)
    assert backend.measured == once("in-place")
    assert second.calls == []


def test_a_table_made_under_other_conditions_is_refused_and_kept(out: Path) -> None:
    campaign(FakeBackend(), out)
    content = out.read_bytes()
    backend = FakeBackend(conditions={"device": "made-up", "chip": "two", "threads": 1})
    with pytest.raises(TableMismatchError, match=r"chip: here 'two', in the table 'one'") as caught:
        campaign(backend, out, [*WORKLOADS, network("four", "e")])
    assert caught.value.differences == {"chip": ("two", "one")}
    assert backend.calls == []
    assert out.read_bytes() == content


def test_a_table_whose_kernels_go_by_other_names_is_refused_and_kept(out: Path) -> None:
    table = campaign(FakeBackend(), out)
    older = {**table.manifest.protocol, "key_version": 1}
    write_table(replace(table, manifest=replace(table.manifest, protocol=older)), out)
    content = out.read_bytes()
    backend = FakeBackend()
    with pytest.raises(CampaignError, match="version 1 of the rules"):
        campaign(backend, out, [*WORKLOADS, network("four", "e")])
    assert backend.calls == []
    assert out.read_bytes() == content


def test_a_file_that_is_no_table_is_refused_and_kept(out: Path) -> None:
    out.write_text("dear diary\n", encoding="utf-8")
    backend = FakeBackend()
    with pytest.raises(TableFormatError, match="line 1"):
        campaign(backend, out)
    assert backend.calls == []
    assert out.read_text(encoding="utf-8") == "dear diary\n"


# --- more into a finished table


def kernels_of(backend: FakeBackend) -> dict[tuple[str, str], int]:
    """What was measured, without the floor."""
    return {thing: count for thing, count in backend.measured.items() if thing != ("time", FLOOR)}


@every_method
def test_what_a_table_holds_stays_as_it_is_when_more_is_measured(out: Path, method: Method) -> None:
    before = campaign(FakeBackend(method=method), out)
    backend = FakeBackend(method=method, slowdown=lambda one: 2.0)
    after = campaign(backend, out, [*WORKLOADS, network("new", "other stem", "a", "head")], REFERENCES)
    assert set(after.blocks) - set(before.blocks) == {"other stem"}
    kept: list[Row] = [row for row in after.rows() if row in before.rows()]
    assert kept == before.rows()
    assert after.block_cost("other stem")[0] == pytest.approx(
        2 * block_ms("other stem") - (0 if method == "blocks" else made_up_ms(COPY)), rel=0.01
    )
    assert set(after.networks) == set(before.networks)
    assert read_table(out) == after


def test_only_networks_with_a_block_that_is_missing_are_measured_into_a_table(out: Path) -> None:
    campaign(FakeBackend(), out)
    new = [network("new", "e", "head"), network("same", "stem", "e", "head"), network("more", "e", "f", "head")]
    backend = FakeBackend()
    table = campaign(backend, out, [*WORKLOADS, network("known", "stem", "d", "head"), *new], REFERENCES)
    assert kernels_of(backend) == {("profile", each.name): ROUNDS for each in (new[0], new[2])}
    assert {"e", "f"} <= set(table.blocks)


@pytest.mark.parametrize("method", ["isolated", "blocks"])
def test_no_kernel_that_a_table_holds_is_measured_again(out: Path, method: Method) -> None:
    campaign(FakeBackend(method=method), out)
    backend = FakeBackend(method=method)
    campaign(backend, out, [*WORKLOADS, network("new", "stem", "e", "head")])
    expected = {"isolated": ("kernel", work("e")), "blocks": ("time", "block e")}[method]
    assert kernels_of(backend) == {expected: ROUNDS}


def test_references_that_a_table_lacks_are_measured_into_it(out: Path) -> None:
    campaign(FakeBackend(), out)
    more = network("third", "stem", "b", "head")
    backend = FakeBackend()
    table = campaign(backend, out, WORKLOADS, [*REFERENCES, more])
    assert set(table.networks) == {"first", "second", "third"}
    assert kernels_of(backend) == {("time", "third"): ROUNDS}


def test_a_table_of_grey_images_becomes_one_of_colour_images_too(out: Path) -> None:
    grey, colour = (network_family("mobilenet:tiny", channels=channels).workloads()[::16] for channels in (1, 3))
    before = campaign(FakeBackend(), out, grey, [])
    after = campaign(FakeBackend(), out, colour, [])
    assert set(after.blocks) == {key for workload in [*grey, *colour] for key in workload.parts.values()}
    assert all(row in after.rows() for row in before.rows())
    again = FakeBackend()
    assert campaign(again, out, [*grey, *colour], []) == after
    assert again.calls == []


def test_an_extension_that_was_interrupted_goes_on_and_leaves_the_table_whole_meanwhile(out: Path) -> None:
    before = campaign(FakeBackend(), out)
    aged(out)
    new = [network("new", "e", "head"), network("newer", "f", "head")]
    backend = FakeBackend()
    with pytest.raises(KeyboardInterrupt):
        campaign(backend, out, [*WORKLOADS, *new], [], on_progress=stop_after(2))
    assert read_table(out) == before
    after = campaign(backend, out, [*WORKLOADS, *new], [])
    assert kernels_of(backend) == {("profile", each.name): ROUNDS for each in new}
    assert set(after.blocks) == {*before.blocks, "e", "f"}


def aged(path: Path) -> None:
    """Makes a file as old as one from an earlier day; files written in one tick of a coarse clock look alike."""
    stamp = path.stat().st_mtime_ns - 10**12
    os.utime(path, ns=(stamp, stamp))


# --- a full disk, and kills where they hurt


def test_a_disk_that_fills_up_while_measuring_costs_one_measurement(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAKE: the journal writes half a line and fails as a full disk does."""
    whole = campaign(FakeBackend(), out.with_name("whole.jsonl"))
    append = Journal.append

    def appended(journal: Journal, entry: dict[str, Any]) -> None:
        if len(journal.entries) < 11:
            append(journal, entry)
            return
        line = json.dumps(entry)
        with journal.path.open("a", encoding="utf-8") as stream:
            stream.write(line[: len(line) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(journal.path))

    backend = FakeBackend()
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", appended)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            campaign(backend, out)
    assert sum(backend.measured.values()) == 7  # beside five networks that were looked at
    assert not out.exists()
    assert_same_figures(campaign(backend, out), whole)
    assert sum(backend.measured.values()) == total("in-place") + 1


def test_a_disk_that_is_full_when_the_table_is_written_costs_no_measurement(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAKE: writing the table fails as on a full disk."""

    def failing(table: LatencyTable, path: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    backend = FakeBackend()
    with monkeypatch.context() as patch:
        patch.setattr(campaign_module, "write_table", failing)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            campaign(backend, out)
    assert not out.exists()
    campaign(backend, out)
    assert backend.measured == once("in-place")


@pytest.fixture
def killed_at_the_end(out: Path, monkeypatch: pytest.MonkeyPatch) -> LatencyTable:
    """FAKE: a process that ended between writing its table and removing its journal."""

    def last_act(table: LatencyTable, path: Path) -> Path:
        write_table(table, path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(campaign_module, "write_table", last_act)
        with pytest.raises(KeyboardInterrupt):
            campaign(FakeBackend(), out)
    assert journal_of(out).exists()
    return read_table(out)


def test_a_campaign_killed_after_its_table_was_written_measures_nothing_more(
    out: Path, killed_at_the_end: LatencyTable
) -> None:
    backend = FakeBackend()
    assert campaign(backend, out) == killed_at_the_end
    assert backend.calls == []


def test_a_journal_left_behind_beside_a_finished_table_does_not_block_an_extension(
    out: Path, killed_at_the_end: LatencyTable
) -> None:
    backend = FakeBackend()
    table = campaign(backend, out, [*WORKLOADS, network("new", "e", "head")])
    assert kernels_of(backend) == {("profile", "new"): ROUNDS}
    assert set(table.blocks) == {*killed_at_the_end.blocks, "e"}
    assert [path.name for path in out.parent.iterdir()] == [out.name]


# --- the real runtime

SHORT = MeasuringProtocol(warmup_runs=1, timed_runs=3, rounds=3, most_rounds=3, sentinel_runs=3)
QUICK = CampaignSettings(space="mobilenet:tiny", steps=False, protocol=SHORT)


def some_networks(family: NetworkFamily) -> tuple[list[Any], list[Any]]:
    return list(family.workloads())[:6], family.references(3)


def test_a_real_campaign_knows_every_block_of_its_networks(out: Path, tiny_family: NetworkFamily) -> None:
    workloads, references = some_networks(tiny_family)
    backend = OnnxRuntimeBackend()
    table = profile(workloads, references, backend=backend, out=out, settings=QUICK)
    assert set(table.blocks) >= {key for workload in workloads for key in workload.parts.values()}
    assert set(table.networks) == {reference.name for reference in references}
    assert {row.provider for row in table.kernels.values()} == {"CPUExecutionProvider"}
    assert table.manifest.provider == "CPUExecutionProvider"
    for key in table.blocks:
        latency_ms, kernels = table.block_cost(key)
        assert latency_ms >= 0
        assert kernels >= 1
    for row in table.networks.values():
        assert row.timing.latency_ms > 0
        assert row.load_ms is not None
        assert row.first_ms is not None
        assert row.memory_mib is not None
        assert row.load_ms > row.timing.latency_ms
        assert row.memory_mib > 0
    assert table.floors["call"].timing.latency_ms > 0
    table.require_fingerprint(backend.fingerprint(), override="nothing")
    assert read_table(out) == table


CHILD = """
import sys
from hwnas.networks import network_family
from profilers import CampaignSettings, MeasuringProtocol, OnnxRuntimeBackend, profile
family = network_family("mobilenet:tiny", channels=1, classes=10)
protocol = MeasuringProtocol(warmup_runs=1, timed_runs=3, rounds=3, most_rounds=3, sentinel_runs=3)
settings = CampaignSettings(space="mobilenet:tiny", steps=False, protocol=protocol)
profile(list(family.workloads())[:6], family.references(3), backend=OnnxRuntimeBackend(), out=sys.argv[1],
        settings=settings)
"""


def killed_after(more: int, linger_s: float, *, out: Path) -> str:
    """Starts the campaign in a process of its own, kills it after some measurements, and returns the journal then."""
    journal = journal_of(out)

    def lines() -> int:
        return journal.read_bytes().count(b"\n") if journal.exists() else 0

    target, deadline = max(lines(), 1) + more, time.monotonic() + 60
    with (out.parent / "stderr.txt").open("w+b") as stderr:
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(out)], cwd=REPOSITORY, stderr=stderr)
        try:
            while lines() < target and child.poll() is None and time.monotonic() < deadline:
                time.sleep(0.002)
            time.sleep(linger_s)
            child.send_signal(signal.SIGKILL)
        finally:
            child.kill()
            status = child.wait()
        stderr.seek(0)
        assert status == -signal.SIGKILL, stderr.read().decode()
    return journal.read_text(encoding="utf-8")


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_a_campaign_killed_three_times_measures_nothing_twice_and_loses_nothing(
    out: Path, tiny_family: NetworkFamily
) -> None:
    workloads, references = some_networks(tiny_family)
    rng = np.random.default_rng(2026)
    journals: list[str] = []
    for more, linger_s in zip((4, 20, 15), rng.uniform(0, 0.02, 3).tolist(), strict=True):  # the first while it looks
        journals.append(killed_after(more, linger_s, out=out))
        assert not out.exists()

    def remember(progress: Progress) -> None:
        if progress.done == progress.total:
            journals.append(journal_of(out).read_text(encoding="utf-8"))

    table = profile(workloads, references, backend=OnnxRuntimeBackend(), out=out, settings=QUICK, on_progress=remember)
    for text, later in pairwise(journals):
        whole, _, _ = text.rpartition("\n")
        assert later.startswith(f"{whole}\n")
        assert len(later.split("\n")) > len(text.split("\n"))
    ids = [entry["id"] for entry in entries(journals[-1])]
    assert len(ids) == len(set(ids)) == SHORT.rounds * (len(table.kernels) + len(references) + 1)
    held = {key for kernels in table.blocks.values() for key in kernels.kernels}
    assert held == set(table.kernels)
    assert {key for workload in workloads for key in workload.parts.values()} <= set(table.blocks)
    assert {row.timing.n for row in table.networks.values()} <= set(range(1, SHORT.rounds * SHORT.timed_runs + 1))
