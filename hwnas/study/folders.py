"""Run folders: begun, opened, written."""

from __future__ import annotations

import csv
import io
import json
import platform
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy.exc import ArgumentError

from hwnas.core import StudyError, Trial, UsageError
from hwnas.objectives import latency_on
from hwnas.spaces import precision_of
from hwnas.study.changes import TargetsAdded
from hwnas.study.record import StudyRecord
from hwnas.study.run import Run, spent_of
from hwnas.study.settings import OLDEST_VERSION, SETTINGS_VERSION, RunSettings
from hwnas.study.storage import Place, require_url
from hwnas.study.warm import WarmStart
from latency_tables import LatencyTable, read_table, write_atomically, write_table

SETTINGS_NOTE = "settings"  # of a study: what was searched, for those who have the storage and not the folder
_PACKAGES = ("hwnas", "torch", "onnx", "onnxruntime", "onnxruntime-gpu", "optuna", "scikit-learn", "numpy")


def begin_run(
    folder: Path,
    settings: RunSettings,
    table: LatencyTable,
    reference: Mapping[str, float],
    *,
    storage: str | None = None,
    prepare: Callable[[Run], Run] = lambda run: run,
) -> Run:
    """Makes a run folder.

    Args:
        folder: Where; may exist, but must not hold a run.
        settings: What will be searched.
        table: Copied into the folder.
        reference: Reference point by objective name.
        storage: URL of the storage; a file in the folder when left out.
        prepare: Called with the run before it is one, to fill its record.

    Raises:
        UsageError: The folder's name will not do, or the URL.
        MachineError: The record cannot be written.
        OSError: The folder cannot be written.
    """
    if "?" in str(folder):
        raise UsageError(f"the record cannot be kept in {folder}: choose an --out without a question mark")
    write_table(table, folder / "latency_table.jsonl")
    begun = {"python": platform.python_version(), "platform": platform.platform(), "versions": _versions()}
    place = Place(require_url(storage), f"{folder.name}-{secrets.token_hex(4)}") if storage else Place.in_folder(folder)
    run = Run(folder, settings, table, dict(reference), begun, place)
    record = StudyRecord.create(place, run.family.space, run.objectives)
    record.note(SETTINGS_NOTE, settings.to_json())
    record.close()
    run = prepare(run)
    save_run(run)  # last: its presence makes it a run
    return run


def open_run(folder: str | Path) -> Run:
    """Opens a run folder.

    Raises:
        UsageError: There is no run.
        StudyError: What is there is damaged.
        TableFormatError: Its latency table is.
    """
    path = Path(folder)
    if not (path / "run.json").is_file():
        raise UsageError(f"{path} is no run folder: it has no run.json. `hwnas search --out {path}` makes one")
    try:
        content = json.loads((path / "run.json").read_text(encoding="utf-8"))
        if content.get("schema_version") not in range(OLDEST_VERSION, SETTINGS_VERSION + 1):
            raise StudyError(
                f"{path / 'run.json'}: expected schema version {OLDEST_VERSION} to {SETTINGS_VERSION}, "
                f"received {content.get('schema_version')!r}. Begin a new run with another --out."
            )
        settings = RunSettings.from_json(content["settings"])
        reference, begun = content["reference"], content["begun"]
        changes = tuple(TargetsAdded.from_json(entry) for entry in content.get("changes", ()))
        started = content.get("warm_start")
        warm = None if started is None else WarmStart.from_json(started)
        record = content.get("record")
        place = Place(record["storage"], record["study"]).with_secret() if record else Place.in_folder(path)
    except UsageError:
        raise
    except (ValueError, KeyError, AttributeError, TypeError, ArgumentError) as error:
        raise StudyError(f"{path / 'run.json'} is damaged ({error}). Begin a new run with another --out.") from error
    return Run(path, settings, read_table(path / "latency_table.jsonl"), reference, begun, place, changes, warm)


def with_trials(run: Run, trials: int) -> Run:
    """The run with another budget, on disk first.

    Raises:
        UsageError: More trials are finished already.
        OSError: The folder cannot be written.
    """
    done = spent_of(run.record.finished())
    if trials < done:
        raise UsageError(f"{run.folder} has {done} finished trials: expected at least as many, received {trials}")
    changed = replace(run, settings=replace(run.settings, trials=trials))
    save_run(changed)
    return changed


def save_run(run: Run) -> None:
    """Writes ``run.json``, whose presence makes a folder a run.

    Raises:
        OSError: The folder cannot be written.
    """
    kept_inside = run.place == Place.in_folder(run.folder)  # a folder can be moved
    content = {
        "schema": "hwnas-run",
        "schema_version": SETTINGS_VERSION,
        "settings": run.settings.to_json(),
        "reference": dict(run.reference),
        "begun": dict(run.begun),
        "changes": [change.to_json() for change in run.changes],
        "warm_start": None if run.warm is None else run.warm.to_json(),
        "record": None if kept_inside else {"storage": run.place.public_url, "study": run.place.study},
    }
    write_atomically(run.folder / "run.json", json.dumps(content, indent=2) + "\n")


def write_front(run: Run, device: str | None = None, *, front: Sequence[Trial] | None = None) -> Path:
    """Writes ``front.csv``: a line for each non-dominated trial, with its latency on every device.

    Where the search chose precisions, it says that of each network.

    Args:
        run: Whose.
        device: One of ``devices``; the file of a named one is ``front@DEVICE.csv``.
        front: What ``front_on`` gives, where it is at hand.

    Raises:
        OSError: The folder cannot be written.
    """
    trials = run.front_on(device) if front is None else front
    elsewhere = [latency_on(device).name for device in run.settings.other_devices]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["accuracy", "latency_ms", *elsewhere, "flops_m", "params_m"]
    chosen = ["precision"] if run.family.members else []
    writer.writerow(["trial", "id", *chosen, *columns, "architecture"])
    for trial in trials:
        named = [trial.number, trial.architecture.id, *(precision_of(trial.architecture) for _ in chosen)]
        figures = [trial.values[name] for name in columns]
        writer.writerow([*named, *figures, json.dumps(dict(trial.architecture))])
    file = "front.csv" if device is None else f"front@{device}.csv"
    return write_atomically(run.folder / file, text.getvalue())


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Keeps two searches from working on one run.

    Raises:
        UsageError: Another process has it.
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(
            f"another process is working on {folder} at this moment: wait for it, or give another --out"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
