"""The journal of a campaign: a line a finished measurement, so that a killed campaign goes on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from profilers.errors import CampaignError

_SUFFIX = ".partial"


@dataclass
class Journal:
    """Finished measurements of one campaign.

    Attributes:
        path: The file, next to the table it will become.
        entries: What it held when it was opened, and what was added since.
    """

    path: Path
    entries: list[dict[str, Any]] = field(default_factory=list)

    def append(self, entry: dict[str, Any]) -> None:
        """Adds one measurement; once this returns, killing the process does not lose it.

        Raises:
            OSError: No space left, or no permission.
        """
        line = json.dumps(entry, separators=(",", ":")) + "\n"
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(line)
        self.entries.append(entry)


@contextmanager
def open_journal(table: Path, header: Mapping[str, Any], *, finished: bool = False) -> Iterator[Journal]:
    """The journal of the campaign that writes ``table``, held by this process alone.

    A last line that a killed process left unfinished is dropped.

    Args:
        table: Where the finished table goes.
        header: What identifies the campaign; the first line.
        finished: Whether the table is there already. A journal older than it belongs to the campaign that wrote it and
            was killed before it could clear up; it holds nothing the table does not, and is dropped.

    Raises:
        CampaignError: The journal there belongs to another campaign, is damaged, or is in use by another process.
        OSError: The folder cannot be written.
    """
    with exclusive(table):
        journal = Journal(_partial(table))
        path = journal.path
        try:
            if finished and path.exists() and path.stat().st_mtime_ns <= table.stat().st_mtime_ns:
                path.unlink()
            journal.entries += _resume(path, header)
            yield journal
        finally:
            if path.exists() and _is_empty(path):
                path.unlink()


def read_journal(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Header and entries of a journal whose campaign is over; it stays as it is.

    Args:
        path: The journal, beside the table that it did not become.

    Raises:
        CampaignError: It is no journal, or damaged, or in use by another process.
        OSError: It cannot be read.
    """
    if path.suffix != _SUFFIX:
        raise CampaignError(f"{path} is no journal: expected the {_SUFFIX} file that an unfinished campaign leaves")
    with exclusive(path.with_suffix("")):
        whole = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")[0]
    header, *entries = _parsed(whole, cure="Nothing can be recovered from it.")
    return header, entries


@contextmanager
def exclusive(table: Path) -> Iterator[None]:
    """Holds a table that is being made for this process alone.

    Args:
        table: Where the finished table goes.

    Raises:
        CampaignError: Another process holds it.
        OSError: The folder cannot be written.
    """
    table.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{_partial(table)}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise CampaignError(
            f"another process is measuring into {table} at this moment: wait for it, or choose another --out"
        ) from error
    try:
        yield
    finally:
        lock.release()
        if os.name == "posix" and not _partial(table).exists():
            Path(lock.lock_file).unlink(missing_ok=True)


def _partial(table: Path) -> Path:
    """The journal of a table."""
    return table.with_name(f"{table.name}{_SUFFIX}")


def _is_empty(path: Path) -> bool:
    """Whether a journal holds no measurement: a campaign that never got so far leaves nothing behind."""
    with path.open("rb") as stream:
        return stream.readline().endswith(b"\n") and not stream.read(1)


def _resume(path: Path, header: Mapping[str, Any]) -> list[dict[str, Any]]:
    kept = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    whole, _, rest = kept.rpartition("\n")
    if not whole:
        path.write_text(json.dumps(header) + "\n", encoding="utf-8")
        return []
    cure = f"Delete {path} to begin anew, or choose another --out."
    lines = _parsed(whole, cure=cure)
    if lines[0] != json.loads(json.dumps(header)):
        if len(lines) == 1:  # nothing was measured yet: nothing is lost
            path.write_text(json.dumps(header) + "\n", encoding="utf-8")
            return []
        changed = _changed(lines[0], json.loads(json.dumps(header)))
        raise CampaignError(
            f"an unfinished campaign of other conditions stands in the way (different: {', '.join(changed)}). {cure}"
        )
    if rest:
        with path.open("r+b") as stream:  # shortened in place: writing it anew could fail half-way
            stream.truncate(stream.read().rindex(b"\n") + 1)
    return lines[1:]


def _parsed(whole: str, *, cure: str) -> list[dict[str, Any]]:
    """Header and entries of a journal without its unfinished last line."""
    damaged = CampaignError(f"the journal of an unfinished campaign is damaged. {cure}")
    try:
        lines = [json.loads(line) for line in whole.split("\n")]
    except ValueError as error:
        raise damaged from error
    if not isinstance(lines[0], dict) or not all(isinstance(entry, dict) and "id" in entry for entry in lines[1:]):
        raise damaged
    return lines


def _changed(recorded: Any, wanted: Any, name: str = "") -> list[str]:
    """Names of the entries that differ, down into nested records."""
    if not isinstance(recorded, dict) or not isinstance(wanted, dict):
        return [name] if recorded != wanted else []
    return [
        found
        for key in sorted({*recorded, *wanted})
        for found in _changed(recorded.get(key), wanted.get(key), f"{name}.{key}" if name else key)
    ]
