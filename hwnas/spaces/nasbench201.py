"""The ``nasbench201`` space: one cell of four nodes and six edges, each with one of five operations.

The benchmark is NAS-Bench-201 (Dong and Yang, 2020, https://arxiv.org/abs/2001.00326), the topology space of NATS-Bench
(Dong et al., 2021, https://arxiv.org/abs/2009.00437). The indices that its tables give to architectures follow no rule,
so an architecture is named by its string.

Some cells are the same network. What a node holds is a sum of terms: an edge adds nothing with "none" or when its
source holds nothing, the terms of its source with "skip_connect", and else its operation on their sum. Cells whose last
nodes are the same sum, in whatever order, are the same: those that differ in the names of nodes, in edges that lead
nowhere, or in a skip in place of an edge. Weights are not compared: a result that is added twice counts as two of its
kind. These 4,930 classes join those of the 6,466 strings by which NATS-Bench tells cells apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import product

from hwnas.core import Architecture, UsageError, Value, unknown
from hwnas.spaces.paths import PathFeatures
from hwnas.spaces.space import Choice, SearchSpace

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))  # (from node, to node), in the order of the strings
NODES = 4
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
_WEIGHTED = ("nor_conv_1x1", "nor_conv_3x3")


def nasbench201_space() -> SearchSpace:
    """All 15,625 cells: a categorical choice ``edge_I_J`` for the operation from node I to node J.

    The features of a cell are its paths.
    """
    edges = tuple((f"edge_{source}_{target}", source, target) for source, target in EDGES)
    paths = PathFeatures(edges=edges, operations=OPERATIONS, broken="none", identity="skip_connect", weighted=_WEIGHTED)
    choices = tuple(Choice(name=name, options=OPERATIONS, ordinal=False) for name, _, _ in edges)
    return SearchSpace("nasbench201", choices, form=cell_form, features=paths)


def architecture_string(architecture: Architecture) -> str:
    """The name of an architecture in the benchmark's tables.

    Returns:
        For example ``"|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|avg_pool_3x3~2|"``: the nodes from the
        second on, separated by ``+``, each with the operations on its edges and the nodes these come from.
    """
    return _string([architecture[choice.name] for choice in nasbench201_space().choices])


def from_string(text: str) -> Architecture:
    """The architecture that the benchmark's tables call so; the inverse of ``architecture_string``.

    Raises:
        UsageError: The text has another form, or an operation is unknown.
    """
    operations = re.findall(r"([^|~+]*)~", text)
    if len(operations) != len(EDGES) or _string(operations) != text:
        form = _string(["OP"] * len(EDGES))
        raise UsageError(f"expected an architecture of nasbench201 in the form {form}, received {text!r}")
    for operation in operations:
        if operation not in OPERATIONS:
            raise unknown("operation", operation, OPERATIONS)
    space = nasbench201_space()
    return space.architecture({choice.name: op for choice, op in zip(space.choices, operations, strict=True)})


def cell_form(architecture: Architecture) -> Architecture:
    """The first cell, in the order of ``SearchSpace.enumerate``, that is the same network."""
    names = [f"edge_{source}_{target}" for source, target in EDGES]
    operations = _first_of()[_sum(str(architecture[name]) for name in names)]
    return Architecture(dict(zip(names, operations, strict=True)))


def _string(operations: Sequence[Value]) -> str:
    nodes: dict[int, str] = {}
    for (source, target), operation in zip(EDGES, operations, strict=True):
        nodes[target] = nodes.get(target, "|") + f"{operation}~{source}|"
    return "+".join(nodes.values())


def _sum(operations: Iterable[str]) -> str:
    """The terms of the last node, in order; empty where nothing reaches it."""
    terms: list[list[str]] = [["x"], *([] for _ in range(NODES - 1))]
    for (source, target), operation in zip(EDGES, operations, strict=True):
        if operation == "none" or not terms[source]:
            continue
        if operation == "skip_connect":
            terms[target] += terms[source]
        else:
            terms[target].append(f"{operation}({'+'.join(sorted(terms[source]))})")
    return "+".join(sorted(terms[-1]))


@cache
def _first_of() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for operations in product(OPERATIONS, repeat=len(EDGES)):
        found.setdefault(_sum(operations), operations)
    return found
