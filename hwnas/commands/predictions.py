"""What the commands that predict, or judge predictions, share and say to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwnas.commands.printing import grid

if TYPE_CHECKING:
    from hwnas.networks import NetworkFamily
    from hwnas.predictors import Evaluation
    from hwnas.study import Run
    from latency_tables import LatencyTable


@contextmanager
def cure_for_rows() -> Iterator[None]:
    """Adds to the error of a missing row what would estimate or measure it.

    Raises:
        MissingRowError: The one that was met, with its cure.
    """
    from latency_tables import MissingRowError

    try:
        yield
    except MissingRowError as error:
        raise error.with_cure(
            "--missing measure measures it into the table, on its device; --missing regress estimates it from rows of "
            "its kind, if there are enough"
        ) from error


def about_place(table: LatencyTable, place: Any) -> dict[str, Any]:
    """Where a prediction holds: device, provider and the coordinates ``place``."""
    return {
        "device_name": table.manifest.device_name,
        "provider": table.manifest.provider,
        "batch": place.batch,
        "precision": place.precision,
    }


def prediction_parts(found: Mapping[str, Any], *, most: int = 30) -> list[Any]:
    """The parts of a network with their costs, the prediction, and how it came about."""
    from rich.markup import escape

    ways = {"exact": "", "step": "end of its step", "regressed": "estimated"}
    lines = [
        (
            str(part["count"]),
            f"{part['latency_ms']:.4g}",
            f"{part['share']:.1%}",
            ways[part["how"]] + (f" ± {part['spread']:.0%}" if part["spread"] else ""),
            part["key"],
        )
        for part in found["parts"][:most]
    ]
    more = len(found["parts"]) - most
    law = (
        f"fitted on {found['networks']} networks" if found["networks"] else "the plain sum: too few networks to fit on"
    )
    verdict = (
        f"{found['network']} on {found['device_name']} ({found['provider']}), batch {found['batch']}, "
        f"{found['precision']}: {found['latency_ms']:.4g} ms ± {found['spread_ms']:.2g} ms (standard deviation)."
    )
    made = (
        f"Parts {found['parts_ms']:.4g} ms, calls {found['calls_ms']:+.3g} ms, correction "
        f"{found['correction_ms']:+.3g} ms; {law}."
    )
    costs = ", ".join(f"{name} {value:.4g}" for name, value in found.get("costs", {}).items())
    return [
        grid("", ("times", "ms", "share", "row", "part"), lines),
        *([f"… and {more} more; --json lists them all."] if more > 0 else []),
        escape(verdict),
        escape(made),
        *([escape(f"By definition: {costs}.")] if costs else []),
        *(escape(f"Note: {note}") for note in found["notes"]),
    ]


def family_of(run: Run | None, space: str | None, data: str | None) -> NetworkFamily:
    """The networks of a run, or of a space for some data.

    Raises:
        UsageError: The run is of another space, or for other data, than the one asked for.
    """
    from hwnas import load_data, network_family
    from hwnas.core import UsageError

    images = load_data(data) if data else None
    if run is None:
        channels, classes = (images.channels, images.classes) if images else (None, None)
        return network_family(space or "mobilenet", channels=channels, classes=classes)
    own = run.family
    like = images or own.shape
    wanted = network_family(space or own.space.name, channels=like.channels, classes=like.classes)
    if (wanted.space.name, wanted.shape) != (own.space.name, own.shape):
        raise UsageError(
            f"{run.folder} is a run of {own.space.name} ({own.shape}), asked for was {wanted.space.name} "
            f"({wanted.shape}): leave --space and --data out, or name another run"
        )
    return own


def evaluation_parts(found: Evaluation, page: Path) -> list[Any]:
    """How far off the predictions are, a grid for each group of networks."""
    from rich.markup import escape

    from hwnas.reports.evaluations import FIGURES, GROUPS, accuracy_columns, session_words

    about = found.about
    parts: list[Any] = []
    for name, group in found.groups.items():
        columns = dict(accuracy_columns(group))
        lines = [(figure.words, *(figure.text(one) for one in columns.values())) for figure in FIGURES]
        parts.append(grid(f"{GROUPS[name]} ({group.networks})", ("figure", *columns), lines))
    return [
        *parts,
        "table: as it stands; session: calibrated anew. Errors are relative; below the noise, nothing can be claimed.",
        escape(f"{about.device_name} ({about.provider}), table {about.table}. {session_words(found)}"),
        escape(f"Report: {page}"),
    ]
