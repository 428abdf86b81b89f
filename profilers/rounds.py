"""The rounds of a campaign: what is measured when, and what of it goes into the journal."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import psutil
from numpy.typing import NDArray

from profilers.backends.contract import (
    Backend,
    InPlace,
    IsolatedKernel,
    Method,
    ProfiledRuns,
    RunPlan,
    TimedRuns,
    symmetric_int8,
)
from profilers.devices.clock_lock import ClockLock
from profilers.devices.energy import EnergyMeter, EnergyUnknown, energy_meter
from profilers.errors import CampaignError, DeviceError, DeviceMemoryError, ModelError
from profilers.guards import checked_kernels, checked_profile, checked_times, guarded
from profilers.journal import Journal
from profilers.protocol import MeasuringProtocol
from profilers.resources import network_energy
from profilers.rows import evidence, sample_to_json, uncertain
from profilers.statistics import quiet_runs, summarise
from profilers.steps import step_tasks
from profilers.tasks import (
    Task,
    Workload,
    distinct,
    floor_task,
    in_place_tasks,
    kernel_models,
    named,
    network_tasks,
    structure_entry,
)
from profilers.watch import Watch

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a campaign is.

    Attributes:
        done: Measurements finished, those of an earlier process included.
        total: Measurements in all; grows when rows turn out to need further rounds.
        resumed: How many of them an earlier process had finished.
        further: Whether what turns out to be uncertain may need measurements beyond ``total``.
    """

    done: int
    total: int
    resumed: int
    further: bool = False


NO_ENERGY_ASKED = "not asked for: --energy measures it for whole networks"
NO_ENERGY_OF_KERNELS = "measured for whole networks only: a kernel is too short for the counter"


@dataclass(frozen=True, kw_only=True)
class CampaignSettings:
    """What is measured beside the latencies, and how.

    Attributes:
        space: Name of what the workloads come from.
        precisions: Arithmetic types to convert the workloads to.
        method: How kernels are measured; ``None`` for what suits the backend best.
        steps: Whether the steps in which kernels grow with their channels are probed.
        energy: Whether the energy of whole networks is measured; takes seconds for each.
        clock_lock: What came of locking the clocks, for the manifest; ``None`` when nobody asked for it.
        protocol: How to measure.
    """

    space: str = "networks"
    precisions: tuple[str, ...] = ("fp32",)
    method: Method | None = None
    steps: bool = True
    energy: bool = False
    clock_lock: ClockLock | None = None
    protocol: MeasuringProtocol = field(default_factory=MeasuringProtocol)


class Rounds:
    """One process's part in a campaign."""

    def __init__(
        self,
        backend: Backend,
        settings: CampaignSettings,
        method: Method,
        journal: Journal,
        on_progress: Callable[[Progress], None] | None,
        *,
        held: Collection[str] = (),
    ) -> None:
        self.backend, self.settings, self.method, self.journal = backend, settings, method, journal
        self._on_progress = on_progress
        self._done = {entry["id"] for entry in journal.entries}
        self._resumed = len(self._done)
        self._structures = sum(1 for entry in journal.entries if entry["kind"] == "structure")
        self._total = self._spared = 0
        self._further = False  # whether another round may follow the one under way
        self._held = set(held)  # kernels that the table has already
        self._alone: dict[str, IsolatedKernel] = {}
        self.unknown: dict[str, str] = {}

    def measure(self, workloads: Sequence[Workload], references: Sequence[Workload]) -> None:
        """Everything there is to measure, in rounds."""
        tasks = [*self._kernel_tasks(workloads, references), *network_tasks(references), floor_task()]
        if self.settings.steps:
            keys = (key for entry in self.journal.entries for key in entry.get("about", ()))
            probes = step_tasks(keys, symmetric=symmetric_int8(self.backend))
            tasks += probes
            if not probes:
                self.unknown["steps"] = "none of the kernels is a convolution whose key tells its channels"
        self.in_rounds(tasks)
        self._measure_energy(references)

    def in_rounds(self, tasks: Sequence[Task]) -> None:
        """Some things in shuffled rounds, and what is still uncertain in further ones."""
        rule = self.settings.protocol
        base = rule.rounds * len(tasks)
        with Watch(self.backend, rule) as watch:
            with self._about(Task("sentinel", "before the first measurement")):
                guarded(self.backend, watch.begin)
            for round_ in range(rule.most_rounds):
                wanted = tasks
                if round_ >= rule.rounds:
                    before = [entry for entry in self.journal.entries if entry["round"] < round_]
                    wanted = uncertain(evidence(before, rule, device=self.backend.device), rule, tasks)
                    base += len(wanted)
                if not wanted:
                    break
                self._further = round_ + 1 < rule.most_rounds
                for i in np.random.default_rng(round_).permutation(len(wanted)):
                    self._measure(wanted[i], round_, watch, total=base)
        self._further = False

    def _kernel_tasks(self, workloads: Sequence[Workload], references: Sequence[Workload]) -> list[Task]:
        """What gives the kernels their times, by method; what each network became goes into the journal once."""
        if self.method == "in-place":
            self._inspect_in_place([*workloads, *references])
            return in_place_tasks(workloads)
        alone: dict[str, IsolatedKernel] = {}
        needed: set[str] = set()
        for workload in distinct([*workloads, *references]):
            found = self._inspected(Task("structure", workload.name), partial(self._isolated, workload))
            if found is not None:
                entry, models = found
                needed |= set(entry["about"])
                alone |= {key: model for key, model in models.items() if key not in alone}
        needed -= self._held
        for key in sorted(needed - set(alone)):
            self._fail(Task("kernel", key), "the runtime does not tell enough of it to run it alone")
        self._alone = alone
        return [Task("kernel", key, copies=kernel.copies) for key, kernel in alone.items() if key in needed]

    def _isolated(self, workload: Workload) -> tuple[dict[str, Any], Mapping[str, IsolatedKernel]]:
        entry, models = guarded(self.backend, partial(kernel_models, self.backend, workload, self.method))
        return entry, checked_kernels(self.backend, models)

    def _inspected(self, task: Task, look: Callable[[], tuple[dict[str, Any], _T]]) -> tuple[dict[str, Any], _T] | None:
        """What a network became, for the journal; ``None`` when it does not fit the device."""
        try:
            with self._about(task):
                entry, more = look()
        except DeviceMemoryError as error:
            self._fail(task, str(error))
            return None
        self._record({"id": f"structure/{task.name}", "kind": "structure", "name": task.name, **entry})
        return entry, more

    def _inspect_in_place(self, workloads: Sequence[Workload]) -> None:
        backend = self.backend
        if not isinstance(backend, InPlace):
            raise CampaignError(
                f"the backend {backend.name!r} cannot time kernels in place: choose --method isolated or blocks"
            )
        for workload in distinct(workloads):
            if f"structure/{workload.name}" not in self._done:
                self._inspected(Task("structure", workload.name), partial(self._looked_at, backend, workload))

    def _looked_at(self, backend: InPlace, workload: Workload) -> tuple[dict[str, Any], None]:
        once = RunPlan(warmup_runs=0, runs=1)
        runs = guarded(backend, partial(backend.profile, workload.model, workload.parts, once))
        inspection = checked_profile(backend, runs, workload.parts).inspection
        return structure_entry(inspection, workload.parts, provider=runs.provider), None

    def _fail(self, task: Task, reason: str) -> None:
        """Notes what cannot be measured; the rest is worth having all the same."""
        self._record({"id": f"failed/{task.kind}/{task.name}", "kind": "failed", "name": task.name, "reason": reason})

    def _record(self, entry: dict[str, Any]) -> None:
        if entry["id"] not in self._done:
            self.journal.append({"round": -1, **entry})
            self._done.add(entry["id"])
            self._structures += int(entry["kind"] == "structure")

    def _measure(self, task: Task, round_: int, watch: Watch, *, total: int) -> None:
        """Measures one thing once more; repeats while the machine leaves it no undisturbed run."""
        if task.id(round_) in self._done:
            return
        if f"failed/{task.kind}/{task.name}" in self._done:
            self._spared += 1
            return
        try:
            with self._about(task):
                for _ in range(self.settings.protocol.attempts):
                    entry = self._entry(task, round_)
                    if entry.pop("clean"):
                        break
                seen = guarded(self.backend, watch.read)
        except (ModelError, DeviceMemoryError) as error:
            # what is too large for the device, or runs in its network and not alone, or has no kernel there
            if isinstance(error, ModelError) and task.kind not in {"kernel", "step"}:
                raise
            self._fail(task, str(error))
            self._tell(total)
            return
        place = {"id": task.id(round_), "round": round_, "kind": task.kind, "name": task.name}
        self._record({**place, "load_1min": psutil.getloadavg()[0], "watch": seen, **entry})
        self._tell(total)

    def _tell(self, total: int) -> None:
        self._total = total = total - self._spared
        if self._on_progress is None:
            return
        done = len(self._done) - self._structures
        resumed = max(0, min(self._resumed - self._structures, done))
        self._on_progress(Progress(done=done, total=total, resumed=resumed, further=self._further))

    def _entry(self, task: Task, round_: int) -> dict[str, Any]:
        rule = self.settings.protocol
        runs = rule.profiled_runs if task.kind == "kernels" else rule.timed_runs
        plan = RunPlan(
            warmup_runs=rule.warmup_runs,
            runs=runs,
            least_runs=min(rule.least_runs, runs),
            budget_ms=rule.budget_ms,
            seed=round_,
        )
        if task.kind == "kernels":
            return self._kernels_entry(task, plan)
        timed = checked_times(self.backend, guarded(self.backend, lambda: self._timed(task, plan)))
        quiet = quiet_runs(timed.run_ms, timed.preempted, fraction=rule.quiet_fraction)
        sample = summarise(timed.run_ms, timed.preempted, quiet, round_=round_)
        entry: dict[str, Any] = {"clean": sample.clean, "sample": sample_to_json(sample), "provider": timed.provider}
        if task.kind == "kernel":
            entry["copies"] = task.copies
        if task.kind in {"network", "floor"}:
            counted = timed.run_ms[~timed.preempted] if sample.clean else timed.run_ms
            entry["raw_ms"] = [float(f"{time_ms:.5g}") for time_ms in counted]
        if task.kind == "network":
            entry |= {"load_ms": timed.load_ms, "first_ms": timed.first_ms, "blocks": Counter(task.parts.values())}
        return entry

    def _timed(self, task: Task, plan: RunPlan) -> TimedRuns:
        if task.kind == "kernel" and self.method == "isolated":
            runs: TimedRuns = self.backend.time_kernel(self._alone[task.name], plan)  # type: ignore[attr-defined]  # tasks.kernel_models saw to it
            return runs
        return self.backend.time(task.load() if task.kind != "kernel" else self._alone[task.name].model, plan)

    def _kernels_entry(self, task: Task, plan: RunPlan) -> dict[str, Any]:
        profiled: ProfiledRuns = guarded(
            self.backend,
            lambda: self.backend.profile(task.load(), task.parts, plan),  # type: ignore[attr-defined]  # checked before
        )
        runs = checked_profile(self.backend, profiled, task.parts)
        quiet = quiet_runs(runs.run_ms, runs.preempted, fraction=self.settings.protocol.profiled_fraction)
        by_key: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        for use, durations_ms in zip(runs.uses, runs.kernel_ms, strict=True):
            by_key[use.key].append(durations_ms)
        # a kernel that occurs several times in the network: the mean of its occurrences, run by run
        samples = {
            key: sample_to_json(summarise(np.mean(times, axis=0), runs.preempted, quiet))
            for key, times in by_key.items()
        }
        return {"clean": not bool(runs.preempted.all()), "provider": runs.provider, "kernels": samples}

    def _measure_energy(self, references: Sequence[Workload]) -> None:
        """The energy of whole networks, in windows of seconds, where the device can tell."""
        if not self.settings.energy:
            self.unknown["energy_mj"] = NO_ENERGY_ASKED
            return
        meter = energy_meter(self.backend.device)
        if isinstance(meter, EnergyUnknown):
            self.unknown["energy_mj"] = meter.reason
            return
        self.unknown["kernels.energy_mj"] = NO_ENERGY_OF_KERNELS
        try:
            for workload in references:
                self._measure_energy_of(workload, meter)
        finally:
            meter.close()

    def _measure_energy_of(self, workload: Workload, meter: EnergyMeter) -> None:
        task = Task("energy", workload.name)
        if task.id(-1) in self._done:
            return
        with self._about(task):
            reading = guarded(self.backend, partial(network_energy, self.backend, workload.model, meter))
        if isinstance(reading, EnergyUnknown):
            self.unknown[f"energy_mj of {workload.name}"] = reading.reason
            return
        values = {name: value for name, value in reading.to_json().items() if name != "energy_mj"}
        self._record(
            {"id": task.id(-1), "kind": task.kind, "name": task.name, "energy_mj": reading.energy_mj, "window": values}
        )

    def _about(self, task: Task) -> _About:
        return _About(self, task)

    @property
    def measured(self) -> int:
        """Measurements in the journal."""
        return len(self._done) - self._structures

    @property
    def left(self) -> int:
        """Measurements that are still to be made, as far as is known."""
        return max(0, self._total - self.measured)


class _About:
    """Says of an error what was being measured, and that the rest is kept."""

    def __init__(self, campaign: Rounds, task: Task) -> None:
        self._campaign, self._task = campaign, task

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ModelError):
            raise named(self._task, error) from error
        if isinstance(error, DeviceError) and not isinstance(error, DeviceMemoryError) and self._campaign.measured:
            left = f"; {self._campaign.left} are left" if self._campaign.left else ""
            raise DeviceError(
                f"{error} This happened at {self._task.kind} {self._task.name}, after {self._campaign.measured} "
                f"measurements, which are kept in {self._campaign.journal.path}{left}. The same command goes on from "
                "there; if the device is gone for good, `hwnas table recover` makes a table of them."
            ) from error
