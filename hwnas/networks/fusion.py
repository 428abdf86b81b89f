"""Keys for the edges of cells: how much of its surroundings decides what a runtime makes of an edge.

A runtime that fuses looks at an operation, at what it reads and at what reads it, and computes equal things once. So a
convolution is one kernel with a rectification that alone reads it, with a sum that alone reads it, or with both. The
keys say that much and no more, so that few of them serve many cells.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hwnas.networks.cells import Cell
from hwnas.networks.layers import PlainLayer, Relu, Zero

Kinds = frozenset[str]  # of readers: "relu", "zero", "norm" or "other"
Value = tuple[object, ...]  # what a tensor holds, as an expression: equal values are computed once

_INPUT: Value = ("input",)


@dataclass(frozen=True, kw_only=True)
class _Step:
    """What a live edge computes.

    Attributes:
        position: Of the edge.
        source: What it reads.
        reader: How it reads it; ``None`` for a copy.
        term: What its layers make of it.
        before: The terms that the node had before.
        convolves: Whether the layers have weights, so that no other edge computes the same.
    """

    position: int
    source: Value
    reader: str | None
    term: Value
    before: Value | None
    convolves: bool

    @property
    def result(self) -> Value:
        """The node's value after this edge."""
        return self.term if self.before is None else ("sum", self.before, self.term)


def entering(cell: Cell, to: Kinds) -> Kinds:
    """Kinds of what reads the input of a cell, given what reads its output."""
    return _kinds(_readers(_steps(cell), to)[_INPUT])


def with_keys(cell: Cell, to: Kinds, *, names: Mapping[tuple[PlainLayer, ...], str], at: str) -> Cell:
    """The cell with keys for its live edges.

    Args:
        cell: The cell.
        to: What reads its output.
        names: What an edge with certain layers is called; needs a name for no layers.
        at: What else the keys should say, such as channels and pixels.
    """
    steps, edges, computed = _steps(cell), list(cell.edges), {_INPUT}
    readers = _readers(steps, to)
    for step in steps:
        edge = edges[step.position]
        layers = () if step.term in computed else edge.layers
        new = {step.term, step.result} - computed
        context = f"onto={_onto(step, steps, readers)},to={_to(step, steps, readers)}"
        edges[step.position] = replace(edge, key=f"edge(op={names[layers]},{at},{context})" if new else "")
        computed |= new
    return replace(cell, edges=tuple(edges))


def label(kinds: Kinds) -> str:
    """Kinds of readers, as keys show them."""
    return "+".join(sorted(kinds))


def _steps(cell: Cell) -> list[_Step]:
    nodes: dict[int, Value] = {0: _INPUT}
    steps = []
    for position in cell.live:
        edge = cell.edges[position]
        source, convolves = nodes[edge.source], any(layer.params for layer in edge.layers)
        term: Value = ("edge", position) if convolves else (edge.layers, source) if edge.layers else source
        step = _Step(
            position=position,
            source=source,
            reader=_reader(edge.layers),
            term=term,
            before=nodes.get(edge.target),
            convolves=convolves,
        )
        nodes[edge.target] = step.result
        steps.append(step)
    return steps


def _reader(layers: Sequence[PlainLayer]) -> str | None:
    if not layers:
        return None
    return "relu" if isinstance(layers[0], Relu) else "zero" if isinstance(layers[0], Zero) else "other"


def _readers(steps: Sequence[_Step], to: Kinds) -> Mapping[Value, list[str]]:
    """What reads each value: ``"sum"`` or a kind for each reader."""
    readers: dict[Value, list[str]] = defaultdict(list)
    computed = {_INPUT}
    for step in steps:
        if step.reader and step.term not in computed:
            readers[step.source].append(step.reader)
        if step.before is not None and step.result not in computed:
            readers[step.before].append("sum")
            readers[step.term].append("sum")
        computed |= {step.term, step.result}
    readers[steps[-1].result] += sorted(to)
    return readers


def _kinds(readers: Sequence[str]) -> Kinds:
    return Kinds("other" if reader == "sum" else reader for reader in readers)


def _onto(step: _Step, steps: Sequence[_Step], readers: Mapping[Value, list[str]]) -> str:
    """What the edge adds to: nothing, a convolution that may have taken the sum, a value of its own, or a shared one.

    A sum may be written over a value that whatever else reads it has to have read before; a shared one is copied.
    """
    if step.before is None:
        return "none"
    earlier = (other.term for other in steps if other.convolves and other.position != step.position)
    if any(readers[term] == ["sum"] and term in {step.before, step.term} for term in earlier):
        return "conv"
    return "shared" if step.convolves and _read_elsewhere(step, steps) else "sum"


def _read_elsewhere(step: _Step, steps: Sequence[_Step]) -> bool:
    """Whether anything reads what a step adds to, for which the step does not have to wait."""
    sums = {other.result: other for other in steps if other.before is not None}
    terms = {other.term: other for other in steps if other.reader}
    readings = {_reading(other) for other in terms.values() if other.source == step.before}
    readings |= {result for result, other in sums.items() if step.before in {other.before, other.term}}
    waited_for: set[Value] = {step.result}
    waiting = [step.term]
    while waiting:
        value = waiting.pop()
        waited_for.add(value)
        if value in terms:
            waited_for.add(_reading(terms[value]))
            waiting.append(terms[value].source)
        elif value in sums:
            waiting += [other for other in (sums[value].before, sums[value].term) if other is not None]
    return not readings <= waited_for


def _reading(step: _Step) -> Value:
    """What reads the source of a step: rectifications of one value are computed once."""
    return ("relu", step.source) if step.reader == "relu" else step.term


def _to(step: _Step, steps: Sequence[_Step], readers: Mapping[Value, list[str]]) -> str:
    """What reads the result; of a convolution that goes into a sum, which it may take, also what reads that."""
    if readers[step.result] != ["sum"]:
        return label(_kinds(readers[step.result]))
    if not step.convolves or step.before is not None:
        return "sum"
    sums = (other for other in steps if other.before is not None and step.result in {other.before, other.term})
    return "sum:" + _to(replace(next(sums), convolves=False), steps, readers)
