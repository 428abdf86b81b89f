"""The command lines that make a run, its exports and its report again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from hwnas.evaluators import SHARING
from hwnas.study import Run
from hwnas.training import preset_name

_ORDERS: Mapping[bool | str, Sequence[str]] = {
    "auto": (),
    True: ("--channels-last",),
    False: ("--no-channels-last",),
}
ON_THE_COMMAND_LINE = ("epochs", "device", "channels_last")  # fields of a recipe that have an option of their own


def search_command(run: Run, *, out: str) -> str:
    """The search, one option a line, ready for a POSIX shell.

    Args:
        run: The run to repeat or to go on with.
        out: The run folder; that of ``run`` goes on with it.
    """
    settings = run.settings
    options = [("--space", settings.space), ("--data", settings.data)]
    options += [("--precision", ",".join(settings.precisions))] if settings.precisions != ("fp32",) else []
    options += [("--target", target) for target in settings.targets]
    options += [("--algorithm", settings.algorithm)]
    options += [("--inner", settings.inner)] if settings.inner else []
    options += [("--devices", ",".join(settings.devices))] if settings.devices else []
    options += [("--unseen", ",".join(settings.unseen))] if settings.unseen else []
    options += [("--trials", str(settings.trials))]
    options += [("--recipe", preset_name(settings.recipe, but=ON_THE_COMMAND_LINE) or "default")]
    options += [("--epochs", str(settings.recipe.epochs)), ("--train-on", settings.recipe.device)]
    if settings.learned_from is not None:
        options += [("--evaluator", settings.evaluator), ("--learn-from", settings.learned_from)]
    elif settings.evaluator != "trained":
        options += [("--evaluator", settings.evaluator)]
    if settings.evaluator in SHARING:
        options += [("--supernet-epochs", str(settings.supernet_epochs))]
    options += [("--halving", f"{settings.halving:g}")] if settings.halving is not None else []
    options += [("--seed", str(settings.seed))]
    for bound in settings.bounds:
        # repr: the shortest text that gives exactly this number back
        options.append((bound.option, bound.argument(f"{float(bound.value)!r}")))
    options += [("--min-accuracy", repr(settings.min_accuracy))] if settings.min_accuracy is not None else []
    options += [("--warm-start", run.warm.source)] if run.warm is not None else []
    options += [("--table", str(run.folder / "latency_table.jsonl")), ("--out", out)]
    order = _ORDERS[settings.recipe.channels_last]
    return _command(["hwnas", "search"], [*order, *(f"{name} {shlex.quote(value)}" for name, value in options)])


def export_command(run: Run, pick: str) -> str:
    """The export of a winner or of an architecture."""
    return f"hwnas export {shlex.quote(str(run.folder))} --pick {shlex.quote(pick)}"


def report_command(run: Run) -> str:
    """The report itself."""
    return f"hwnas report {shlex.quote(str(run.folder))}"


def _command(words: Sequence[str], options: Sequence[str]) -> str:
    return " \\\n  ".join([" ".join(words), *options])
