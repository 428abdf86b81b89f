"""A latency table in memory: rows by key, and lookups that never guess."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from latency_tables.coordinates import Coordinates, split
from latency_tables.errors import MissingRowError, TableMismatchError
from latency_tables.schema import BlockRow, FloorRow, Json, KernelRow, Manifest, NetworkRow, Row, StepRow
from latency_tables.steps import convolution, snapped


@dataclass(frozen=True)
class LatencyTable:
    """Measured rows under one manifest.

    Attributes:
        manifest: Where the figures come from.
        kernels: Kernel rows by key, in its order; ``from_rows`` sees to that.
        blocks: Block rows by key, likewise.
        networks: Whole-network rows by key, likewise.
        floors: What calls cost that do no work, by key.
        steps: Steps in channels by kind of kernel.
    """

    manifest: Manifest
    kernels: Mapping[str, KernelRow] = field(default_factory=dict)
    blocks: Mapping[str, BlockRow] = field(default_factory=dict)
    networks: Mapping[str, NetworkRow] = field(default_factory=dict)
    floors: Mapping[str, FloorRow] = field(default_factory=dict)
    steps: Mapping[str, StepRow] = field(default_factory=dict)

    @classmethod
    def from_rows(cls, manifest: Manifest, rows: Iterable[Row]) -> LatencyTable:
        """Sorts rows into a table; of two rows with one key the later counts.

        Everything is kept in the order of its keys, as in the file, so that sums over a table and over its copy on
        disk agree to the last digit.
        """
        latest = {(type(row), row.key): row for row in rows}
        ordered = sorted(latest.values(), key=lambda row: row.key)
        return cls(
            manifest,
            kernels={row.key: row for row in ordered if isinstance(row, KernelRow)},
            blocks={
                row.key: replace(row, kernels=dict(sorted(row.kernels.items())))
                for row in ordered
                if isinstance(row, BlockRow)
            },
            networks={
                row.key: replace(row, blocks=dict(sorted(row.blocks.items())))
                for row in ordered
                if isinstance(row, NetworkRow)
            },
            floors={row.key: row for row in ordered if isinstance(row, FloorRow)},
            steps={row.key: row for row in ordered if isinstance(row, StepRow)},
        )

    def by_kind(self) -> dict[str, Mapping[str, Row]]:
        """Rows by key, by what a file calls their kind."""
        return {
            "kernel": self.kernels,
            "block": self.blocks,
            "network": self.networks,
            "floor": self.floors,
            "step": self.steps,
        }

    def rows(self) -> list[Row]:
        """All rows, kernels first, each kind sorted by key, so that equal tables are equal files."""
        return [row for rows in self.by_kind().values() for row in rows.values()]

    def kernel(self, key: str, *, snap: bool = False) -> KernelRow:
        """The row of a kernel.

        Args:
            key: Its canonical key.
            snap: Take the row at the upper end of the kernel's step of channels where its own is missing; the table
                must hold that step as measured.

        Raises:
            MissingRowError: No such row, nor one at the end of its step.
        """
        found = self.kernels.get(key)
        if found is None and snap:
            shape = convolution(key)
            step = self.steps.get(shape.family) if shape else None
            if shape is not None and step is not None:
                found = self.kernels.get(snapped(shape, step.step).key)
        if found is None:
            raise self.missing("kernel", [key])
        return found

    def coordinates(self) -> list[Coordinates]:
        """The batches and precisions that the table holds blocks or networks for, in order."""
        suffixes = {split(key)[1:] for key in (*self.blocks, *self.networks)}
        return sorted(Coordinates(batch=batch, precision=precision) for batch, precision in suffixes)

    def require_coordinates(self, wanted: Coordinates) -> None:
        """Refuses a batch or precision that was never measured.

        Raises:
            TableMismatchError: With what the table holds.
        """
        held = self.coordinates()
        if wanted in held:
            return
        raise TableMismatchError(
            f"the table holds no rows for {wanted}: it has {'; '.join(map(str, held)) or 'none'}. Latencies are not "
            f"scaled from one to another; measure them with `hwnas profile --batch {wanted.batch} "
            f"--precision {wanted.precision}` into the same file.",
            differences={"coordinates": (str(wanted), [str(one) for one in held])},
        )

    def block_cost(self, key: str) -> tuple[float, int]:
        """Summed latency and number of kernels of a block.

        Args:
            key: The block as the space names it.

        Returns:
            ``(latency_ms, kernels)``.

        Raises:
            MissingRowError: The block, or one of its kernels, has no row.
        """
        if key not in self.blocks:
            raise self.missing("block", [key])
        kernels = self.blocks[key].kernels
        absent = [kernel for kernel in kernels if kernel not in self.kernels]
        if absent:
            raise self.missing("kernel", absent)
        total_ms = sum(self.kernels[kernel].timing.latency_ms * count for kernel, count in kernels.items())
        return total_ms, sum(kernels.values())

    def missing(self, kind: str, keys: list[str]) -> MissingRowError:
        """The error that names ``keys`` as missing, with the most similar keys that are there."""
        held = list(self.blocks if kind == "block" else self.kernels)
        return MissingRowError(
            kind=kind, missing=keys, nearest=difflib.get_close_matches(keys[0], held, n=3, cutoff=0.3), rows=len(held)
        )

    def require_fingerprint(self, current: Mapping[str, Json], *, override: str | None) -> None:
        """Refuses a table that was made under other conditions than the current ones.

        Args:
            current: The fingerprint of the machine as it is now.
            override: The option that accepts the table all the same, named in the message; ``None`` where a new table
                would have to go elsewhere instead.

        Raises:
            TableMismatchError: With every field that differs.
        """
        recorded = self.manifest.fingerprint
        differences: dict[str, tuple[object, object]] = {
            name: (current.get(name), recorded.get(name))
            for name in sorted({*current, *recorded})
            if current.get(name) != recorded.get(name)
        }
        if not differences:
            return
        listing = "; ".join(f"{name}: here {a!r}, in the table {b!r}" for name, (a, b) in differences.items())
        cure = f"accept it with {override}" if override else "name another file"
        raise TableMismatchError(
            f"the table was made under other conditions than this machine's ({listing}). "
            f"Make a new one with `hwnas profile`, or {cure}.",
            differences=differences,
        )
