"""Which kernels networks become, counted without building a graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.predictors.latency import Networks
from hwnas.spaces import Codes, ShareTable
from latency_tables import LatencyTable


class KernelCounts:
    """How often each kernel of a table occurs in networks of a space, for any number of them at once.

    A table's blocks say what the runtime made of each; the space says which blocks a network has.

    Args:
        table: Its blocks.
        networks: The space's.

    Attributes:
        keys: The kernels, in the order of the columns.
    """

    def __init__(self, table: LatencyTable, networks: Networks) -> None:
        self.keys = tuple(sorted({key for row in table.blocks.values() for key in row.kernels}))
        self._table = table
        self._columns = {key: column for column, key in enumerate(self.keys)}
        self._shares = ShareTable(networks.space, networks.key_shares, price=self._counted, width=len(self.keys))

    def counts(self, codes: Codes) -> NDArray[np.int64]:
        """Occurrences, shape ``(n, k)`` for ``k`` kernels.

        Args:
            codes: Of shape ``(n, c)``; see ``hwnas.spaces.ArchitectureCodes``.

        Raises:
            MissingRowError: The table lacks a block of one of the architectures.
        """
        return self._shares.sums(codes).astype(np.int64)

    def _counted(self, blocks: Sequence[str]) -> NDArray[np.float64]:
        counted = np.zeros(len(self.keys))
        for block in blocks:
            if block not in self._table.blocks:
                raise self._table.missing("block", [block])
            for key, count in self._table.blocks[block].kernels.items():
                counted[self._columns[key]] += count
        return counted
