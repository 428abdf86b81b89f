"""Options about where trials run, where they are kept, and what is there when they begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hwnas.executors import ExecutorSettings

Workers = Annotated[int, typer.Option(min=1, help="Trials that run at once.")]
Executor = Annotated[
    str,
    typer.Option(
        help="Where trials run: serial, processes, ray, slurm; auto takes processes where there are several workers."
    ),
]
TrialTimeout = Annotated[
    str | None, typer.Option(help="How long a trial may take, for example 90s, 20min or 2h; it is ended then.")
]
Attempts = Annotated[int, typer.Option(min=1, help="How often a trial is begun whose worker is lost.")]
Address = Annotated[
    str | None, typer.Option(help="Of a Ray cluster, for example auto; without one, a cluster of this machine alone.")
]
WorkerGpus = Annotated[
    float, typer.Option(min=0.0, help="GPUs for each worker on a cluster; with Ray, 0.5 shares one.")
]
WorkerResources = Annotated[
    list[str] | None, typer.Option(help="NAME=1 of the Ray cluster for each worker. May be repeated.")
]
Partition = Annotated[str | None, typer.Option(help="Of SLURM; by default the cluster's usual one.")]
WorkerTime = Annotated[
    str | None,
    typer.Option(help="After which SLURM ends the job of a trial, for example 2h; by default as --trial-timeout says."),
]
WorkerMemory = Annotated[str | None, typer.Option(help="That each job asks SLURM for, for example 16GiB.")]
Storage = Annotated[
    str | None,
    typer.Option(
        help="Keeps the trials: journal:FILE, postgresql+psycopg://USER@HOST/DATABASE or another Optuna storage; by "
        "default a file in the run folder."
    ),
]
WarmStart = Annotated[
    str | None,
    typer.Option(
        help="Folder of another run of the same space, or STORAGE#STUDY: its results are taken over where data, recipe "
        "and evaluator are the same, else its front is evaluated first."
    ),
]

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def executor_of(  # noqa: PLR0913  (keywords, each an option of the command)
    name: str,
    workers: int,
    trial_timeout: str | None,
    *,
    address: str | None,
    gpus: float,
    resources: Sequence[str] | None,
    partition: str | None = None,
    time: str | None = None,
    memory: str | None = None,
) -> ExecutorSettings:
    """The settings of an executor from the options.

    Raises:
        typer.BadParameter: A text is not of its form.
        UsageError: The options do not go together.
        MissingExtraError: What the executor needs is not installed.
    """
    from hwnas.executors import ExecutorSettings, require_executor
    from hwnas.objectives import parse_quantity

    settings = ExecutorSettings(
        name=name,
        workers=workers,
        limit_s=None if trial_timeout is None else seconds_of(trial_timeout, option="--trial-timeout"),
        address=address,
        gpus=gpus,
        resources=dict(_resource_of(text) for text in resources or []),
        partition=partition,
        time_s=None if time is None else seconds_of(time, option="--worker-time"),
        memory_mib=None if memory is None else parse_quantity(memory, unit="MiB"),
    )
    require_executor(settings)
    return settings


def seconds_of(text: str, *, option: str) -> float:
    """A time as people write it, in seconds.

    Raises:
        typer.BadParameter: It is none, or not above 0.
    """
    for unit in sorted(_SECONDS, key=len, reverse=True):
        number = text.strip().removesuffix(unit)
        if number != text.strip():
            try:
                seconds = float(number) * _SECONDS[unit]
            except ValueError:
                break
            if 0 < seconds < float("inf"):
                return seconds
            break
    raise typer.BadParameter(f"expected a time such as 90s, 20min or 2h, received {text}", param_hint=option)


def _resource_of(text: str) -> tuple[str, float]:
    name, _, amount = text.partition("=")
    try:
        value = float(amount)
    except ValueError:
        value = 0.0
    if not name or not 0 < value < float("inf"):
        raise typer.BadParameter(
            f"expected NAME=1 with a number above 0, received {text}", param_hint="--worker-resource"
        )
    return name, value
