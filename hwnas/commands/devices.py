"""Several devices in one search: their options, and their fronts as people and programs read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwnas.commands.options import words_of
from hwnas.commands.printing import grid, ms

if TYPE_CHECKING:
    from hwnas.networks import NetworkFamily
    from hwnas.study import Devices, Run

DeviceNames = Annotated[
    list[str] | None,
    typer.Option(
        "--devices",
        help="Devices beside that of --table, each with a front, several with commas: tables, NAME=TABLE, and in "
        "nasbench201 names of its pool or MEASURED.csv. Latency there is a target as latency@NAME, a limit as "
        "--max-latency NAME=8ms.",
    ),
]
UnseenNames = Annotated[
    list[str] | None,
    typer.Option("--unseen", help="For modnas: devices to find a front for from ten reference latencies alone."),
]


def devices_of(  # noqa: PLR0913  (keywords, each an option of the command)
    learned: Sequence[str] | None,
    unseen: Sequence[str] | None,
    *,
    family: NetworkFamily,
    algorithm: str,
    evaluator: str,
    targets: Sequence[str],
    limits: Mapping[str, float],
    missing: Any,
) -> Devices:
    """The devices of ``--devices`` and ``--unseen``, before anything is measured or trained.

    Raises:
        UsageError: The search is not for several devices, one of them is unknown or lacks reference latencies, or the
            algorithm cannot learn from what else is asked for.
    """
    from hwnas.core import UsageError
    from hwnas.objectives import bounds_of, objectives, require_devices
    from hwnas.predictors import device_name
    from hwnas.study import open_devices
    from hwnas.study.one_shot import describes_devices, require_one_shot

    named, others = words_of(learned), words_of(unseen)
    require_one_shot(
        algorithm,
        space=family.space,
        evaluator=evaluator,
        targets=targets,
        limits=limits,
        several=bool(named or others),
    )
    described = describes_devices(algorithm)
    if others and not described:
        raise UsageError(
            f"--unseen is for an algorithm that learns from other devices, such as modnas; {algorithm} takes all of "
            "them as --devices"
        )
    require_devices(
        [*(goal.name for goal in objectives(targets)), *(bound.cost for bound in bounds_of(limits))],
        [device_name(source) for source in (*named, *others)],
    )
    return open_devices(family, named, unseen=others, described=described, missing=missing)


def device_rows(run: Run) -> dict[str, list[dict[str, Any]]]:
    """The front on each other device as JSON values, one mapping a trial."""
    from hwnas.objectives import latency_on

    return {
        device: [
            {
                "trial": trial.number,
                "id": trial.architecture.id,
                "accuracy": trial.values["accuracy"],
                "latency_ms": trial.values[latency_on(device).name],
            }
            for trial in run.front_on(device)
        ]
        for device in run.settings.other_devices
    }


def device_parts(run: Run) -> list[Any]:
    """A line for each other device; nothing where there is none."""
    from hwnas.predictors import device_name
    from hwnas.study.one_shot import describes_devices

    describes = describes_devices(run.settings.algorithm)
    unseen = {device_name(source) for source in run.settings.unseen}
    lines = []
    for device, rows in device_rows(run).items():
        if not rows:  # no trial has ended well
            continue
        first, last = rows[0], rows[-1]
        reach = [f"{ms(one['latency_ms'])} ms at {one['accuracy']:.1%}" for one in (first, last)]
        known = ["never seen" if device in unseen else "learned from"] if describes else []
        lines.append((device, *known, str(len(rows)), *reach))
    columns = ["device", *([""] if describes else []), "networks", "fastest", "most accurate"]
    return [grid("Fronts on other devices", columns, lines)] if lines else []
