"""What trials leave behind in the run folder that nothing will ask for again.

Files that a run needs to go on, with more trials than it was begun with, too, are none of it: see ``docs/running.md``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, Trial
from hwnas.evaluators import WEIGHTS, checkpoint_of
from hwnas.predictors import SURE
from hwnas.spaces import PRECISION, without_precision
from hwnas.study.measuring import LATENCY
from hwnas.study.run import Run


def clear_after(run: Run, ended: Sequence[Trial], *, finished: Sequence[Trial]) -> None:
    """Removes what some trials left behind.

    The training of one that failed or was stopped does not go on. The weights that a network has in common with its
    twins in other precisions have done their work when each of these has ended or is sure to break a limit.

    Args:
        run: The run, on which nothing else works.
        ended: Trials that ended.
        finished: All of them, these included.

    Raises:
        OSError: The folder cannot be written.
    """
    for trial in ended:
        if not trial.complete:
            drop_training(run, trial.architecture)
    networks = {network.id: network for network in (without_precision(trial.architecture) for trial in ended)}
    if not (run.folder / WEIGHTS).is_dir():
        return
    known = {trial.architecture.id for trial in finished}
    for network in networks.values():
        if not _is_wanted(run, network, known):
            file = run.folder / WEIGHTS / f"{network.id}.safetensors"
            for one in (file, file.with_name(f"{file.name}.lock")):
                one.unlink(missing_ok=True)


def drop_training(run: Run, architecture: Architecture) -> None:
    """Removes what a training that will not go on has left behind.

    Raises:
        OSError: The folder cannot be written.
    """
    kept = checkpoint_of(run.trainings, architecture)
    if kept is not None:
        kept.unlink(missing_ok=True)


def _is_wanted(run: Run, network: Architecture, known: Collection[str]) -> bool:
    """Whether a network can still be proposed in some precision."""
    twins = [Architecture({**network, PRECISION: precision}) for precision in run.settings.precisions]
    left = [twin for twin in twins if twin.id not in known]
    return bool(left) and bool(_may_keep_limits(run, left).any())


def _may_keep_limits(run: Run, architectures: Sequence[Architecture]) -> NDArray[np.bool_]:
    """Which are not sure to break a limit, shape ``(n,)``: a latency counts at the better end of its 95 % interval.

    What a search expects of them at the moment does not count: it moves with each measurement.
    """
    costs = run.costs.values(architectures)
    latency_ms, spread_ms = run.latency.predict(architectures)
    kept = [bound.kept({**costs, LATENCY: latency_ms - bound.sign * SURE * spread_ms}) for bound in run.settings.bounds]
    return np.asarray(np.all([np.ones(len(architectures), dtype=np.bool_), *kept], axis=0))
