"""The winners of a search: exported, and as people read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.commands.devices import device_parts
from hwnas.commands.printing import many
from hwnas.commands.search_progress import export_progress

if TYPE_CHECKING:
    from hwnas.core import LatencyMeter
    from hwnas.exports import Exported, ExportSettings, ExportStep
    from hwnas.study import Run


def export_one(
    run: Run,
    pick: str,
    *,
    meter: LatencyMeter | None,
    on_step: Callable[[ExportStep], None],
    tolerance: float,
    settings: ExportSettings | None = None,
) -> Exported:
    """Trains a candidate fully and hands it over as ONNX, checked and measured again where there is a meter."""
    import hwnas

    return hwnas.export(
        run,
        pick,
        meter=meter,
        no_meter="--allow-other-device was given: this device may be another one than the table's",
        latency_tolerance=tolerance,
        settings=settings,
        on_step=on_step,
    )


def export_winners(run: Run, meter: LatencyMeter | None) -> list[Exception]:
    """Exports the three winners that are not exported yet; returns the checks that failed.

    One that has several roles is exported and measured once.
    """
    from hwnas.core import VerificationError
    from hwnas.exports import LATENCY_TOLERANCE, export_as

    failures: list[Exception] = []
    wanted = {pick: trial for pick, trial in run.picks().items() if not _is_exported(run, pick)}
    made: dict[int, Exported] = {}
    with export_progress({pick: trial.architecture.id for pick, trial in wanted.items()}) as on_step:
        for pick, trial in wanted.items():
            if trial.number in made:
                export_as(run, made[trial.number], pick)
                continue
            told = partial(on_step, pick)
            try:
                made[trial.number] = export_one(run, pick, meter=meter, on_step=told, tolerance=LATENCY_TOLERANCE)
            except VerificationError as error:
                failures.append(error)
    return failures


def _is_exported(run: Run, pick: str) -> bool:
    from hwnas.exports import read_card

    card = read_card(run, pick)
    return card is not None and card["trial"] == run.pick(pick).number and bool(card["passed"])


def cards_of(run: Run) -> dict[str, Any]:
    """The card of each winner; ``None`` for one that is not exported."""
    from hwnas.exports import read_card

    return {pick: read_card(run, pick) for pick in run.picks()}


def front_rows(run: Run) -> list[dict[str, Any]]:
    """The front of a run as JSON values, one mapping a trial."""
    from hwnas.objectives import latency_on
    from hwnas.spaces import precision_of

    elsewhere = (latency_on(device).name for device in run.settings.other_devices)
    columns = ("accuracy", "latency_ms", *elsewhere, "flops_m", "params_m")
    return [
        {
            "trial": trial.number,
            "id": trial.architecture.id,
            "precision": precision_of(trial.architecture),
            **{name: trial.values[name] for name in columns},
        }
        for trial in run.front()
    ]


def failed_rows(run: Run) -> list[dict[str, Any]]:
    """Trials that failed, and why, as JSON values."""
    return [{"trial": one.number, "reason": one.failed} for one in run.record.finished() if one.failed is not None]


def halving_row(run: Run) -> dict[str, int]:
    """What a halving stopped and saved, as JSON values."""
    from hwnas.study.run import spent_of

    finished = run.record.finished()
    return {
        "stopped": sum(trial.stopped is not None for trial in finished),
        "epochs_saved": run.epochs_saved(finished),
        "epochs_in_all": spent_of(finished) * run.settings.recipe.epochs,
    }


def front_parts(run: Run, page: Path) -> list[Any]:
    """The front of a run with what was measured of its winners, and where everything is."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{len(run.front())} networks on the front, of {len(run.trials())} evaluated{_warm_words(run)}")
    mixed = bool(run.family.members)
    chosen = ["precision"] if mixed else []
    for name in ("id", "trial", *chosen, "accuracy", "latency\nms", "measured\nms", "FLOPs\nM", "params\nM", "role"):
        table.add_column(name, justify="left" if name in {"id", "precision", "role"} else "right", no_wrap=name == "id")
    roles: dict[int, list[str]] = {}
    measured: dict[int, str] = {}
    for pick, card in cards_of(run).items():
        number = run.pick(pick).number
        roles.setdefault(number, []).append(pick)
        if card is not None and "measured_ms" in card["latency"]:
            measured[number] = f"{card['latency']['measured_ms']:.4f}"
    for row in front_rows(run):
        table.add_row(
            row["id"],
            str(row["trial"]),
            *([row["precision"]] if mixed else []),
            f"{row['accuracy']:.1%}",
            f"{row['latency_ms']:.4f}",
            measured.get(row["trial"], ""),
            f"{row['flops_m']:.2f}",
            f"{row['params_m']:.3f}",
            ", ".join(roles.get(row["trial"], [])),
        )
    parts: list[Any] = [*([table] if table.rows else []), *device_parts(run)]
    if failed := failed_rows(run):
        parts.append(escape(f"{many(len(failed), 'trial')} failed; trial {failed[0]['trial']}: {failed[0]['reason']}"))
    if run.settings.halving is not None:
        saved = halving_row(run)
        parts.append(
            f"{many(saved['stopped'], 'training')} stopped early, which saved {saved['epochs_saved']} of "
            f"{saved['epochs_in_all']} epochs."
        )
    judgement = run.judgement()
    if judgement is not None:
        parts.append(f"Predictions learned from {judgement.trials} trials: {judgement.told()}.")
    where = escape(f"Models: {run.folder / 'models'}. Report: {page}")
    return [*parts, f"Accuracy is on validation images. {where}"]


def _warm_words(run: Run) -> str:
    """What a run has from another one; nothing where it has nothing."""
    if run.warm is None:
        return ""
    if not run.warm.differences:
        return f", {run.warm.results} of them in {run.warm.source}"
    other, there = ", ".join(run.warm.differences), len(run.warm.designs)
    some = str(there) if there <= run.settings.trials else f"{run.settings.trials} of the {there} on the front"
    return f", beginning with {some} of {run.warm.source}, whose results do not count here: {other}"


def card_text(model: Path, card: Mapping[str, Any]) -> str:
    """What is known of an exported network."""
    accuracy, latency, parity = card["accuracy"], card["latency"], card["parity"]
    converted = card.get("conversion") is not None
    lines = [
        f"{model}: trial {card['trial']}, architecture {card['id']}",
        f"  accuracy  {accuracy['test']:.1%} on test images, {accuracy['validation']:.1%} on validation images",
        (
            f"  parity    {parity['samples']} images, largest difference {parity['max_abs']:.2g}, "
            f"same class for {parity['top1_agreement']:.1%}{' (in float32, before the conversion)' * converted}"
        ),
    ]
    lines += _conversion_lines(card)
    if "predicted_ms" in latency:
        lines.append(
            f"  latency   {latency['measured_ms']:.4f} ms measured, {latency['predicted_ms']:.4f} ms predicted "
            f"({latency['ratio']:.2f}x, tolerance {latency['tolerance']:.0%})"
        )
    elif "measured_ms" in latency:
        lines.append(f"  latency   {latency['measured_ms']:.4f} ms measured; not predicted: {latency['skipped']}")
    else:
        lines.append(f"  latency   not measured: {latency['skipped']}")
    return "\n".join(lines)


def _conversion_lines(card: Mapping[str, Any]) -> list[str]:
    """What another precision costs; nothing for a network in float32."""
    found = card.get("conversion")
    if found is None:
        return []
    before = found["float_accuracy"]
    kept = f", {len(found['kept'])} of {found['nodes']} nodes left in floating point" if found["nodes"] else ""
    return [
        (
            f"  {found['precision']}      before: {before['test']:.1%} on test, {before['validation']:.1%} on "
            f"validation images{kept}; largest difference {found['max_abs']:.2g}, same class for "
            f"{found['top1_agreement']:.1%}"
        )
    ]
