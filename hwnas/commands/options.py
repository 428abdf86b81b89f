"""Options that several commands share, and how their texts are read.

Heavy imports stand inside the functions of this room, so that ``--help`` answers at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.commands.printing import say

if TYPE_CHECKING:
    from hwnas.training import ImageData

Device = Annotated[str, typer.Option(help="auto, cpu or gpu; auto takes the GPU where one is usable.")]
Space = Annotated[
    str,
    typer.Option(
        help="Search space: mobilenet (the same as mobilenet:small), mobilenet:tiny, :ofa, gpunet (gpunet:small), "
        "gpunet:tiny, :paper, nasbench201, recurrent (recurrent:small), or recurrent:tiny."
    ),
]
Data = Annotated[
    str,
    typer.Option(
        help="digits, clips, fashion-mnist, cifar10, cifar10-small, PATH.npz, a folder of images by class, "
        "torchvision:NAME, hf:NAME or MODULE:FUNCTION; see docs/data.md."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
OtherDevice = Annotated[
    bool,
    typer.Option("--allow-other-device", help="Accept a table of another machine; nothing is measured here then."),
]
SearchPrecision = Annotated[
    list[str] | None,
    typer.Option(
        "--precision",
        help="fp32, fp16, int8, or several with commas: what the search may compute networks in; fp32 unless told "
        "otherwise.",
    ),
]
Trackers = Annotated[
    list[str] | None,
    typer.Option("--tracker", help="Show the search in tensorboard, mlflow or wandb; several with commas."),
]
MissingRows = Annotated[
    str,
    typer.Option(
        "--missing",
        help="Where the table lacks a row: error, step (take the end of its step of channels), regress (learn it from "
        "rows of its kind), or measure, which adds it to the table.",
    ),
]
InputShapes = Annotated[
    list[str] | None,
    typer.Option("--shape", help="NAME=1x3x224x224 for a model's input of open size. May be repeated."),
]
OutFile = Annotated[Path, typer.Option(help="The file to write.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the file that --out names.")]


def images_of(data: str) -> ImageData:
    """The data of ``--data``; what a user should know about them is said.

    Raises:
        HwnasError: They cannot be read, or not be learned from.
    """
    from hwnas import load_data

    images = load_data(data)
    for note in images.notes:
        say(f"data {data}: {note}")
    return images


def words_of(given: Sequence[str] | None) -> list[str]:
    """The values of an option that may be repeated, or hold several with commas."""
    return [word.strip() for text in given or [] for word in text.split(",") if word.strip()]


def batches_of(given: Sequence[str] | None) -> list[int]:
    """The batch sizes of ``--batch``, ascending, each once; 1 where the option was not given.

    Raises:
        typer.BadParameter: One is no whole number from 1 to 4096, or there is none.
    """
    words = ["1"] if given is None else words_of(given)
    if not words or not all(word.isdecimal() and 1 <= int(word) <= 4096 for word in words):
        raise typer.BadParameter(
            f"expected whole numbers from 1 to 4096, received {', '.join(words)}", param_hint="--batch"
        )
    return sorted({int(word) for word in words})


def cpus_of(given: str | None) -> tuple[int, ...] | None:
    """The logical CPUs of ``--affinity``; ``None`` where none was given.

    Raises:
        typer.BadParameter: One is no number.
    """
    words = words_of([given] if given else None)
    if not all(word.isdecimal() for word in words):
        raise typer.BadParameter(f"expected numbers of CPUs such as 0,1, received {given}", param_hint="--affinity")
    return tuple(int(word) for word in words) or None


def shapes_of(given: Sequence[str] | None) -> dict[str, tuple[int, ...]]:
    """The sizes of a model's inputs by name, from ``--shape NAME=1x3x224x224``.

    Raises:
        typer.BadParameter: A text is not of that form, or a size is 0.
    """
    shapes = {}
    for text in given or []:
        name, _, sizes = text.rpartition("=")
        if not name or not all(size.isdecimal() and int(size) > 0 for size in sizes.split("x")):
            raise typer.BadParameter(f"expected NAME=1x3x224x224, received {text}", param_hint="--shape")
        shapes[name] = tuple(int(size) for size in sizes.split("x"))
    return shapes


def values_of(given: Sequence[str] | None) -> dict[str, list[float]]:
    """The values of a model's inputs by name, from ``--value NAME=1,2``.

    Raises:
        typer.BadParameter: A text is not of that form, or a number is infinite.
    """
    values: dict[str, list[float]] = {}
    for text in given or []:
        name, _, numbers = text.rpartition("=")
        found = [_number(word) for word in numbers.split(",")]
        if not name or None in found:
            raise typer.BadParameter(f"expected NAME=10 or NAME=1,2, received {text}", param_hint="--value")
        values[name] = [number for number in found if number is not None]
    return values


def _number(word: str) -> float | None:
    """A number as it was written, whole or not; ``None`` where it is none."""
    try:
        number = int(word) if word.strip().lstrip("+-").isdecimal() else float(word)
    except ValueError:
        return None
    return number if isinstance(number, int) or abs(number) < float("inf") else None


def text_of(network: str) -> str:
    """An architecture as it was typed, or from a file.

    Raises:
        typer.BadParameter: There is such a file, but it cannot be read as text.
    """
    path = Path(network)
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else network
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(
            f"cannot read an architecture from {network}: {error}", param_hint="NETWORK"
        ) from error


def require_one_of(value: str, known: Sequence[str], *, option: str) -> None:
    """Refuses a word that an option does not know.

    Raises:
        typer.BadParameter: It is none of the known ones.
    """
    if value not in known:
        raise typer.BadParameter(f"expected one of {', '.join(known)}, received {value!r}", param_hint=option)


def require_new(out: Path, *, force: bool) -> None:
    """Refuses, before anything is computed, a file that is there already and not to be replaced.

    Raises:
        typer.BadParameter: It is there, and ``force`` was not given.
        OSError: It cannot be written.
    """
    from latency_tables import require_writable

    if out.exists() and not force:
        message = f"expected a new file, but {out} exists: name another one, or replace it with --force"
        raise typer.BadParameter(message, param_hint="--out")
    require_writable(out)


def require_no_model_options(shape: Sequence[str] | None, value: Sequence[str] | None) -> None:
    """Refuses options about a model's inputs where no model was given.

    Raises:
        typer.BadParameter: There is one of them.
    """
    for option, given, what in (("--shape", shape, "shapes"), ("--value", value, "values")):
        if given:
            raise typer.BadParameter(f"{what} are for a model's inputs: give the model, too", param_hint=option)
