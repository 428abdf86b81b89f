"""Changes to a run that has trials already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone

from hwnas.core import UsageError
from hwnas.objectives import objectives
from hwnas.study.changes import TargetsAdded
from hwnas.study.folders import save_run
from hwnas.study.reference import reference_point
from hwnas.study.run import Run


def with_targets(run: Run, added: Sequence[str]) -> Run:
    """The run with further targets, on disk first; what they cost is known of every trial that is done.

    Args:
        run: The run.
        added: Names of costs that are no targets of it yet.

    Raises:
        UsageError: The run's table does not tell one of them, or it is of a device that the run does not know.
        OSError: The folder cannot be written.
    """
    if "energy" in added and run.costs.energy is None:
        raise UsageError(
            f"{run.folder} cannot go on with the target energy: its latency table, which a run keeps, holds the energy "
            "of too few networks. Begin a new run with another --out and a table made with `hwnas profile --energy`"
        )
    run.costs.require_known(goal.name for goal in objectives(added))
    change = TargetsAdded(
        when=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        before=run.settings.targets,
        added=tuple(added),
        trials=len(run.record.finished()),
    )
    run.record.close()
    further = reference_point(run.costs, run.limits, objectives(added)[1:], least_accuracy=run.settings.least_accuracy)
    changed = replace(
        run,
        settings=replace(run.settings, targets=(*run.settings.targets, *added)),
        reference={**run.reference, **further},
        changes=(*run.changes, change),
    )
    save_run(changed)
    return changed
