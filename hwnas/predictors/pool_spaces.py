"""What pools of measured latencies hold for each space: columns, architectures, features.

Latencies are modelled as sums over parts of a network, so features count parts; see ``hwnas.predictors.adaptation``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture
from hwnas.spaces import SearchSpace, architecture_string, from_string, mobilenet_space, nasbench201_space
from hwnas.spaces.nasbench201 import EDGES, NODES, OPERATIONS

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class PoolSpace:
    """A space that there are pools for.

    Attributes:
        space: The search space.
        file: Name of the pool's file.
        columns: Its columns that name a row's architecture.
        architecture: A row's architecture. Ordinal values may lie between or beyond the space's options.
        features: Of architectures, shape ``(n, p)``.
        name: An architecture as ``hwnas.spaces.read_architecture`` reads it.
        unstated: Choices that the pool does not tell; they make no features.
        pruned: Latencies as they would be if the runtime removed dead branches, from the features and latencies of the
            pool, ``(n, p)`` and ``(d, n)`` to ``(d, n)``; ``None`` where there are no branches.
    """

    space: SearchSpace
    file: str
    columns: tuple[str, ...]
    architecture: Callable[[Mapping[str, Any]], Architecture]
    features: Callable[[Sequence[Architecture]], Array]
    name: Callable[[Architecture], str]
    unstated: tuple[str, ...] = ()
    pruned: Callable[[Array, Array], Array] | None = None


def _cell_features(architectures: Sequence[Architecture]) -> Array:
    """How often each operation occurs and where, once for all edges and once for those that are not dead."""
    names = [choice.name for choice in nasbench201_space().choices]
    code = {operation: position for position, operation in enumerate(OPERATIONS)}  # "none" is 0
    operations = np.array([[code[str(one[name])] for name in names] for one in architectures])
    operations = operations.reshape(len(architectures), len(EDGES))
    return np.hstack([_counts(operations), _counts(np.where(_live(operations > 0), operations, 0))])


def _counts(operations: NDArray[np.int_]) -> Array:
    """Number of each operation but "none", and an indicator of it on each edge: a price, and how edges differ in it."""
    on = operations[:, :, None] == np.arange(1, len(OPERATIONS))  # (n, edges, operations)
    return np.hstack([on.sum(axis=1), on.reshape(len(operations), -1)]).astype(np.float64)


def _live(present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which edges lie on a way from the first node to the last, shape ``(n, edges)``."""
    fed = np.zeros((len(present), NODES), dtype=np.bool_)
    needed = fed.copy()
    fed[:, 0] = needed[:, -1] = True
    for column, (source, target) in enumerate(EDGES):
        fed[:, target] |= present[:, column] & fed[:, source]
    for column, (source, target) in reversed(list(enumerate(EDGES))):
        needed[:, source] |= present[:, column] & needed[:, target]
    sources, targets = np.transpose(EDGES)
    return np.asarray(present & fed[:, sources] & needed[:, targets])


def _pruned_cells(features: Array, latency_ms: Array) -> Array:
    """Prices of all edges, paid for those alone that are not dead."""
    everything, live = np.hsplit(features, 2)
    found = []
    for row in latency_ms:
        known = np.isfinite(row)
        centre = everything[known].mean(axis=0)
        prices = np.linalg.lstsq(everything[known] - centre, row[known] - row[known].mean(), rcond=None)[0]
        found.append(row[known].mean() + (live - centre) @ prices)
    return np.array(found)


_STAGES, _BLOCKS = 5, 4  # of once-for-all; a stage's first block differs from the others in stride and channels
_KINDS = {kind: position for position, kind in enumerate(product((3, 5, 7), (3, 4, 6)))}  # kernel, expansion
_FULL = 224.0  # pixels a side


def _ofa_features(architectures: Sequence[Architecture]) -> Array:
    """Number of each kind of block in each stage, plain and times the pixels: a call and the work it does."""
    pixels = np.array([[(float(one["resolution"]) / _FULL) ** 2] for one in architectures]).reshape(-1, 1)
    counts = np.zeros((len(architectures), _STAGES, 2, len(_KINDS)))
    for row, one in zip(counts, architectures, strict=True):
        for stage, block in product(range(_STAGES), range(_BLOCKS)):
            name = f"s{stage + 1}.b{block + 1}"
            if f"{name}.kernel" in one:
                kind = _KINDS[int(one[f"{name}.kernel"]), int(one[f"{name}.expansion"])]
                row[stage, min(block, 1), kind] += 1
    flat = counts.reshape(len(architectures), -1)
    return np.hstack([pixels, flat, flat * pixels])


def _ofa_architecture(row: Mapping[str, Any]) -> Architecture:
    kernels, expansions, depths = ([int(word) for word in str(row[name]).split()] for name in ("ks", "e", "d"))
    values: dict[str, int | float] = {"resolution": int(row["r"]), "width": 1.0}
    for stage, depth in enumerate(depths):
        values[f"s{stage + 1}.depth"] = depth
        for block in range(depth):
            values[f"s{stage + 1}.b{block + 1}.kernel"] = kernels[_BLOCKS * stage + block]
            values[f"s{stage + 1}.b{block + 1}.expansion"] = expansions[_BLOCKS * stage + block]
    return Architecture(values)


POOL_SPACES: Mapping[str, PoolSpace] = {
    "nasbench201": PoolSpace(
        space=nasbench201_space(),
        file="nasbench201.parquet",
        columns=("arch_str",),
        architecture=lambda row: from_string(str(row["arch_str"])),
        features=_cell_features,
        name=architecture_string,
        pruned=_pruned_cells,
    ),
    "mobilenet:ofa": PoolSpace(
        space=mobilenet_space("ofa"),
        file="ofa_mbv3_latency.parquet",
        columns=("ks", "e", "d", "r"),
        architecture=_ofa_architecture,
        features=_ofa_features,
        name=lambda architecture: json.dumps(dict(architecture)),
        unstated=("width",),
    ),
}
