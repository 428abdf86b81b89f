"""What differs between two tables: where their figures come from, what they hold, and the figures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from latency_tables.schema import BlockRow, FloorRow, Json, KernelRow, NetworkRow, Noise, Row, StepRow
from latency_tables.table import LatencyTable


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """A field of the manifest that differs.

    Attributes:
        name: Its name, fields of fields after a dot: ``"fingerprint.cpu"``.
        a: Its value in the first table; ``None`` also where it is absent.
        b: Likewise in the second.
    """

    name: str
    a: Json
    b: Json


@dataclass(frozen=True, kw_only=True)
class LatencyChange:
    """A row whose latency differs by more than the tolerance.

    Attributes:
        kind: ``"kernel"``, ``"network"`` or ``"floor"``.
        key: The row.
        a_ms: Latency in the first table, milliseconds.
        b_ms: In the second.
        ratio: ``b_ms / a_ms``; ``None`` where one of them is 0.
        a_noise: Whether the first figure is flagged.
        b_noise: Whether the second is.
    """

    kind: str
    key: str
    a_ms: float
    b_ms: float
    ratio: float | None
    a_noise: Noise
    b_noise: Noise


@dataclass(frozen=True, kw_only=True)
class RowChange:
    """A row of which something else than its times differs.

    Attributes:
        kind: Kind of the row.
        key: The row.
        field: What differs: ``"kernels"`` of a block, ``"blocks"`` of a network, ``"step"``, ``"provider"`` or
            ``"arithmetic"``.
        a: In the first table; of counts only those that differ, 0 for none.
        b: In the second.
    """

    kind: str
    key: str
    field: str
    a: Json
    b: Json


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How far the latencies of one kind of row are apart.

    A relative difference is the slower figure over the faster, minus 1: the same whichever table comes first.

    Attributes:
        common: Rows that both tables hold.
        median: Median relative difference; ``None`` without rows above 0 ms.
        p95: 95th percentile, by the nearest rank.
        median_ratio: Median of second over first: above 1 where the second table is the slower one.
    """

    common: int
    median: float | None
    p95: float | None
    median_ratio: float | None


@dataclass(frozen=True, kw_only=True)
class TableDiff:
    """Differences of two tables, ``a`` and ``b``.

    Attributes:
        tolerance: Relative difference up to which two latencies count as the same.
        manifest: Fields of the manifests that differ, in the order of the manifest.
        only_a: Kind of row to the keys that only the first table holds; kinds without any are left out.
        only_b: Likewise for the second.
        latencies: Rows whose latency differs by more than the tolerance, the largest difference first.
        rows: Rows of which something else differs.
        summary: Kind of row (``"kernel"``, ``"network"``) to how far its latencies are apart.
    """

    tolerance: float
    manifest: tuple[FieldChange, ...]
    only_a: Mapping[str, tuple[str, ...]]
    only_b: Mapping[str, tuple[str, ...]]
    latencies: tuple[LatencyChange, ...]
    rows: tuple[RowChange, ...]
    summary: Mapping[str, Spread]

    @property
    def same_rows(self) -> bool:
        """Whether both hold the same rows, with the same figures up to the tolerance."""
        return not (self.only_a or self.only_b or self.latencies or self.rows)

    def to_json(self) -> dict[str, Any]:
        """As a dictionary that JSON can say."""
        return {"same_rows": self.same_rows, **asdict(self)}


def diff_tables(a: LatencyTable, b: LatencyTable, *, tolerance: float = 0.05) -> TableDiff:
    """Compares two tables.

    Args:
        a: The first table.
        b: The second.
        tolerance: Relative difference up to which two latencies count as the same, at least 0.

    Returns:
        Everything that differs. Times other than ``latency_ms``, and memory and energy, are not compared.

    Raises:
        ValueError: The tolerance is no number of at least 0.
    """
    if not (tolerance >= 0 and math.isfinite(tolerance)):
        raise ValueError(f"expected a tolerance of at least 0, such as 0.05, received {tolerance}")
    pairs = list(zip(a.by_kind().items(), b.by_kind().values(), strict=True))
    common = [(kind, rows_a[key], rows_b[key]) for (kind, rows_a), rows_b in pairs for key in rows_a if key in rows_b]
    changes = [_latency_change(kind, one, other) for kind, one, other in common]
    beyond = [change for change in changes if change is not None and _relative(change.a_ms, change.b_ms) > tolerance]
    return TableDiff(
        tolerance=tolerance,
        manifest=tuple(_field_changes(a.manifest.to_json(), b.manifest.to_json())),
        only_a={kind: tuple(k for k in one if k not in other) for (kind, one), other in pairs if one.keys() - other},
        only_b={kind: tuple(k for k in other if k not in one) for (kind, one), other in pairs if other.keys() - one},
        latencies=tuple(sorted(beyond, key=lambda c: (-_relative(c.a_ms, c.b_ms), c.kind, c.key))),
        rows=tuple(change for kind, one, other in common for change in _row_changes(kind, one, other)),
        summary={
            kind: _spread([change for change in changes if change is not None and change.kind == kind])
            for kind in ("kernel", "network")
        },
    )


def _field_changes(a: Mapping[str, Json], b: Mapping[str, Json], prefix: str = "") -> Iterable[FieldChange]:
    """Field by field; objects are entered, lists are compared whole. An absent field is one that is null."""
    for name in {**a, **b}:
        one, other = a.get(name), b.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _field_changes(one, other, f"{prefix}{name}.")
        elif one != other or type(one) is not type(other):
            yield FieldChange(name=f"{prefix}{name}", a=one, b=other)


def _latency_change(kind: str, a: Row, b: Row) -> LatencyChange | None:
    timed = (KernelRow, NetworkRow, FloorRow)
    if not isinstance(a, timed) or not isinstance(b, timed):
        return None
    a_ms, b_ms = a.timing.latency_ms, b.timing.latency_ms
    return LatencyChange(
        kind=kind,
        key=a.key,
        a_ms=a_ms,
        b_ms=b_ms,
        ratio=_ratio(a_ms, b_ms),
        a_noise=a.timing.noise,
        b_noise=b.timing.noise,
    )


def _ratio(a_ms: float, b_ms: float) -> float | None:
    ratio = b_ms / a_ms if a_ms > 0 and b_ms > 0 else 0.0
    return ratio if 0 < ratio < math.inf and 1 / ratio < math.inf else None


def _relative(a_ms: float, b_ms: float) -> float:
    slow, fast = max(a_ms, b_ms), min(a_ms, b_ms)
    if slow == fast:
        return 0.0
    return slow / fast - 1 if fast > 0 else math.inf


def _row_changes(kind: str, a: Row, b: Row) -> list[RowChange]:
    """What differs beside the times. Both rows are of one kind and key."""
    found: dict[str, tuple[Json, Json]] = {}
    if isinstance(a, BlockRow) and isinstance(b, BlockRow):
        found["kernels"] = _count_changes(a.kernels, b.kernels)
    elif isinstance(a, StepRow) and isinstance(b, StepRow):
        found["step"] = (a.step, b.step)
    elif isinstance(a, KernelRow) and isinstance(b, KernelRow):
        found = {"provider": (a.provider, b.provider), "arithmetic": (a.arithmetic, b.arithmetic)}
    elif isinstance(a, NetworkRow) and isinstance(b, NetworkRow):
        found = {"provider": (a.provider, b.provider), "blocks": _count_changes(a.blocks, b.blocks)}
    elif isinstance(a, FloorRow) and isinstance(b, FloorRow):
        found["provider"] = (a.provider, b.provider)
    return [
        RowChange(kind=kind, key=a.key, field=name, a=one, b=other)
        for name, (one, other) in found.items()
        if one != other
    ]


def _count_changes(a: Mapping[str, int], b: Mapping[str, int]) -> tuple[dict[str, Json], dict[str, Json]]:
    names = [name for name in sorted({*a, *b}) if a.get(name) != b.get(name)]
    return {name: a.get(name, 0) for name in names}, {name: b.get(name, 0) for name in names}


def _spread(changes: list[LatencyChange]) -> Spread:
    apart = sorted(_relative(c.a_ms, c.b_ms) for c in changes if c.ratio is not None)
    ratios = [c.ratio for c in changes if c.ratio is not None]
    if not ratios:
        return Spread(common=len(changes), median=None, p95=None, median_ratio=None)
    return Spread(
        common=len(changes),
        median=statistics.median(apart),
        p95=apart[math.ceil(0.95 * len(apart)) - 1],
        median_ratio=statistics.median(ratios),
    )
