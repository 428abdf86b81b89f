"""MODNAS as the searcher of a run: one policy is learned, then its networks for all devices are the trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Proposal, Searcher, Trial, UsageError, unknown
from hwnas.evaluators import TabularEvaluator
from hwnas.relaxed import (
    CostTensor,
    DeviceTask,
    Modnas,
    ModnasSettings,
    described_device,
    option_counts,
    rays,
    widest_first,
)
from hwnas.searchers import ALGORITHMS, DesignsFirst, SearchProblem, require_inner
from hwnas.spaces import SearchSpace
from hwnas.study.devices import Devices
from hwnas.study.run import Run
from hwnas.training import TrainingState, read_checkpoint, write_checkpoint
from hwnas.training.devices import torch_threads

MODNAS = "modnas"
POLICY = "modnas.safetensors"  # in the folder of a run
SETTINGS = ModnasSettings()
_RAYS = 64  # preferences for each device, at least; neighbours often share a network
_PERCENT = 100.0

Array = NDArray[np.float64]


class _NothingMore:
    """Follows the last design."""

    def tell(self, trials: Sequence[Trial]) -> None:
        """Needs nothing."""

    def ask(self, n: int, *, pending: Sequence[Architecture]) -> list[Proposal]:
        """Has nothing."""
        del n, pending
        return []


def require_searcher(algorithm: str, inner: str | None) -> str | None:
    """The inner searcher that a run's algorithm will draw with, as of ``hwnas.searchers.require_inner``.

    Raises:
        UsageError: No such algorithm, no such inner searcher, or the algorithm takes none.
    """
    if algorithm != MODNAS:
        if algorithm not in ALGORITHMS:
            raise unknown("algorithm", algorithm, (*ALGORITHMS, MODNAS))
        return require_inner(algorithm, inner)
    if inner is not None:
        raise UsageError(f"algorithm {MODNAS} takes no inner searcher, received {inner!r}: leave --inner out")
    return None


def require_one_shot(
    algorithm: str, *, space: SearchSpace, evaluator: str, targets: Sequence[str], several: bool
) -> None:
    """Refuses what a policy cannot be learned from, before anything is measured or trained.

    Args:
        algorithm: Of the search; for another than MODNAS there must be no further devices.
        space: To search.
        evaluator: What finds accuracies.
        targets: Costs to trade against accuracy.
        several: Whether there are devices beside that of the table.

    Raises:
        UsageError: The algorithm, the space, the evaluator or the targets are not for this.
    """
    if algorithm != MODNAS:
        if several:
            raise UsageError(
                f"--devices and --unseen are for --algorithm {MODNAS}: {algorithm} searches for one device, that of "
                "--table"
            )
        return
    option_counts(space)
    if evaluator != "tabular":
        raise UsageError(
            f"algorithm {MODNAS} learns from the accuracies of all architectures: expected --evaluator tabular, "
            f"received {evaluator}"
        )
    if "latency" not in targets:
        raise UsageError(f"algorithm {MODNAS} trades accuracy against latency: add --target latency")
    if "energy" in targets and several:
        raise UsageError(
            "the energy is known on the device of --table alone: leave out --target energy, or --devices and --unseen"
        )


def modnas_searcher(
    run: Run,
    devices: Devices,
    evaluator: TabularEvaluator,
    problem: SearchProblem,
    *,
    on_progress: Callable[[int, int], None],
) -> Searcher:
    """Proposes what a policy gives for each device and preference, the widest apart first, each network once.

    The policy is learned now, or read from the run's folder where it was learned before.

    Args:
        run: The run.
        devices: Those beside that of its table.
        evaluator: Its accuracies, from 0 to 1.
        problem: Its problem.
        on_progress: Called with the steps of learning made and to make.

    Raises:
        CheckpointError: The file of the policy is damaged.
        OSError: It cannot be written.
    """
    described = _descriptions(run, devices)
    with torch_threads(1):
        modnas = _modnas(run, devices, evaluator, described)
        _learn(modnas, run.folder / POLICY, on_progress)
        designs = _designs(modnas, described)
    return DesignsFirst(_NothingMore(), designs, problem=problem)


def _descriptions(run: Run, devices: Devices) -> dict[str, Array]:
    """What tells the devices from one another, by their names; the table's first."""
    own = run.table.manifest.device_name
    if not devices.references:
        return {own: np.zeros(1)}
    own_ms = run.latency.predict(devices.references)[0]
    found = {own: described_device(own_ms)}
    return found | {one.name: described_device(one.reference_ms) for one in devices.all}


def _modnas(run: Run, devices: Devices, evaluator: TabularEvaluator, described: Mapping[str, Array]) -> Modnas:
    space, networks = run.family.space, run.family.space.listed
    error = CostTensor.of(space, networks, _PERCENT * (1 - evaluator.values("accuracy", networks)))
    own, *_ = described
    predictors = {own: run.latency, **{one.name: one.latency for one in devices.learned}}
    others = [goal.name for goal in run.objectives[1:] if goal.name != "latency_ms"]
    # the other costs are those of the networks themselves; they take longer to find than all latencies together
    known = run.costs.values(networks) if others else {}
    shared = tuple(CostTensor.of(space, networks, known[name]) for name in others)
    tasks = [
        DeviceTask(
            name=name,
            costs=(CostTensor.of(space, networks, latency.predict(networks)[0]), *shared),
            description=described[name],
        )
        for name, latency in predictors.items()
    ]
    guessing = _PERCENT * (1 - 1 / run.settings.classes)
    return Modnas(error, tasks, seed=run.settings.seed, settings=SETTINGS, worth_having=guessing)


def _learn(modnas: Modnas, path: Path, on_progress: Callable[[int, int], None]) -> None:
    """Learns a policy and keeps it, or reads it."""
    if path.exists():
        modnas.policy.load_state_dict(dict(read_checkpoint(path).tensors))
        return
    on_progress(0, modnas.settings.steps)
    modnas.fit(on_progress)
    write_checkpoint(TrainingState(tensors=modnas.policy.state_dict(), values={}), path)


def _designs(modnas: Modnas, described: Mapping[str, Array]) -> list[Proposal]:
    """The networks for all devices and preferences, each once, with the first device and preference it is for."""
    preferences = widest_first(rays(_RAYS, objectives=modnas.objectives))
    found = {name: modnas.propose(description, preferences) for name, description in described.items()}
    designs: dict[Architecture, Proposal] = {}
    for place, preference in enumerate(preferences):
        for name, proposed in found.items():
            why = {"inner": MODNAS, "device": name, "preference": [round(float(share), 3) for share in preference]}
            designs.setdefault(proposed[place], Proposal(architecture=proposed[place], why=why))
    return list(designs.values())
