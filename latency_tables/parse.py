"""Text to table, with nothing taken on trust: every line is checked before it is believed."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, fields
from typing import Any, NoReturn

from latency_tables.errors import TableFormatError
from latency_tables.schema import SCHEMA, SCHEMA_VERSION, BlockRow, KernelRow, Manifest, NetworkRow, Row, Timing
from latency_tables.table import LatencyTable

_CURE = "Make the table anew with `hwnas profile`."
_LONGEST_MS = 1e12  # thirty years: what is longer is a damaged figure
_DEEPEST = 50  # levels of a record: what is deeper nobody wrote
_MOST = 10**9  # threads, batches, runs, kernels of a block: what is more is a damaged figure


@dataclass(frozen=True)
class _Line:
    """One line, parsed; ``number`` counts from 1."""

    path: str
    number: int
    value: dict[str, Any]

    def fail(self, expected: str, received: object) -> NoReturn:
        shown = repr(received)
        shown = shown if len(shown) <= 80 else f"{shown[:80]}…"
        raise TableFormatError(f"expected {expected}, received {shown}. {_CURE}", path=self.path, line=self.number)

    def text(self, name: str) -> str:
        found = self.value.get(name)
        if not isinstance(found, str) or not _encodable(found):
            self.fail(f"text as {name!r}", found)
        return found

    def record(self, name: str) -> dict[str, Any]:
        found = self.value.get(name)
        if not isinstance(found, dict):
            self.fail(f"a JSON object as {name!r}", found)
        if not _sound(found, depth=_DEEPEST):
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
        if not isinstance(found, (int, float)) or isinstance(found, bool) or not 0 <= found < _LONGEST_MS:
            self.fail(f"a finite number of at least 0 as {name!r}", found)
        return float(found)

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
        return Timing(**times, n=self.whole("n", least=0), noise="noisy" if noise == "noisy" else "ok")

    def row(self) -> Row:
        kind = self.value.get("kind")
        if kind == "kernel":
            return KernelRow(key=self.text("key"), timing=self.timing(), provider=self.text("provider"))
        if kind == "block":
            return BlockRow(key=self.text("key"), kernels=self.counts("kernels"))
        if kind == "network":
            return NetworkRow(key=self.text("key"), blocks=self.counts("blocks"), timing=self.timing())
        return self.fail("kind 'kernel', 'block' or 'network'", kind)

    def manifest(self) -> Manifest:
        schema, version = self.value.get("schema"), self.value.get("schema_version")
        if schema != SCHEMA:
            self.fail(f"a {SCHEMA} file", schema)
        if type(version) is not int or version != SCHEMA_VERSION:
            self.fail(f"schema version {SCHEMA_VERSION}", version)
        arguments: dict[str, Any] = {}
        for name in (entry.name for entry in fields(Manifest)):
            if name in {"protocol", "fingerprint", "conditions"}:
                arguments[name] = self.record(name)
            elif name in {"threads", "batch"}:
                arguments[name] = self.whole(name, least=1)
            else:
                arguments[name] = self.text(name)
        return Manifest(**arguments)


def loads(content: bytes, *, path: str = "<bytes>") -> LatencyTable:
    """A table from the bytes of its file.

    Args:
        content: All of it.
        path: What messages call it.

    Raises:
        TableFormatError: It is no table, of another schema version, truncated, or changed since it was written.
    """
    try:
        decoded = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TableFormatError(f"not UTF-8 text, so not a latency table. {_CURE}", path=path) from error
    if not decoded.strip():
        raise TableFormatError(f"the file is empty. {_CURE}", path=path)
    # not splitlines(): it also splits at characters that JSON strings may hold
    texts = [text + "\n" for text in decoded.removesuffix("\n").split("\n")]
    manifest = _line(texts[0], path=path, number=1).manifest()
    _check_end(texts, path=path)
    rows = [_line(text, path=path, number=number).row() for number, text in enumerate(texts[1:-1], start=2)]
    if len({(type(row), row.key) for row in rows}) != len(rows):
        raise TableFormatError(f"a row stands twice. {_CURE}", path=path)
    return LatencyTable.from_rows(manifest, rows)


def _line(text: str, *, path: str, number: int) -> _Line:
    try:
        value = json.loads(text)  # NaN and infinities come through, to be refused by the field they stand in
    except (ValueError, RecursionError):
        value = text.strip()
    if not isinstance(value, dict):
        _Line(path, number, {}).fail("a JSON object", value)
    return _Line(path, number, value)


def _encodable(text: str) -> bool:
    """Whether a string can be written again; JSON can smuggle in halves of surrogate pairs."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _sound(value: Any, *, depth: int) -> bool:
    """Whether a JSON value can be written again."""
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, float):
        return math.isfinite(value)
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return not inner or (depth > 0 and all(_sound(one, depth=depth - 1) for one in inner))


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
