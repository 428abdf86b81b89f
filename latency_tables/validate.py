"""Whether a table that reads well also makes sense: what its rows say of each other and of the manifest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from latency_tables.coordinates import Coordinates, split
from latency_tables.schema import BlockRow, FloorRow, Json, KernelRow, NetworkRow, percentile_names
from latency_tables.table import LatencyTable

Severity = Literal["error", "warning"]

FEWEST_NETWORKS = 10  # below this, what a predictor learns from whole networks follows their noise
MOST_NOISY = 0.1  # share of flagged rows above which sums of rows are not to be trusted
MOST_RESTLESS = 0.5  # share of measurements on a restless machine above which the calm ones are too few to be sure of
_NOISE_LIMIT = 0.1  # where the protocol names none
_ROUNDING = 1e-6  # figures are written with six digits
_NO_ARITHMETIC = {"unknown", "convert", "index"}  # kernels that move figures between types, or count
_REMEASURE = "measure it again with `hwnas profile`"

_Timed = KernelRow | NetworkRow | FloorRow


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is wrong, or not to be relied upon.

    Attributes:
        severity: ``"error"`` where figures are wrong or missing, ``"warning"`` where they may be less good than they
            look.
        rule: Short name of what was looked at, the same for all findings of one kind.
        row: Kind and key of the row, or the field of the manifest, that it is about.
        message: What is wrong, and what to do.
    """

    severity: Severity
    rule: str
    row: str
    message: str


def validate(table: LatencyTable) -> list[Finding]:
    """Looks for what reading a file cannot see.

    Args:
        table: The table.

    Returns:
        Errors first, then warnings, each in a fixed order; empty for a table that makes sense.
    """
    found = [finding for rule in _RULES for finding in rule(table)]
    return sorted(found, key=lambda finding: finding.severity)  # "error" comes before "warning"; the sort is stable


def grouped(findings: Iterable[Finding]) -> list[tuple[Finding, int]]:
    """Findings that say the same of many rows as one: the first of them, and how many there are."""
    groups: dict[tuple[Severity, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.severity, finding.rule].append(finding)
    return [(group[0], len(group)) for group in groups.values()]


def _error(rule: str, row: str, message: str) -> Finding:
    return Finding(severity="error", rule=rule, row=row, message=message)


def _warning(rule: str, row: str, message: str) -> Finding:
    return Finding(severity="warning", rule=rule, row=row, message=message)


def _missing_rows(table: LatencyTable) -> Iterator[Finding]:
    for row in table.blocks.values():
        absent = [key for key in row.kernels if key not in table.kernels]
        if absent:
            message = f"names {len(absent)} kernels without rows, such as {absent[0]}, so it has no latency: "
            yield _error("block without kernels", f"block {row.key}", f"{message}{_REMEASURE} into this file")
    for network in table.networks.values():
        absent = [key for key in network.blocks if key not in table.blocks]
        if absent:
            message = f"names {len(absent)} blocks without rows, such as {absent[0]}: predictions are calibrated "
            yield _warning("network without blocks", f"network {network.key}", f"{message}without this network")


def _unmeasured(table: LatencyTable) -> Iterator[Finding]:
    """What the device refused to run, as the campaign recorded it."""
    for path, value in _entries(table.manifest.conditions):
        if path.rpartition(".")[2] == "unmeasured" and isinstance(value, dict):
            for key, reason in value.items():
                if key not in table.kernels:
                    message = f"{key} could not be measured: {reason}"
                    yield _warning("not measured", f"manifest conditions.{path}", message)


def _calibration(table: LatencyTable) -> Iterator[Finding]:
    usable = Counter(
        _at(row.key)
        for row in table.networks.values()
        if row.timing.latency_ms > 0 and row.blocks and all(key in table.blocks for key in row.blocks)
    )
    for one in _blocks_at(table):
        if usable[one] < FEWEST_NETWORKS:
            message = f"{usable[one]} whole networks with all their blocks, fewer than {FEWEST_NETWORKS}: predictions "
            yield _warning("few networks", f"networks at {one}", f"{message}cannot be calibrated safely; profile more")


def _unknown(table: LatencyTable) -> Iterator[Finding]:
    """Quantities that rows lack and the manifest does not explain."""
    lacking: Counter[str] = Counter()
    told = {name.partition(" ")[0] for name in table.manifest.unknown}
    for kind, row in _timed(table):
        lacking["uncertainty"] += row.timing.uncertainty is None
        names = ("memory_mib", "energy_mj") if not isinstance(row, FloorRow) else ()
        for name in (*names, *(("load_ms", "first_ms") if isinstance(row, NetworkRow) else ())):
            lacking[name] += getattr(row, name) is None and f"{kind}s.{name}" not in told
        if isinstance(row, KernelRow):
            lacking["arithmetic"] += row.arithmetic == "unknown"
    for name, count in lacking.items():
        if count and name not in told:
            message = f"{name} is unknown for {count} rows, and the manifest gives no reason"
            yield _warning("unknown without a reason", f"manifest unknown.{name}", message)


def _providers(table: LatencyTable) -> Iterator[Finding]:
    expected = table.manifest.provider
    for kind, row in _timed(table):
        if row.provider not in {expected, "unknown"}:
            message = f"expected the manifest's provider {expected}, received {row.provider}: the figure is of another "
            yield _error("other provider", f"{kind} {row.key}", f"{message}device; make the table anew")


def _coordinates(table: LatencyTable) -> Iterator[Finding]:
    manifest, held = table.manifest, table.coordinates()
    place = "manifest precisions and batches"
    for one in held:
        if one.precision not in manifest.precisions or one.batch not in manifest.batches:
            listed = f"{', '.join(manifest.precisions)} and batches {', '.join(map(str, manifest.batches))}"
            yield _error("unlisted coordinates", place, f"rows stand at {one}, the manifest lists only {listed}")
    absent = [name for name in manifest.precisions if name not in {one.precision for one in held}]
    absent += [f"batch {batch}" for batch in manifest.batches if batch not in {one.batch for one in held}]
    if held and absent:
        message = f"the manifest lists {', '.join(absent)}, but no block or network stands there"
        yield _warning("coordinates without rows", place, message)
    for network in table.networks.values():
        strangers = [key for key in network.blocks if _at(key) != _at(network.key)]
        if strangers:
            message = f"is made of blocks at another batch or precision, such as {strangers[0]}"
            yield _error("mixed coordinates", f"network {network.key}", message)


def _arithmetic(table: LatencyTable) -> Iterator[Finding]:
    """A precision is what kernels compute in, not what was asked of them."""
    for one, blocks in _blocks_at(table).items():
        kernels = {key for row in blocks for key in row.kernels if key in table.kernels}
        seen = {table.kernels[key].arithmetic for key in kernels} - _NO_ARITHMETIC
        if seen and one.precision not in seen:
            message = f"expected kernels that compute in {one.precision}, received only {', '.join(sorted(seen))}: the "
            # latencies of fp16 networks are what they are wherever they were computed in something else; an int8 table
            # without an integer kernel is of networks that were not quantised
            finding = _error if one.precision == "int8" else _warning
            yield finding("other arithmetic", f"blocks at {one}", f"{message}device does not do what the table says")


def _impossible_times(table: LatencyTable) -> Iterator[Finding]:
    for kind, row in _timed(table):
        timing = row.timing
        rising = [timing.min_ms, *(timing.percentiles_ms[name] for name in percentile_names(timing.percentiles_ms))]
        checks = {
            "the smallest time is above the median": timing.min_ms > timing.median_ms * (1 + _ROUNDING),
            # the price of a call is taken off a kernel that was called alone, but not off its raw times
            "the latency is below the smallest time": kind != "kernel"
            and timing.latency_ms < timing.min_ms * (1 - _ROUNDING),
            "the percentiles do not rise from the smallest time": any(
                high < low * (1 - _ROUNDING) for low, high in pairwise(rising)
            ),
        }
        for what in (what for what, wrong in checks.items() if wrong):
            yield _error("impossible times", f"{kind} {row.key}", f"{what}: {_REMEASURE}")


def _parts_and_wholes(table: LatencyTable) -> Iterator[Finding]:
    """No part of a network takes longer than all of it, and no empty call longer than one that works."""
    for network in table.networks.values():
        blocks = [table.blocks[key] for key in network.blocks if key in table.blocks]
        inside = [table.kernels[key] for block in blocks for key in block.kernels if key in table.kernels]
        slowest = max(inside, key=lambda row: row.timing.latency_ms, default=None)
        whole_ms = network.timing.latency_ms
        if slowest is None or slowest.timing.latency_ms <= whole_ms:
            continue
        flagged = "noisy" in {slowest.timing.noise, network.timing.noise}
        message = f"takes {whole_ms:g} ms, its kernel {slowest.key} alone {slowest.timing.latency_ms:g}: {_REMEASURE}"
        yield (_warning if flagged else _error)("part above the whole", f"network {network.key}", message)
    fastest_ms = min((row.timing.latency_ms for row in table.networks.values()), default=None)
    for floor in table.floors.values():
        if fastest_ms is not None and floor.timing.latency_ms > fastest_ms:
            message = f"a call that does no work takes {floor.timing.latency_ms:g} ms, a whole network {fastest_ms:g}"
            yield _warning("floor above a network", f"floor {floor.key}", message)


def _noisy_share(table: LatencyTable) -> Iterator[Finding]:
    totals = Counter(kind for kind, _ in _timed(table))
    noisy = Counter(kind for kind, row in _timed(table) if row.timing.noise == "noisy")
    for kind, count in noisy.items():
        if count > MOST_NOISY * totals[kind]:
            message = f"{count} of {totals[kind]} are flagged noisy, more than {MOST_NOISY:.0%}: measure again on a "
            yield _warning(f"noisy {kind}s", f"{kind} rows", f"{message}quieter machine")


def _doubtful_times(table: LatencyTable) -> Iterator[Finding]:
    limit = _noise_limit(table)
    for kind, row in _timed(table):
        timing, place = row.timing, f"{kind} {row.key}"
        if timing.latency_ms > timing.median_ms * (1 + limit):
            message = f"a latency of {timing.latency_ms:g} ms is more than {limit:.0%} above the median of raw times"
            yield _warning("above the median", place, f"{message}, {timing.median_ms:g} ms: {_REMEASURE}")
        if timing.n == 0:
            yield _warning("no raw times", place, f"no raw time is behind this figure: {_REMEASURE}")
        if timing.latency_ms == 0:
            yield _warning("no time at all", place, "0 ms: less than the runtime's clock can tell")


def _conditions(table: LatencyTable) -> Iterator[Finding]:
    """Traces of how slow the machine was: conditions are for people to read, so nothing is taken for granted."""
    limit = 1 + _noise_limit(table)
    for path, value in _entries(table.manifest.conditions):
        name = path.rpartition(".")[2]
        # rounds come as a list, the sentinel's trace as quantiles: single measurements that were slow were left out
        trace: Any = value.get("median") if isinstance(value, dict) else value
        ratios: list[float] = [one for one in (trace if isinstance(trace, list) else [trace]) if _is_number(one)]
        message = ""
        if name.endswith("slowdown") and ratios and max(ratios) > limit:
            message = f"the machine was {max(ratios):.2f} times slower than at its quietest, more than {limit:.2f}"
        elif name == "restless_share" and ratios and ratios[0] > MOST_RESTLESS:
            message = f"{ratios[0]:.0%} of the measurements were taken on a restless machine"
        if message:
            message = f"{message}: measure again on a quieter one"
            yield _warning("restless machine", f"manifest conditions.{path}", message)


_RULES: tuple[Callable[[LatencyTable], Iterable[Finding]], ...] = (
    _missing_rows,
    _unmeasured,
    _providers,
    _coordinates,
    _arithmetic,
    _impossible_times,
    _parts_and_wholes,
    _calibration,
    _noisy_share,
    _doubtful_times,
    _unknown,
    _conditions,
)


def _timed(table: LatencyTable) -> Iterator[tuple[str, _Timed]]:
    for kind, rows in table.by_kind().items():
        for row in rows.values():
            if isinstance(row, KernelRow | NetworkRow | FloorRow):
                yield kind, row


def _at(key: str) -> Coordinates:
    _, batch, precision = split(key)
    return Coordinates(batch=batch, precision=precision)


def _blocks_at(table: LatencyTable) -> dict[Coordinates, list[BlockRow]]:
    """The blocks of each batch and precision."""
    held: dict[Coordinates, list[BlockRow]] = defaultdict(list)
    for row in table.blocks.values():
        held[_at(row.key)].append(row)
    return held


def _entries(record: Mapping[str, Json], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in a record by its path, however deep: the conditions of merged tables nest."""
    for name, value in record.items():
        yield f"{prefix}{name}", value
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield from _entries(one, f"{prefix}{name}.")


def _noise_limit(table: LatencyTable) -> float:
    found: Any = table.manifest.protocol.get("noise_limit")
    return float(found) if _is_number(found) and found > 0 else _NOISE_LIMIT


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
