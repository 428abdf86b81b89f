"""Campaigns: every measurement once, whatever happens between, and a table that says how sure it is.

Most tests run on ``FakeBackend``, which computes its times; what only a real runtime and a real kill can show runs on
ONNX Runtime at the end.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock

from hwnas.networks import NetworkFamily, network_family
from latency_tables import LatencyTable, Row, TableFormatError, TableMismatchError, read_table, write_table
from profilers import CampaignError, MeasuringProtocol, OnnxRuntimeBackend, Progress, profile
from profilers import campaign as campaign_module
from profilers.backends import ProfiledRuns, TimedRuns
from profilers.journal import Journal
from profilers.kernels import KernelUse

REPOSITORY = Path(__file__).parents[2]
PROTOCOL = MeasuringProtocol(warmup_runs=0, profiled_runs=4, timed_runs=8, rounds=3)
COPY = "Copy"


# --- a made-up runtime and networks for it


@dataclass(frozen=True)
class Network:
    """A network that only the fake can run: its model is the list of its blocks."""

    name: str
    parts: Mapping[str, str]

    @property
    def model(self) -> bytes:
        return json.dumps([self.name, *self.parts.values()]).encode()


def network(name: str, *blocks: str) -> Network:
    return Network(name, {f"p{i}": block for i, block in enumerate(blocks)})


def kernel_ms(key: str) -> float:
    """The made-up duration of a kernel: 1 to 2 ms, by its name."""
    return 1 + int(hashlib.sha256(key.encode()).hexdigest(), 16) % 1000 / 1000


@dataclass
class FakeBackend:
    """FAKE of ``OnnxRuntimeBackend``: runs nothing, and computes every time from names.

    A block is a kernel of its own and a ``Copy``; a network takes a millisecond.

    Attributes:
        slowdown: Factor on all times of a network, by how often it was measured before.
        preempted: Whether all runs of a measurement are reported as interrupted, by the same count.
        stop_at: Number of the call, from 0, that is interrupted by Ctrl-C.
        conditions: The fingerprint.
        calls: Kind and model of every finished measurement.
    """

    slowdown: Callable[[int], float] = lambda visit: 1.0
    preempted: Callable[[int], bool] = lambda visit: False
    stop_at: int | None = None
    conditions: dict[str, Any] = field(default_factory=lambda: {"device": "cpu", "cpu": "made up", "threads": 1})
    calls: list[tuple[str, bytes]] = field(default_factory=list)

    device = "cpu"
    name = "fakeruntime"
    version = "0.0"
    provider = "FakeProvider"
    threads = 1

    def fingerprint(self) -> dict[str, Any]:
        return dict(self.conditions)

    def time(self, model: bytes, *, warmup: int, runs: int) -> TimedRuns:
        assert warmup == PROTOCOL.warmup_runs
        factor, preempted = self._next("network", model)
        return TimedRuns(run_ms=factor * self._jitter(runs), preempted=np.full(runs, preempted))

    def profile(self, model: bytes, parts: Mapping[str, str], *, warmup: int, runs: int) -> ProfiledRuns:
        assert warmup == PROTOCOL.warmup_runs
        factor, preempted = self._next("kernels", model)
        uses = tuple(
            KernelUse(node=f"{prefix}/{i}", key=key, part=prefix)
            for prefix, block in parts.items()
            for i, key in enumerate((f"Work({block})", COPY))
        )
        base_ms = np.array([[kernel_ms(use.key)] for use in uses])
        run_ms = factor * self._jitter(runs)
        return ProfiledRuns(
            run_ms=run_ms,
            preempted=np.full(runs, preempted),
            uses=uses,
            kernel_ms=base_ms * run_ms,
            provider=self.provider,
        )

    def _next(self, kind: str, model: bytes) -> tuple[float, bool]:
        if len(self.calls) == self.stop_at:
            raise KeyboardInterrupt
        visit = self.calls.count((kind, model))
        self.calls.append((kind, model))
        return self.slowdown(visit), self.preempted(visit)

    @staticmethod
    def _jitter(runs: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return 1 + 0.01 * np.arange(runs)[::-1]


WORKLOADS = [
    network("one", "stem", "a", "b", "head"),
    network("two", "stem", "b", "c", "head"),
    network("three", "stem", "c", "d", "d", "head"),
]
REFERENCES = [network("first", "stem", "a", "head"), network("second", "stem", "a", "a", "d", "head")]
TASKS = PROTOCOL.rounds * (len(WORKLOADS) + len(REFERENCES))
EVERY_MEASUREMENT_ONCE = Counter(
    {("kernels", w.model): PROTOCOL.rounds for w in WORKLOADS}
    | {("network", r.model): PROTOCOL.rounds for r in REFERENCES}
)


def run(
    backend: FakeBackend,
    out: Path,
    workloads: Sequence[Any] = WORKLOADS,
    references: Sequence[Any] = REFERENCES,
    *,
    protocol: MeasuringProtocol = PROTOCOL,
    on_progress: Callable[[Progress], None] | None = None,
) -> LatencyTable:
    return profile(
        workloads,
        references,
        backend=backend,  # type: ignore[arg-type]
        out=out,
        space="made-up",
        protocol=protocol,
        on_progress=on_progress,
    )


def stop_after(n: int) -> Callable[[Progress], None]:
    """A user who presses Ctrl-C when ``n`` measurements are done."""

    def on_progress(progress: Progress) -> None:
        if progress.done == n:
            raise KeyboardInterrupt

    return on_progress


def interrupted(out: Path, n: int) -> FakeBackend:
    """A campaign stopped after ``n`` measurements, and the backend it ran on."""
    backend = FakeBackend()
    with pytest.raises(KeyboardInterrupt):
        run(backend, out, on_progress=stop_after(n))
    assert len(backend.calls) == n
    return backend


def journal_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.partial")


def entries(text: str) -> list[dict[str, Any]]:
    """The measurements on the whole lines of a journal."""
    return [json.loads(line) for line in text.split("\n")[1:-1]]


def assert_same_figures(one: LatencyTable, other: LatencyTable) -> None:
    assert one.rows() == other.rows()
    manifests = [replace(table.manifest, created="", conditions={}) for table in (one, other)]
    assert manifests[0] == manifests[1]
    assert one.manifest.conditions["round_slowdown"] == other.manifest.conditions["round_slowdown"]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "table.jsonl"


# --- the whole way


def test_a_table_has_every_block_every_kernel_and_every_reference(out: Path) -> None:
    backend = FakeBackend()
    table = run(backend, out)
    assert set(table.blocks) == {"stem", "a", "b", "c", "d", "head"}
    assert set(table.kernels) == {COPY, *(f"Work({block})" for block in table.blocks)}
    assert all(row.kernels == {COPY: 1, f"Work({key})": 1} for key, row in table.blocks.items())
    assert {key: dict(row.blocks) for key, row in table.networks.items()} == {
        "first": {"stem": 1, "a": 1, "head": 1},
        "second": {"stem": 1, "a": 2, "d": 1, "head": 1},
    }
    assert Counter(backend.calls) == EVERY_MEASUREMENT_ONCE
    assert read_table(out) == table
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_the_manifest_says_what_was_measured_where_and_how(out: Path) -> None:
    manifest = run(FakeBackend(), out).manifest
    assert (manifest.runtime, manifest.runtime_version, manifest.provider) == ("fakeruntime", "0.0", "FakeProvider")
    assert (manifest.device, manifest.threads, manifest.batch, manifest.space) == ("cpu", 1, 1, "made-up")
    assert manifest.fingerprint == FakeBackend().fingerprint()
    assert {name: manifest.protocol[name] for name in PROTOCOL.to_json()} == PROTOCOL.to_json()
    assert manifest.conditions["round_slowdown"] == [1.0, 1.0, 1.0]


def test_figures_are_those_of_the_quietest_runs(out: Path) -> None:
    table = run(FakeBackend(), out)
    for key, row in table.kernels.items():  # of 4 runs at 1.03, 1.02, 1.01 and 1 times the base, the fastest
        assert row.timing.latency_ms == pytest.approx(kernel_ms(key), rel=1e-5)
        assert row.timing.median_ms == pytest.approx(1.015 * kernel_ms(key), rel=1e-5)
        assert row.provider == "FakeProvider"
        assert row.timing.noise == "ok"
    for network_row in table.networks.values():  # of 8 runs the two fastest
        assert network_row.timing.latency_ms == pytest.approx(1.005)
        assert network_row.timing.n == PROTOCOL.rounds * PROTOCOL.timed_runs


def test_every_round_has_an_order_of_its_own_that_is_the_same_every_time(tmp_path: Path) -> None:
    first, second = FakeBackend(), FakeBackend()
    run(first, tmp_path / "one.jsonl")
    run(second, tmp_path / "two.jsonl")
    assert first.calls == second.calls
    per_round = len(WORKLOADS) + len(REFERENCES)
    rounds = [first.calls[start : start + per_round] for start in range(0, TASKS, per_round)]
    assert all(Counter(each) == Counter(rounds[0]) for each in rounds)
    assert any(each != rounds[0] for each in rounds)


def test_progress_counts_up_to_the_total(out: Path) -> None:
    seen: list[Progress] = []
    run(FakeBackend(), out, on_progress=seen.append)
    assert [progress.done for progress in seen] == list(range(1, TASKS + 1))
    assert {(progress.total, progress.resumed) for progress in seen} == {(TASKS, 0)}
    assert all(progress.eta_s is not None and progress.eta_s >= 0 for progress in seen)
    assert seen[-1].eta_s == 0


def test_a_finished_table_is_not_measured_again(out: Path) -> None:
    table = run(FakeBackend(), out)
    content = out.read_bytes()
    backend = FakeBackend()
    assert run(backend, out) == table
    assert backend.calls == []
    assert out.read_bytes() == content


def test_missing_folders_are_made(tmp_path: Path) -> None:
    out = tmp_path / "some" / "where" / "table.jsonl"
    run(FakeBackend(), out)
    assert read_table(out).blocks


def test_a_folder_as_output_is_refused(tmp_path: Path) -> None:
    backend = FakeBackend()
    with pytest.raises(CampaignError, match="is a folder: give --out the name of a file"):
        run(backend, tmp_path)
    assert backend.calls == []


# --- interrupted campaigns


def test_a_campaign_stopped_after_any_measurement_goes_on_and_measures_everything_once(tmp_path: Path) -> None:
    whole = run(FakeBackend(), tmp_path / "whole.jsonl")
    for n in range(1, TASKS + 1):
        out = tmp_path / f"{n}.jsonl"
        backend = interrupted(out, n)
        assert not out.exists()
        seen: list[Progress] = []
        assert_same_figures(run(backend, out, on_progress=seen.append), whole)
        assert Counter(backend.calls) == EVERY_MEASUREMENT_ONCE
        assert [(p.done, p.resumed, p.total) for p in seen] == [(d, n, TASKS) for d in range(n + 1, TASKS + 1)]
        assert not journal_of(out).exists()


def test_a_campaign_stopped_within_a_measurement_repeats_that_one_alone(tmp_path: Path) -> None:
    whole = run(FakeBackend(), tmp_path / "whole.jsonl")
    for n in range(0, TASKS, 4):
        out = tmp_path / f"{n}.jsonl"
        backend = FakeBackend(stop_at=n)
        with pytest.raises(KeyboardInterrupt):
            run(backend, out)
        backend.stop_at = None
        assert_same_figures(run(backend, out), whole)
        assert Counter(backend.calls) == EVERY_MEASUREMENT_ONCE


def test_a_campaign_stopped_after_every_single_measurement_comes_to_an_end(tmp_path: Path) -> None:
    out, backend = tmp_path / "table.jsonl", FakeBackend()
    for n in range(1, TASKS + 1):
        with pytest.raises(KeyboardInterrupt):
            run(backend, out, on_progress=stop_after(n))
        ids = [entry["id"] for entry in entries(journal_of(out).read_text(encoding="utf-8"))]
        assert len(ids) == len(set(ids)) == n
    table = run(backend, out)
    assert Counter(backend.calls) == EVERY_MEASUREMENT_ONCE
    assert_same_figures(table, run(FakeBackend(), tmp_path / "whole.jsonl"))


def test_a_journal_cut_at_any_byte_of_its_last_line_loses_that_measurement_at_most(tmp_path: Path) -> None:
    whole = run(FakeBackend(), tmp_path / "whole.jsonl")
    source = tmp_path / "source.jsonl"
    interrupted(source, 7)
    content = journal_of(source).read_bytes()
    start = content.rindex(b"\n", 0, len(content) - 1) + 1
    inside = np.linspace(start, len(content), 12).round().astype(int).tolist()
    for cut in sorted({start, start + 1, len(content) - 2, len(content) - 1, len(content), *inside}):
        out = tmp_path / f"{cut}.jsonl"
        journal_of(out).write_bytes(content[:cut])
        backend = FakeBackend()
        assert_same_figures(run(backend, out), whole)
        assert len(backend.calls) == TASKS - (7 if cut == len(content) else 6)


def test_a_journal_cut_anywhere_loses_only_what_was_cut_off(tmp_path: Path) -> None:
    whole = run(FakeBackend(), tmp_path / "whole.jsonl")
    source = tmp_path / "source.jsonl"
    interrupted(source, 9)
    content = journal_of(source).read_bytes()
    for cut in [0, 1, content.index(b"\n"), *np.random.default_rng(0).integers(2, len(content), 12).tolist()]:
        out = tmp_path / f"{cut}.jsonl"
        journal_of(out).write_bytes(content[:cut])
        backend = FakeBackend()
        assert_same_figures(run(backend, out), whole)
        assert len(backend.calls) == TASKS - max(0, content[:cut].count(b"\n") - 1)


def test_a_journal_cut_off_and_gone_on_with_is_sound_after_the_next_interruption(out: Path) -> None:
    interrupted(out, 5)
    content = journal_of(out).read_bytes()
    journal_of(out).write_bytes(content[:-20])
    backend = FakeBackend()
    with pytest.raises(KeyboardInterrupt):
        run(backend, out, on_progress=stop_after(6))
    assert len(backend.calls) == 2
    run(backend, out)
    assert len(backend.calls) == TASKS - 4


# --- journals and tables that belong to something else


@pytest.mark.parametrize(
    ("different", "changes"),
    [
        ("fingerprint.threads", {"backend": FakeBackend(conditions={"device": "cpu", "cpu": "made up", "threads": 2})}),
        ("protocol.rounds", {"protocol": replace(PROTOCOL, rounds=2)}),
        ("workloads", {"workloads": [*WORKLOADS, network("four", "e")]}),
        ("workloads", {"references": REFERENCES[:1]}),
    ],
    ids=["fingerprint", "protocol", "workloads", "references"],
)
def test_a_journal_of_other_conditions_is_refused_and_kept(out: Path, different: str, changes: dict[str, Any]) -> None:
    interrupted(out, 4)
    content = journal_of(out).read_bytes()
    backend = changes.pop("backend", None) or FakeBackend()
    with pytest.raises(CampaignError, match=rf"different: {different}\)") as caught:
        run(backend, out, **changes)
    assert f"Delete {journal_of(out)} to begin anew, or choose another --out" in str(caught.value)
    assert caught.value.exit_code == 2
    assert backend.calls == []
    assert journal_of(out).read_bytes() == content


def test_a_journal_of_images_of_another_shape_is_refused(out: Path) -> None:
    nine, ten = (network_family("mobilenet:tiny", classes=classes).workloads()[::9] for classes in (9, 10))
    with pytest.raises(KeyboardInterrupt):
        run(FakeBackend(), out, nine, [], on_progress=stop_after(9))
    backend = FakeBackend()
    with pytest.raises(CampaignError, match=r"different: workloads\)"):
        run(backend, out, ten, [])
    assert backend.calls == []


def test_a_journal_that_cannot_be_written_when_its_last_line_is_dropped_is_kept(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAKE: the disk is so full that no file can be written anew."""
    interrupted(out, 5)
    content = journal_of(out).read_bytes()[:-10]
    journal_of(out).write_bytes(content)

    def full(path: Path, *_: Any, **__: Any) -> int:
        path.open("w").close()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        backend = FakeBackend(stop_at=0)
        with pytest.raises(KeyboardInterrupt):
            run(backend, out)
    assert journal_of(out).read_bytes() == content[: content.rindex(b"\n") + 1]


@pytest.mark.parametrize(
    "damage", [b"{}", b"42", b"null", b"garbage", b'{"id": "kernels/0/one"', b"\x00\x00\x00", b"\xff\xfe{}"]
)
def test_a_journal_damaged_before_its_last_line_is_refused_and_kept(out: Path, damage: bytes) -> None:
    interrupted(out, 4)
    lines = journal_of(out).read_bytes().split(b"\n")
    for place in (0, 2):
        damaged = b"\n".join([*lines[:place], damage, *lines[place + 1 :]])
        journal_of(out).write_bytes(damaged)
        backend = FakeBackend()
        with pytest.raises(CampaignError, match="damaged") as caught:
            run(backend, out)
        assert f"Delete {journal_of(out)} to begin anew" in str(caught.value)
        assert backend.calls == []
        assert journal_of(out).read_bytes() == damaged


def test_a_second_process_is_refused_until_the_first_is_done(out: Path) -> None:
    backend = FakeBackend()
    with (
        FileLock(f"{journal_of(out)}.lock"),
        pytest.raises(CampaignError, match="another process is measuring") as caught,
    ):
        run(backend, out)
    assert "wait for it, or choose another --out" in str(caught.value)
    assert caught.value.exit_code == 2
    assert backend.calls == []
    run(backend, out)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_second_campaign_is_refused_while_the_first_is_under_way(out: Path) -> None:
    second = FakeBackend()

    def barge_in(progress: Progress) -> None:
        if progress.done == 3:
            with pytest.raises(CampaignError, match="another process is measuring"):
                run(second, out)

    backend = FakeBackend()
    run(backend, out, on_progress=barge_in)
    assert Counter(backend.calls) == EVERY_MEASUREMENT_ONCE
    assert second.calls == []


def test_a_table_made_under_other_conditions_is_refused_and_kept(out: Path) -> None:
    run(FakeBackend(), out)
    content = out.read_bytes()
    backend = FakeBackend(conditions={"device": "cpu", "cpu": "another", "threads": 1})
    with pytest.raises(TableMismatchError, match=r"cpu: here 'another', in the table 'made up'") as caught:
        run(backend, out, [*WORKLOADS, network("four", "e")])
    assert caught.value.differences == {"cpu": ("another", "made up")}
    assert backend.calls == []
    assert out.read_bytes() == content


def test_a_file_that_is_no_table_is_refused_and_kept(out: Path) -> None:
    out.write_text("dear diary\n", encoding="utf-8")
    backend = FakeBackend()
    with pytest.raises(TableFormatError, match="line 1"):
        run(backend, out)
    assert backend.calls == []
    assert out.read_text(encoding="utf-8") == "dear diary\n"


# --- more into a finished table


def test_only_networks_with_a_block_that_is_missing_are_measured_into_a_table(out: Path) -> None:
    before = run(FakeBackend(), out)
    new = network("new", "other stem", "a", "b", "head")
    backend = FakeBackend(slowdown=lambda visit: 2.0)
    after = run(backend, out, [*WORKLOADS, network("known", "stem", "d", "head"), new], [])
    assert Counter(backend.calls) == {("kernels", new.model): PROTOCOL.rounds}
    assert set(after.blocks) - set(before.blocks) == {"other stem"}
    kept: list[Row] = [row for row in after.rows() if row in before.rows()]
    assert kept == before.rows()
    assert after.kernels["Work(other stem)"].timing.latency_ms == pytest.approx(
        2 * kernel_ms("Work(other stem)"), rel=1e-5
    )
    assert read_table(out) == after


def test_a_table_of_grey_images_becomes_one_of_colour_images_too(out: Path) -> None:
    grey, colour = (network_family("mobilenet:tiny", channels=channels).workloads()[::9] for channels in (1, 3))
    before = run(FakeBackend(), out, grey, [])
    backend = FakeBackend()
    after = run(backend, out, colour, [])
    assert set(after.blocks) == {key for workload in [*grey, *colour] for key in workload.parts.values()}
    assert all(row in after.rows() for row in before.rows())
    again = FakeBackend()
    assert run(again, out, [*grey, *colour], []) == after
    assert again.calls == []


def test_an_extension_measures_no_block_twice_and_no_reference_again(out: Path) -> None:
    run(FakeBackend(), out)
    new = [network("new", "e", "head"), network("same", "stem", "e", "head"), network("more", "e", "f", "head")]
    backend = FakeBackend()
    table = run(backend, out, [*WORKLOADS, *new], REFERENCES)
    assert Counter(backend.calls) == {("kernels", each.model): PROTOCOL.rounds for each in (new[0], new[2])}
    assert {"e", "f"} <= set(table.blocks)


def test_an_extension_that_was_interrupted_goes_on_and_leaves_the_table_whole_meanwhile(out: Path) -> None:
    before = run(FakeBackend(), out)
    new = [network("new", "e", "head"), network("newer", "f", "head")]
    backend = FakeBackend()
    with pytest.raises(KeyboardInterrupt):
        run(backend, out, [*WORKLOADS, *new], [], on_progress=stop_after(2))
    assert read_table(out) == before
    after = run(backend, out, [*WORKLOADS, *new], [])
    assert Counter(backend.calls) == {("kernels", each.model): PROTOCOL.rounds for each in new}
    assert set(after.blocks) == {*before.blocks, "e", "f"}


# --- noise


@pytest.mark.parametrize("slow_round", [0, 1, 2])
def test_one_slow_round_of_three_changes_nothing_and_is_told(out: Path, slow_round: int) -> None:
    quiet = run(FakeBackend(), out.with_name("quiet.jsonl"))
    table = run(FakeBackend(slowdown=lambda visit: 1.7 if visit == slow_round else 1.0), out)
    for found, expected in ((table.kernels, quiet.kernels), (table.networks, quiet.networks)):
        assert {row.timing.noise for row in found.values()} == {"ok"}
        assert {key: row.timing.latency_ms for key, row in found.items()} == {
            key: row.timing.latency_ms for key, row in expected.items()
        }
    slowdown = [1.0, 1.0, 1.0]
    slowdown[slow_round] = 1.7
    assert table.manifest.conditions["round_slowdown"] == slowdown


def test_rows_are_noisy_when_no_two_rounds_agree(out: Path) -> None:
    table = run(FakeBackend(slowdown=lambda visit: 1 + 0.3 * visit), out)
    assert {row.timing.noise for row in (*table.kernels.values(), *table.networks.values())} == {"noisy"}
    assert {row.timing.noise for row in read_table(out).kernels.values()} == {"noisy"}
    assert table.networks["first"].timing.latency_ms == pytest.approx(1.005)


def test_a_measurement_is_repeated_until_some_run_is_undisturbed(out: Path) -> None:
    backend = FakeBackend(preempted=lambda visit: visit < 2)
    table = run(backend, out)
    assert set(Counter(backend.calls).values()) == {PROTOCOL.rounds + 2}
    assert {row.timing.noise for row in (*table.kernels.values(), *table.networks.values())} == {"ok"}


def test_a_measurement_that_is_always_disturbed_is_given_up_and_its_rows_are_noisy(out: Path) -> None:
    backend = FakeBackend(preempted=lambda visit: True)
    table = run(backend, out)
    assert set(Counter(backend.calls).values()) == {PROTOCOL.rounds * PROTOCOL.attempts}
    assert {row.timing.noise for row in (*table.kernels.values(), *table.networks.values())} == {"noisy"}
    assert {row.timing.n for row in table.networks.values()} == {PROTOCOL.rounds * PROTOCOL.timed_runs}


# --- a full disk


def test_a_disk_that_fills_up_while_measuring_costs_one_measurement(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAKE: the journal writes half a line and fails as a full disk does."""
    whole = run(FakeBackend(), out.with_name("whole.jsonl"))
    append = Journal.append

    def appended(journal: Journal, entry: dict[str, Any]) -> None:
        if len(journal.entries) < 6:
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
            run(backend, out)
    assert len(backend.calls) == 7
    assert not out.exists()
    assert_same_figures(run(backend, out), whole)
    assert len(backend.calls) == TASKS + 1


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
            run(backend, out)
    assert not out.exists()
    run(backend, out)
    assert Counter(backend.calls) == EVERY_MEASUREMENT_ONCE


def test_a_campaign_killed_after_its_table_was_written_measures_nothing_more(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FAKE: the process ends between writing the table and removing the journal."""

    def last_act(table: LatencyTable, path: Path) -> Path:
        write_table(table, path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(campaign_module, "write_table", last_act)
        with pytest.raises(KeyboardInterrupt):
            run(FakeBackend(), out)
    backend = FakeBackend()
    assert run(backend, out) == read_table(out)
    assert backend.calls == []


# --- the real runtime

SHORT = MeasuringProtocol(warmup_runs=1, profiled_runs=3, timed_runs=3, rounds=3)


def some_networks(family: NetworkFamily) -> tuple[list[Any], list[Any]]:
    return list(family.workloads())[::2], family.references(10)


def test_a_real_campaign_knows_every_block_of_its_networks(out: Path, tiny_family: NetworkFamily) -> None:
    workloads, references = tiny_family.workloads()[:4], tiny_family.references(3)
    backend, protocol = OnnxRuntimeBackend("cpu"), replace(SHORT, rounds=2)
    table = profile(workloads, references, backend=backend, out=out, space="mobilenet:tiny", protocol=protocol)
    assert set(table.blocks) == {key for workload in workloads for key in workload.parts.values()}
    assert set(table.networks) == {reference.name for reference in references}
    assert {row.provider for row in table.kernels.values()} == {"CPUExecutionProvider"}
    assert table.manifest.provider == "CPUExecutionProvider"
    for key in table.blocks:
        latency_ms, kernels = table.block_cost(key)
        assert latency_ms >= 0
        assert kernels >= 1
    assert all(row.timing.latency_ms > 0 for row in table.networks.values())
    table.require_fingerprint(backend.fingerprint(), override="nothing")
    assert read_table(out) == table


CHILD = """
import sys
from hwnas.networks import network_family
from profilers import MeasuringProtocol, OnnxRuntimeBackend, profile
family = network_family("mobilenet:tiny", channels=1, classes=10)
protocol = MeasuringProtocol(warmup_runs=1, profiled_runs=3, timed_runs=3, rounds=3)
profile(list(family.workloads())[::2], family.references(10), backend=OnnxRuntimeBackend("cpu"), out=sys.argv[1],
        space="mobilenet:tiny", protocol=protocol)
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
    backend, rng = OnnxRuntimeBackend("cpu"), np.random.default_rng(2026)
    journals: list[str] = []
    for more, linger_s in zip(rng.integers(1, 20, 3).tolist(), rng.uniform(0, 0.03, 3).tolist(), strict=True):
        journals.append(killed_after(more, linger_s, out=out))
        assert not out.exists()

    def remember(progress: Progress) -> None:
        if progress.done == progress.total:
            journals.append(journal_of(out).read_text(encoding="utf-8"))

    table = profile(
        workloads,
        references,
        backend=backend,
        out=out,
        space="mobilenet:tiny",
        protocol=SHORT,
        on_progress=remember,
    )
    for text, later in pairwise(journals):
        whole, _, _ = text.rpartition("\n")
        assert later.startswith(f"{whole}\n")
        assert len(entries(later)) > len(entries(text))
    ids = [entry["id"] for entry in entries(journals[-1])]
    assert len(ids) == len(set(ids)) == SHORT.rounds * (len(workloads) + len(references))
    once = profile(
        workloads,
        references,
        backend=backend,
        out=out.with_name("once.jsonl"),
        space="mobilenet:tiny",
        protocol=replace(SHORT, rounds=1),
    )
    keys = [[(type(row).__name__, row.key) for row in each.rows()] for each in (table, once)]
    assert keys[0] == keys[1]
    assert table.blocks == once.blocks
