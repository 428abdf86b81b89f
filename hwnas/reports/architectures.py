"""The winners' networks: their blocks and kernels, and where the milliseconds go."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from hwnas.core import Architecture, Trial
from hwnas.networks import Block, NetworkFamily
from hwnas.predictors import LatencyPredictor
from hwnas.predictors.breakdown import Part, Prediction, explain
from hwnas.predictors.rows import PartCost
from hwnas.reports.trials import TrialRow
from hwnas.study import Run
from latency_tables import attribute_numbers, convolution, keyed, read_kernel


@dataclass(frozen=True, kw_only=True)
class BlockRow:
    """One block of a network.

    Attributes:
        stage: The part of the network it belongs to.
        key: Its canonical name.
        size: Pixels a side that it reads.
        macs: Multiply-accumulates for one image.
        share: Of the network's multiply-accumulates.
        params: Trainable parameters.
        latency_ms: By the table, before the law of the device.
        latency_share: Of the sum over the blocks.
    """

    stage: str
    key: str
    size: int
    macs: int
    share: float
    params: int
    latency_ms: float
    latency_share: float


@dataclass(frozen=True, kw_only=True)
class KernelKind:
    """Kernels of one kind in a network.

    Attributes:
        name: For example ``"Conv 3x3 depthwise"``.
        count: How many the network executes.
        latency_ms: Of all of them.
        share: Of the sum over all kernels.
    """

    name: str
    count: int
    latency_ms: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Network:
    """A winner's architecture.

    Attributes:
        row: Its trial.
        choices: Name and value of every choice.
        resolution: Input height and width in pixels.
        blocks: In order of execution.
        kernels: From the costliest to the cheapest, and what the law of the device adds to them.
        kinds: The kernels by kind, the costliest first.
    """

    row: TrialRow
    choices: tuple[tuple[str, Any], ...]
    resolution: int
    blocks: tuple[BlockRow, ...]
    kernels: Prediction
    kinds: tuple[KernelKind, ...]


def network_of(run: Run, trial: Trial, row: TrialRow) -> Network:
    """A trial's network.

    Raises:
        MissingRowError: The run's table lacks a block or kernel of it.
    """
    blocks = run.family.blocks(trial.architecture)
    at, predictor = run.family.of(trial.architecture), run.predictors.for_(trial.architecture)
    parts = [_parts(at, predictor, block) for block in blocks]
    spent = [sum(one.latency_ms for one in block) for block in parts]
    macs, spent_ms = sum(block.macs for block in blocks), sum(spent)
    held = (kernel for block in parts for one in block for kernel in _kernels(run, predictor, one))
    kernels = explain(predictor, held)
    stages = _stages(trial.architecture, blocks)
    return Network(
        row=row,
        choices=tuple(trial.architecture.items()),
        resolution=run.family.resolution(trial.architecture),
        blocks=tuple(
            BlockRow(
                stage=stage,
                key=block.key,
                size=block.size,
                macs=block.macs,
                share=block.macs / macs,
                params=block.params,
                latency_ms=ms,
                latency_share=ms / spent_ms if spent_ms else 0.0,
            )
            for stage, block, ms in zip(stages, blocks, spent, strict=True)
        ),
        kernels=kernels,
        kinds=_kinds(kernels.parts),
    )


def _parts(at: NetworkFamily, predictor: LatencyPredictor, block: Block) -> list[PartCost]:
    """What the table has of a block: the block as a whole, or the live edges of a cell."""
    keys = [keyed(key, batch=at.batch, precision=at.precision) for key in block.parts.values()]
    return [predictor.rows.block(key) for key in keys]


def _kernels(run: Run, predictor: LatencyPredictor, block: PartCost) -> list[PartCost]:
    """The kernels of a block as often as it executes them; the block itself where the table does not tell."""
    row = run.table.blocks.get(block.key)
    if row is None:
        return [block]
    return [predictor.rows.kernel(key) for key, count in row.kernels.items() for _ in range(count)]


def _kinds(parts: tuple[Part, ...]) -> tuple[KernelKind, ...]:
    counts, times = Counter[str](), defaultdict[str, float](float)
    for part in parts:
        counts[kind_of(part.key)] += part.count
        times[kind_of(part.key)] += part.count * part.latency_ms
    total = sum(times.values())
    kinds = [
        KernelKind(name=name, count=counts[name], latency_ms=ms, share=ms / total if total else 0.0)
        for name, ms in times.items()
    ]
    return tuple(sorted(kinds, key=lambda kind: (-kind.latency_ms, kind.name)))


def kind_of(key: str) -> str:
    """What a kernel is, without its sizes: its operator, of a convolution also window and kind."""
    conv, read = convolution(key), read_kernel(key)
    if read is None:
        return key.partition("(")[0]
    op = read.op.rpartition(".")[2]
    if conv is not None:
        return f"{op} {conv.window} {'depthwise' if conv.depthwise else 'dense'}"
    window = attribute_numbers(read.attributes.get("kernel_shape", ""))
    return f"{op} {'x'.join(map(str, window))}" if window else op


def _stages(architecture: Architecture, blocks: tuple[Block, ...]) -> list[str]:
    """The stage of each block, from the depths chosen; where these do not add up, the kind of the block."""
    depths = [int(value) for name, value in architecture.items() if re.fullmatch(r"s\d+\.depth", name)]
    inner = [f"stage {stage}" for stage, depth in enumerate(depths, start=1) for _ in range(depth)]
    if len(inner) + 2 == len(blocks):
        return ["stem", *inner, "head"]
    return [block.key.partition("(")[0] for block in blocks]
