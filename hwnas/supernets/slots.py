"""Where the networks of a family keep their weights: slots that all of them share.

A network is described once, as blocks, and so are the weights that networks have in common. Every layer with weights
has a slot: its share of the network, its block there, and what it is in that block. In a run of layers, layers of one
kind are elastic: a small one uses a part of the largest one's weights. Along the edges of a cell they are alternatives:
each operation of each edge has weights of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from hwnas.core import Architecture, UsageError, Value
from hwnas.networks import NetworkFamily
from hwnas.networks.blocks import Layer
from hwnas.networks.cells import Cell
from hwnas.networks.layers import Classifier, Conv, Normalise, PlainLayer, SqueezeExcite
from hwnas.networks.sequences import FusedSteps, Project, Steps

_KINDS: Mapping[type[PlainLayer], str] = {Classifier: "classifier", Normalise: "norm", SqueezeExcite: "gate"}


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A layer with weights, where it stands.

    Attributes:
        path: Of its part in the module that ``NetworkFamily.module`` makes.
        slot: Whose weights it uses, of all slots of the family.
        layer: Itself.
    """

    path: str
    slot: str
    layer: PlainLayer


@dataclass(frozen=True, kw_only=True)
class Slot:
    """What is kept for all layers that share their weights.

    Attributes:
        layer: As large as the largest of them in every respect.
        kernels: Sizes of their filters, from small to large; of layers without a filter none.
    """

    layer: PlainLayer
    kernels: tuple[int, ...]


def placed(family: NetworkFamily, architecture: Architecture) -> Iterator[Placed]:
    """The layers of a network that have weights, in the order of its module, those of dead edges among them.

    Raises:
        UsageError: It is recurrent.
    """
    index = 0
    for number, share in enumerate(family.shares):
        for position, block in enumerate(share.in_(architecture)):
            yield from _along(block.layers, slot=f"{number}_{position}", path=f"{index}.layers", branch=False)
            index += 1


def slots(family: NetworkFamily) -> dict[str, Slot]:
    """All slots of a family, by name, in the order of the network.

    The space may be a restricted one: slots are those of the whole family, so that weights can go from one to another.
    """
    found: dict[str, Slot] = {}
    for architecture in _every_layer(family):
        for one in placed(family, architecture):
            kernels = {one.layer.kernel} if isinstance(one.layer, Conv) else set()
            held = found.get(one.slot)
            layer = _larger(held.layer, one.layer) if held else one.layer
            kernels |= set(held.kernels) if held else set()
            found[one.slot] = Slot(layer=layer, kernels=tuple(sorted(kernels)))
    return dict(sorted(found.items(), key=lambda entry: _order(entry[0])))


def _every_layer(family: NetworkFamily) -> Iterator[Architecture]:
    """Architectures that together have every layer: the covering ones, and those with the same option everywhere.

    The former hold every block that can be; the latter every operation of every edge of a cell.
    """
    covering = family.design.covering()
    yield from covering
    options: dict[str, list[Value]] = {}
    for architecture in covering:
        for name, value in architecture.items():
            held = options.setdefault(name, [])
            if value not in held:
                held.append(value)
    for number in range(max(map(len, options.values()), default=0)):
        yield Architecture({name: held[min(number, len(held) - 1)] for name, held in options.items()})


def _along(layers: Sequence[Layer], *, slot: str, path: str, branch: bool) -> Iterator[Placed]:
    seen: Counter[str] = Counter()
    for position, layer in enumerate(layers):
        if isinstance(layer, Cell):
            for number, edge in enumerate(layer.edges):
                place = edge.place or f"e{number}"
                inner = f"{path}.{position}.edges.{number}"
                yield from _along(edge.layers, slot=f"{slot}/{place}", path=inner, branch=True)
        elif isinstance(layer, FusedSteps | Project | Steps):
            raise UsageError(
                "weights cannot be shared by recurrent networks: maps of different forms and ranks have no numbers in "
                "common. Train each network by itself: --evaluator trained"
            )
        elif layer.params:
            kind = _kind(layer, branch=branch)
            yield Placed(path=f"{path}.{position}", slot=f"{slot}/{kind}_{seen[kind]}", layer=layer)
            seen[kind] += 1


def _kind(layer: PlainLayer, *, branch: bool) -> str:
    if not isinstance(layer, Conv):
        return _KINDS[type(layer)]
    kind = "depthwise" if layer.groups > 1 else "conv"
    return f"{kind}{layer.kernel}x{layer.kernel}" if branch else kind


def _larger(one: PlainLayer, other: PlainLayer) -> PlainLayer:
    """A layer that is as large as both in every respect."""
    sizes = {f.name: getattr(one, f.name) for f in fields(one) if f.type == "int"}
    return replace(one, **{name: max(size, getattr(other, name)) for name, size in sizes.items()})


def _order(slot: str) -> tuple[int, ...]:
    return tuple(int(number) for number in slot.partition("/")[0].split("_"))
