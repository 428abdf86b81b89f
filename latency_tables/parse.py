"""Text to table, with nothing taken on trust: every line is checked before it is believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, NoReturn

from latency_tables.errors import TableFormatError
from latency_tables.migrate import migrated_manifest, migrated_row
from latency_tables.schema import (
    PERCENTILE,
    SCHEMA,
    SCHEMA_VERSION,
    BlockRow,
    FloorRow,
    KernelRow,
    Manifest,
    NetworkRow,
    Row,
    StepRow,
    Timing,
)
from latency_tables.table import LatencyTable
from latency_tables.values import encodable, is_amount, shown, sound

_CURE = "Make the table anew with `hwnas profile`."
_DEEPEST = 50  # levels of a record: what is deeper nobody wrote
_MOST = 10**9  # threads, batches, runs, kernels of a block: what is more is a damaged figure


@dataclass(frozen=True)
class _Line:
    """One line, parsed; ``number`` counts from 1."""

    path: str
    number: int
    value: dict[str, Any]

    def fail(self, expected: str, received: object) -> NoReturn:
        message = f"expected {expected}, received {shown(received)}. {_CURE}"
        raise TableFormatError(message, path=self.path, line=self.number)

    def text(self, name: str) -> str:
        found = self.value.get(name)
        if not isinstance(found, str) or not encodable(found):
            self.fail(f"text as {name!r}", found)
        return found

    def record(self, name: str) -> dict[str, Any]:
        found = self.value.get(name)
        if not isinstance(found, dict):
            self.fail(f"a JSON object as {name!r}", found)
        if not sound(found, depth=_DEEPEST):
            self.fail(f"Unicode text, finite numbers and at most {_DEEPEST} levels in {name!r}", found)
        return found

    def whole(self, name: str, *, least: int) -> int:
        return self.checked_whole(self.value.get(name), f"a whole number of at least {least} as {name!r}", least=least)

    def checked_whole(self, found: Any, expected: str, *, least: int) -> int:
        if not isinstance(found, int) or isinstance(found, bool) or not least <= found <= _MOST:
            self.fail(expected, found)
        return found

    def time_ms(self, name: str) -> float:
        found = self.value.get(name)
        if not is_amount(found):
            self.fail(f"a finite number of at least 0 as {name!r}", found)
        return float(found)  # type: ignore[arg-type]  # is_amount said so

    def counts(self, name: str) -> dict[str, int]:
        found = self.record(name)
        for key, count in found.items():
            self.checked_whole(count, f"a whole number of at least 1 for {key!r} in {name!r}", least=1)
        return found

    def timing(self) -> Timing:
        noise = self.value.get("noise")
        if not isinstance(noise, str) or noise not in {"ok", "noisy"}:
            self.fail("'ok' or 'noisy' as 'noise'", noise)
        times = {name: self.time_ms(name) for name in ("latency_ms", "min_ms", "median_ms", "iqr_ms")}
        return Timing(
            **times,
            n=self.whole("n", least=0),
            noise="noisy" if noise == "noisy" else "ok",
            uncertainty=self.amount("uncertainty"),
            percentiles_ms=self.percentiles(),
        )

    def amount(self, name: str) -> float | None:
        """A quantity that may be unknown, but must be said to be."""
        if name not in self.value:
            self.fail(f"{name!r}, null where it is unknown", None)
        return None if self.value[name] is None else self.time_ms(name)

    def percentiles(self) -> dict[str, float]:
        found = self.record("percentiles_ms")
        for name, value in found.items():
            if not PERCENTILE.fullmatch(name) or not is_amount(value):
                self.fail("percentiles such as 'p90' with finite times", {name: value})
        return {name: float(value) for name, value in found.items()}

    def numbers(self, name: str) -> list[float]:
        found = self.value.get(name)
        if not isinstance(found, list) or not all(is_amount(value) for value in found):
            self.fail(f"a list of finite numbers as {name!r}", found)
        return [float(value) for value in found]

    def wholes(self, name: str) -> tuple[int, ...]:
        found = self.value.get(name)
        if not isinstance(found, list) or not found:
            self.fail(f"a list of whole numbers as {name!r}", found)
        return tuple(self.checked_whole(value, f"whole numbers from 1 in {name!r}", least=1) for value in found)

    def texts(self, name: str) -> tuple[str, ...]:
        found = self.value.get(name)
        if not isinstance(found, list) or not found or not all(isinstance(v, str) and encodable(v) for v in found):
            self.fail(f"a list of texts as {name!r}", found)
        return tuple(found)

    def row(self) -> Row:
        kind = self.value.get("kind")
        if not isinstance(kind, str) or kind not in _ROWS:
            return self.fail(f"kind {', '.join(map(repr, _ROWS))}", kind)
        return _ROWS[kind](self)

    def manifest(self) -> Manifest:
        arguments: dict[str, Any] = {}
        for name in (entry.name for entry in fields(Manifest)):
            if name in {"protocol", "fingerprint", "conditions", "unknown"}:
                arguments[name] = self.record(name)
            elif name == "threads":
                arguments[name] = self.whole(name, least=1)
            elif name == "batches":
                arguments[name] = self.wholes(name)
            else:
                arguments[name] = self.texts(name) if name == "precisions" else self.text(name)
        if not all(isinstance(reason, str) for reason in arguments["unknown"].values()):
            self.fail("a reason in words for each quantity in 'unknown'", arguments["unknown"])
        return Manifest(**arguments)


def _kernel(line: _Line) -> KernelRow:
    return KernelRow(
        key=line.text("key"),
        timing=line.timing(),
        provider=line.text("provider"),
        arithmetic=line.text("arithmetic"),
        memory_mib=line.amount("memory_mib"),
        energy_mj=line.amount("energy_mj"),
    )


def _network(line: _Line) -> NetworkRow:
    amounts = {name: line.amount(name) for name in ("load_ms", "first_ms", "memory_mib", "energy_mj")}
    return NetworkRow(
        key=line.text("key"),
        blocks=line.counts("blocks"),
        timing=line.timing(),
        provider=line.text("provider"),
        **amounts,
    )


def _step(line: _Line) -> StepRow:
    widths, times_ms = line.wholes("widths"), line.numbers("latency_ms")
    if len(widths) != len(times_ms):
        line.fail("as many latencies as widths", f"{len(times_ms)} and {len(widths)}")
    step = line.whole("step", least=1)
    return StepRow(key=line.text("key"), step=step, widths=widths, latency_ms=tuple(times_ms))


_ROWS: dict[str, Callable[[_Line], Row]] = {
    "kernel": _kernel,
    "block": lambda line: BlockRow(key=line.text("key"), kernels=line.counts("kernels")),
    "network": _network,
    "floor": lambda line: FloorRow(key=line.text("key"), timing=line.timing(), provider=line.text("provider")),
    "step": _step,
}


def loads(content: bytes, *, path: str = "<bytes>") -> LatencyTable:
    """A table from the bytes of its file.

    Args:
        content: All of it.
        path: What messages call it.

    Raises:
        TableFormatError: It is no table, of a newer schema version, truncated, or changed since it was written.
    """
    decoded = _decoded(content, path=path)
    # not splitlines(): it also splits at characters that JSON strings may hold
    texts = [text + "\n" for text in decoded.removesuffix("\n").split("\n")]
    first = _line(texts[0], path=path, number=1)
    version = _schema_version(first)
    _check_end(texts, path=path)
    others = [_line(text, path=path, number=number) for number, text in enumerate(texts[1:-1], start=2)]
    manifest = replace(first, value=migrated_manifest(first.value, version)).manifest()
    rows = [replace(line, value=migrated_row(line.value, version)).row() for line in others]
    if len({(type(row), row.key) for row in rows}) != len(rows):
        raise TableFormatError(f"a row stands twice. {_CURE}", path=path)
    return LatencyTable.from_rows(manifest, rows)


def manifest_from(line: bytes, *, path: str) -> Manifest:
    """The manifest from the first line of a file; nothing after it is looked at, so no checksum vouches for it.

    Args:
        line: The first line.
        path: What messages call the file.

    Raises:
        TableFormatError: It is no table, or of a newer schema version.
    """
    first = _line(_decoded(line, path=path), path=path, number=1)
    version = _schema_version(first)
    return replace(first, value=migrated_manifest(first.value, version)).manifest()


def _decoded(content: bytes, *, path: str) -> str:
    try:
        decoded = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TableFormatError(f"not UTF-8 text, so not a latency table. {_CURE}", path=path) from error
    if not decoded.strip():
        raise TableFormatError(f"the file is empty. {_CURE}", path=path)
    return decoded


def _schema_version(line: _Line) -> int:
    schema, version = line.value.get("schema"), line.value.get("schema_version")
    if schema != SCHEMA:
        line.fail(f"a {SCHEMA} file", schema)
    if type(version) is not int or version < 1:
        line.fail(f"a schema version from 1 to {SCHEMA_VERSION}", version)
    if version > SCHEMA_VERSION:
        raise TableFormatError(
            f"expected a schema version up to {SCHEMA_VERSION}, received {shown(version)}: a newer hwnas wrote this "
            "table. "
            "Update with `pip install --upgrade hwnas`.",
            path=line.path,
            line=line.number,
        )
    return version


def _line(text: str, *, path: str, number: int) -> _Line:
    try:
        value = json.loads(text)  # NaN and infinities come through, to be refused by the field they stand in
    except (ValueError, RecursionError):
        value = text.strip()
    if not isinstance(value, dict):
        _Line(path, number, {}).fail("a JSON object", value)
    return _Line(path, number, value)


def _check_end(texts: list[str], *, path: str) -> None:
    try:
        end = json.loads(texts[-1])
    except (ValueError, RecursionError):
        end = None
    if len(texts) < 2 or not isinstance(end, dict) or end.get("kind") != "end":
        raise TableFormatError(
            f"the checksum line at the end is missing: the file is truncated after {len(texts)} lines. {_CURE}",
            path=path,
        )
    if end.get("rows") != len(texts) - 2:
        raise TableFormatError(f"expected {end.get('rows')!r} rows, received {len(texts) - 2}. {_CURE}", path=path)
    if end.get("sha256") != hashlib.sha256("".join(texts[:-1]).encode()).hexdigest():
        raise TableFormatError(
            f"the content does not match its checksum: the file was edited or damaged after it was written. {_CURE}",
            path=path,
        )
