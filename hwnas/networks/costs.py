"""What networks cost by their definition: operations, parameters, memory.

Memory is that of deployment: normalisations are folded into convolutions, activations computed in place, and the
batch and the type of numbers are those of the family. Multiply-accumulates and parameters are counted as the benchmarks
count them, for one image and before folding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from hwnas.networks.blocks import Block, Layer
from hwnas.networks.cells import Cell
from hwnas.networks.family import NetworkFamily
from hwnas.networks.layers import (
    AveragePool,
    Classifier,
    Conv,
    GlobalMean,
    Normalise,
    Relu,
    SqueezeExcite,
    Zero,
)
from hwnas.networks.sequences import FusedSteps, Project, Steps
from hwnas.spaces import Codes, ShareTable

MIB = 2**20
BYTES: Mapping[str, int] = {"fp32": 4, "fp16": 2, "bf16": 2, "int8": 1}  # of a number
BIAS_BYTES: Mapping[str, int] = {**BYTES, "int8": 4}  # integer kernels add their biases in 32 bits


class NetworkCosts:
    """Costs by definition of any number of architectures at once.

    Args:
        family: Space, networks, batch and precision, or precisions.
    """

    def __init__(self, family: NetworkFamily) -> None:
        self._members = [NetworkCosts(member) for member in family.members.values()]
        if self._members:
            return
        price = partial(_figures, precision=family.precision)
        self._table = ShareTable(family.space, family.shares, price=price, width=4)
        self._activation_bytes = BYTES[family.precision] * family.batch

    def values(self, codes: Codes) -> dict[str, NDArray[np.float64]]:
        """Cost name to values of shape ``(n,)``.

        Args:
            codes: Of shape ``(n, c)``; see ``hwnas.spaces.ArchitectureCodes``. Of a family of several precisions the
                last column says which a network is computed in.

        Returns:
            ``macs_m`` and ``flops_m`` (two for each MAC) in millions for one image, ``params_m`` in millions;
            ``weights_mib``, ``activations_mib`` (the largest sum of tensors alive at once) and ``memory_mib``, the sum
            of these two, in MiB.
        """
        if self._members:
            return self._mixed(codes)
        macs, params, weights, _ = self._table.sums(codes).T
        weights_mib = weights / MIB
        activations_mib = self._table.maxima(codes)[:, -1] * self._activation_bytes / MIB
        return {
            "macs_m": macs / 1e6,
            "flops_m": 2 * macs / 1e6,
            "params_m": params / 1e6,
            "weights_mib": weights_mib,
            "activations_mib": activations_mib,
            "memory_mib": weights_mib + activations_mib,
        }

    def _mixed(self, codes: Codes) -> dict[str, NDArray[np.float64]]:
        found = {name: np.zeros(len(codes)) for name in self._members[0].values(codes[:0, :-1])}
        for number, member in enumerate(self._members):
            rows = codes[:, -1] == number
            for name, values in member.values(codes[rows, :-1]).items():
                found[name][rows] = values
        return found


def weight_bytes(layers: Sequence[Layer], *, precision: str) -> int:
    """Bytes of the weights that are deployed; those of dead edges and folded normalisations are not."""
    total = 0
    for layer in layers:
        if isinstance(layer, Cell):
            live = (layer.edges[i].layers for i in layer.live)
            total += sum(weight_bytes(chain, precision=precision) for chain in live)
            continue
        weights, biases = _numbers(layer)
        total += weights * BYTES[precision] + biases * BIAS_BYTES[precision]
    return total


def _numbers(layer: Layer) -> tuple[int, int]:
    """Weights and biases after folding."""
    if isinstance(layer, Conv):
        biases = layer.out_channels * layer.normalised
        return layer.params - 2 * biases, biases
    if isinstance(layer, SqueezeExcite):
        biases = layer.channels + layer.squeezed
        return layer.params - biases, biases
    if isinstance(layer, Classifier):
        return layer.params - layer.classes, layer.classes
    if isinstance(layer, Project):
        return layer.mapped.deployed, layer.mapped.out_features
    if isinstance(layer, FusedSteps):
        return layer.weights, layer.biases
    return layer.params, 0


def _figures(blocks: Sequence[Block], *, precision: str) -> NDArray[np.float64]:
    """Multiply-accumulates, parameters and bytes of weights, and the most numbers alive at once; shape ``(4,)``.

    All that is counted belongs to one image, with what the first block reads. A block that stands several times on end,
    as the cells of a stage do, is counted once and taken so many times.
    """
    figures, most, channels = np.zeros(3), 0, 0
    for _, run in groupby(blocks, key=id):
        block, *again = run
        weights = weight_bytes(block.layers, precision=precision)
        figures += (1 + len(again)) * np.array([block.macs, block.params, weights])
        for _ in (block, *again[:1]):  # a third one has no more alive than the second
            peak, channels = _peak(block, channels)
            most = max(most, peak)
    return np.append(figures, most)


def _peak(block: Block, channels: int) -> tuple[int, int]:
    """Most numbers alive at once for one image, and the channels after the block, given those before it."""
    first = block.layers[0]
    channels = first.in_channels if isinstance(first, Conv | FusedSteps | Project) else channels
    most, channels, _ = _chain_peak(block.layers, channels, block.size, keep=block.residual)
    return most, channels


def _chain_peak(
    layers: Sequence[Layer], channels: int, size: int, *, keep: bool, others: int = 0
) -> tuple[int, int, int]:
    """Most numbers alive along a run of layers, and the channels and pixels a side after it.

    Args:
        layers: In order.
        channels: Read by the first.
        size: Pixels a side, likewise.
        keep: Whether what the first layer reads is still needed afterwards.
        others: Numbers alive all the while beside these.
    """
    entry = channels * size**2
    peak = entry
    for position, layer in enumerate(layers):
        read = channels * size**2
        needed = keep and position == 0
        most = _cell_peak(layer, channels, size) if isinstance(layer, Cell) else read + _working(layer, channels, size)
        most = 2 * read if needed and most == read else most  # in place it cannot be computed then
        peak = max(peak, most + (entry if keep and position else 0))
        channels, size = _after(layer, channels), layer.out_size(size)
    written = channels * size**2 if layers else 0
    return others + max(peak, written + entry if keep else written), channels, size


def _working(layer: Layer, channels: int, size: int) -> int:
    """Numbers that a layer needs beside its input; none where it computes in place."""
    if isinstance(layer, Conv | AveragePool):
        return _after(layer, channels) * layer.out_size(size) ** 2
    if isinstance(layer, SqueezeExcite):
        return 2 * channels + layer.squeezed
    if isinstance(layer, Classifier):
        return layer.in_features + layer.classes
    if isinstance(layer, GlobalMean):
        return channels
    if isinstance(layer, FusedSteps | Project | Steps):
        return layer.working
    return 0


def _after(layer: Layer, channels: int) -> int:
    """Channels after a layer."""
    if isinstance(layer, Conv | FusedSteps | Project | Steps):
        return layer.out_channels
    if isinstance(layer, Classifier):
        return layer.classes
    if isinstance(layer, Cell):
        for i in layer.live:  # all that reaches the output has as many
            for inner in layer.edges[i].layers:
                channels = _after(inner, channels) if layer.edges[i].target == layer.nodes - 1 else channels
        return channels
    if isinstance(layer, Normalise | Relu | SqueezeExcite | Zero | AveragePool | GlobalMean):
        return channels
    raise TypeError(f"expected a layer, received {type(layer).__name__}")


def _cell_peak(cell: Cell, channels: int, size: int) -> int:
    """Most numbers alive while the live edges are computed one after another, each node kept until its last reader."""
    nodes = {0: (channels, size)}
    last = {cell.edges[i].source: i for i in cell.live}
    peak = channels * size**2
    for i in cell.live:
        edge = cell.edges[i]
        own_channels, own_size = nodes[edge.source]
        alive = {node: c * s**2 for node, (c, s) in nodes.items()}
        keep = last[edge.source] != i
        most, *after = _chain_peak(
            edge.layers, own_channels, own_size, keep=keep, others=sum(alive.values()) - alive[edge.source]
        )
        peak = max(peak, most)
        nodes[edge.target] = (after[0], after[1])
        if not keep:
            del nodes[edge.source]
    return peak
