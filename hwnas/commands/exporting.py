"""``hwnas export``: what it needs no device for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hwnas.commands.options import words_of
from hwnas.commands.search_progress import export_progress
from hwnas.commands.winners import card_text, export_one

if TYPE_CHECKING:
    from hwnas.core import Architecture, LatencyMeter
    from hwnas.exports import Exported, ExportSettings
    from hwnas.exports.bundles import EngineMaker, Tier
    from hwnas.study import Run

ALL = "all"


@dataclass(frozen=True, kw_only=True)
class ExportPlan:
    """What is to be exported, and where to.

    Attributes:
        run: The run.
        networks: The picks, and the architecture of each.
        tiers: Of a hub; empty without one.
        folder: Of the bundle or hub; ``None`` where none is wanted.
        force: Whether one that is there is replaced.
        single: Whether one candidate was asked for, and one is told of.
    """

    run: Run
    networks: Mapping[str, Architecture]
    tiers: Sequence[Tier]
    folder: Path | None
    force: bool
    single: bool


def plan_export(
    run: Run, pick: str, *, tiers: str | None, bundle: bool, out: Path | None, force: bool, settings: ExportSettings
) -> ExportPlan:
    """Reads the options of ``hwnas export``; what cannot be written is refused before anything is trained.

    Raises:
        typer.BadParameter: Options contradict each other.
        UsageError: No such candidate or tier, or the folder exists.
    """
    from hwnas.exports.bundles import require_free, tiers_of
    from hwnas.study.precisions import FLOAT

    if tiers is not None and pick != "knee":
        raise typer.BadParameter("expected --pick or --tiers, received both", param_hint="--tiers")
    if out is not None and tiers is None and not bundle:
        raise typer.BadParameter("a folder is for --bundle or --tiers: give one of them, too", param_hint="--out")
    if force and tiers is None and not bundle:
        raise typer.BadParameter(
            "it replaces a folder of --bundle or --tiers: give one of them, too", param_hint="--force"
        )
    if settings.max_drop is not None and settings.precision == FLOAT:
        raise typer.BadParameter("float32 is not converted, and loses nothing: leave it out", param_hint="--max-drop")
    limits = [] if tiers is None else tiers_of(run, words_of([tiers]))
    if tiers is not None:
        trials = [tier.trial for tier in limits]
        networks = {trial.architecture.id: trial.architecture for trial in trials}
        folder = out or run.folder / settings.name("hub")
    elif pick == ALL:
        run.pick("knee")  # refuses a run without a trial
        networks = {trial.architecture.id: trial.architecture for trial in run.front()}
        folder = out or run.folder / settings.name("bundles")
    else:
        networks = {pick: run.pick(pick).architecture}
        folder = out or run.folder / f"bundle-{settings.name(pick)}"
    wanted = folder if bundle or tiers is not None else None
    if wanted is not None:
        for place in _places(wanted, networks, settings, many=pick == ALL):
            require_free(place, force=force)
    single = tiers is None and pick != ALL
    return ExportPlan(run=run, networks=networks, tiers=limits, folder=wanted, force=force, single=single)


def settled(plan: ExportPlan, meter: LatencyMeter | None, settings: ExportSettings) -> ExportPlan:
    """The plan with networks that keep their tiers by measurement, where that hangs on the error of a prediction.

    So tiers are chosen a second time. The first choice reads the record alone, and refuses a tier that cannot be kept,
    or a precision that the device does not compute, before anything is measured.

    Args:
        plan: From ``plan_export``.
        meter: The device of the table; without it nothing changes, nor in a precision that was not searched.
        settings: As of the plan.

    Raises:
        InfeasibleError: No network of the run keeps a tier.
    """
    from hwnas.exports.bundles import tiers_of
    from hwnas.study.measuring import Doubts

    if not plan.tiers or meter is None or settings.precision is not None:
        return plan
    tiers = tiers_of(plan.run, [tier.name for tier in plan.tiers], doubts=Doubts(plan.run, meter))
    networks = {tier.trial.architecture.id: tier.trial.architecture for tier in tiers}
    return replace(plan, tiers=tiers, networks=networks)


def carry_out(
    plan: ExportPlan,
    *,
    meter: LatencyMeter | None,
    engines: EngineMaker | None,
    tolerance: float,
    settings: ExportSettings,
) -> tuple[dict[str, Any], Callable[[], str], list[Exception]]:
    """Exports what was planned, and writes its bundles, with engines where there is what makes them.

    Returns:
        The result for programs, what gives the same for people, and the checks that failed.

    Raises:
        VerificationError: Of a single candidate, where a check failed.
    """
    done, failures = _exported(plan, meter=meter, tolerance=tolerance, settings=settings)
    where = _bundled(plan, done, settings, engines)
    if plan.single:
        (one,) = done.values()
        result = {"model": str(one.model), **one.card, **where}
    else:
        models = [{"model": str(one.model), **one.card} for one in done.values()]
        result = {"exports": models, "failed": [str(error) for error in failures], **where}

    def text() -> str:
        lines = [card_text(one.model, one.card) for one in done.values()]
        lines += [_tier_text(entry) for entry in where.get("tiers", ())]
        lines += [f"{what}: {where[what]}" for what in ("hub", "bundle") if what in where]
        return "\n".join([*lines, *_engine_texts(where.get("engines", {}))])

    return result, text, failures


def _tier_text(entry: Mapping[str, Any]) -> str:
    measured_ms = entry["latency"].get("measured_ms")
    measured = "not measured" if measured_ms is None else f"{measured_ms:.4f} ms measured"
    return f"{entry['tier']}: {entry['network']}, {entry['accuracy']['test']:.1%} on test images, {measured}"


def _engine_texts(engines: Mapping[str, Any]) -> list[str]:
    from hwnas.exports.bundles import engine_words

    return [f"engine of {place}: {engine_words(engine)}" for place, engine in engines.items()]


def _exported(
    plan: ExportPlan, *, meter: LatencyMeter | None, tolerance: float, settings: ExportSettings
) -> tuple[dict[str, Exported], list[Exception]]:
    from hwnas.core import VerificationError

    done: dict[str, Exported] = {}
    failures: list[Exception] = []
    with export_progress({pick: network.id for pick, network in plan.networks.items()}) as on_step:
        for pick in plan.networks:
            told = partial(on_step, pick)
            try:
                done[pick] = export_one(
                    plan.run, pick, meter=meter, on_step=told, tolerance=tolerance, settings=settings
                )
            except VerificationError as error:
                if plan.single:
                    raise
                failures.append(error)
    return done, failures


def _bundled(
    plan: ExportPlan, done: Mapping[str, Exported], settings: ExportSettings, engines: EngineMaker | None
) -> dict[str, Any]:
    """Writes bundles or a hub of what passed its checks; tells where, as JSON values."""
    from hwnas.exports.bundles import write_bundle, write_hub

    if plan.folder is None or not done:
        return {}
    if plan.tiers:
        index = write_hub(plan.run, plan.tiers, done, plan.folder, force=plan.force, engines=engines)
        told = _engines_in(plan.folder / one.pick for one in done.values())
        return {"hub": str(plan.folder), "tiers": index["tiers"], **told}
    places = _places(plan.folder, done, settings, many=not plan.single)
    for place, pick in zip(places, done, strict=True):
        write_bundle(plan.run, done[pick], place, force=plan.force, engines=engines)
    return {"bundle": str(plan.folder), **_engines_in(places)}


def _engines_in(bundles: Iterable[Path]) -> dict[str, Any]:
    """What bundles say of their engines, by folder; nothing where none were asked for."""
    from hwnas.exports.bundles import read_engine

    found = {str(place): engine for place in bundles if (engine := read_engine(place)) is not None}
    return {"engines": found} if found else {}


def _places(folder: Path, picks: Mapping[str, Any], settings: ExportSettings, *, many: bool) -> list[Path]:
    """The folder of each bundle."""
    return [folder / settings.name(pick) for pick in picks] if many else [folder]
