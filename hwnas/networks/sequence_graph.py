"""Recurrent layers as nodes of an ONNX graph: the operators that ``torch.onnx`` writes for their modules.

Steps are written one after another, and maps mode by mode; the last factors of a block-term map stand with their cores
in them, as any runtime makes of them when it loads the network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hwnas.networks.factorised import BlockTermMap, DenseMap, LowRankMap, TensorTrainMap
from hwnas.networks.graph_writer import GraphWriter
from hwnas.networks.sequences import FusedSteps, Project, Steps


def write_project(writer: GraphWriter, name: str, tensor: str, layer: Project) -> str:
    """Writes the map of every frame, and gives back the tensor written: ``(b, frames, out_features)``."""
    mapped = layer.mapped
    if isinstance(mapped, DenseMap | LowRankMap):
        tensor = _matrices(writer, name, tensor, mapped)
    else:
        by_modes = _block_term if isinstance(mapped, BlockTermMap) else _tensor_train
        tensor = by_modes(writer, name, tensor, mapped)  # type: ignore[arg-type]  # each is given its own kind
        tensor = writer.node("Add", [tensor, writer.weight(f"{name}.bias", mapped.out_features)], f"{name}.biased")
    return _reshaped(writer, f"{name}.gates", tensor, (-1, layer.frames, mapped.out_features))


def _matrices(writer: GraphWriter, name: str, tensor: str, mapped: DenseMap | LowRankMap) -> str:
    inner = mapped.in_features
    tensor = _reshaped(writer, f"{name}.frames", tensor, (-1, inner))
    if isinstance(mapped, LowRankMap):
        narrow = writer.weight(f"{name}.narrow", inner, mapped.rank)
        tensor, inner = writer.node("MatMul", [tensor, narrow], f"{name}.thin"), mapped.rank
    read = [tensor, writer.weight(f"{name}.weight", inner, mapped.out_features)]
    read.append(writer.weight(f"{name}.bias", mapped.out_features))
    return writer.node("Gemm", read, f"{name}.biased")


def _tensor_train(writer: GraphWriter, name: str, tensor: str, mapped: TensorTrainMap) -> str:
    rest = mapped.in_features
    for k, (mode, before) in enumerate(zip(mapped.in_modes, mapped.ranks, strict=False)):
        rest //= mode
        others = rest * math.prod(mapped.out_modes[:k])
        tensor = _reshaped(writer, f"{name}.split{k}", tensor, (-1, mode, others, before))
        tensor = _transposed(writer, f"{name}.rows{k}", tensor, (0, 2, 1, 3))
        tensor = _reshaped(writer, f"{name}.matrix{k}", tensor, (-1, mode * before))
        core = writer.weight(f"{name}.core{k}", *mapped.cores[k])
        tensor = writer.node("MatMul", [tensor, core], f"{name}.mode{k}")
    return _reshaped(writer, f"{name}.whole", tensor, (-1, mapped.out_features))


def _block_term(writer: GraphWriter, name: str, tensor: str, mapped: BlockTermMap) -> str:
    blocks, read, rest = mapped.blocks, mapped.in_modes, mapped.in_features // mapped.in_modes[0]
    first = mapped.out_modes[0] * mapped.rank
    tensor = _reshaped(writer, f"{name}.split0", tensor, (-1, read[0], rest))
    tensor = _transposed(writer, f"{name}.rows0", tensor, (0, 2, 1))
    tensor = _reshaped(writer, f"{name}.matrix0", tensor, (-1, read[0]))
    factor = writer.weight(f"{name}.factor0", read[0], blocks * first)
    tensor = writer.node("MatMul", [tensor, factor], f"{name}.mode0")
    rest //= read[1]
    tensor = _reshaped(writer, f"{name}.split1", tensor, (-1, read[1], rest, blocks, first))
    tensor = _transposed(writer, f"{name}.rows1", tensor, (3, 0, 2, 4, 1))
    for k in range(1, len(read) - 1):
        tensor = _reshaped(writer, f"{name}.matrix{k}", tensor, (blocks, -1, read[k]))
        factor = writer.weight(f"{name}.factor{k}", blocks, read[k], mapped.out_modes[k] * mapped.rank)
        tensor = writer.node("MatMul", [tensor, factor], f"{name}.mode{k}")
        rest //= read[k + 1]
        done = math.prod(mapped.out_modes[: k + 1]) * mapped.rank ** (k + 1)
        tensor = _reshaped(writer, f"{name}.split{k + 1}", tensor, (-1, read[k + 1], rest * done))
        tensor = _transposed(writer, f"{name}.rows{k + 1}", tensor, (0, 2, 1))
    pairs = [size for mode in mapped.out_modes[:-1] for size in (mode, mapped.rank)]
    tensor = _reshaped(writer, f"{name}.apart", tensor, (blocks, -1, *pairs, read[-1]))
    modes, ranks = range(2, 2 + len(pairs), 2), range(3, 2 + len(pairs), 2)
    tensor = _transposed(writer, f"{name}.sides", tensor, (1, *modes, 0, *ranks, 2 + len(pairs)))
    tensor = _reshaped(writer, f"{name}.last", tensor, (-1, mapped.last[0]))
    tensor = writer.node("MatMul", [tensor, writer.weight(f"{name}.cores", *mapped.last)], f"{name}.summed")
    return _reshaped(writer, f"{name}.whole", tensor, (-1, mapped.out_features))


def write_steps(writer: GraphWriter, name: str, tensor: str, layer: Steps) -> str:
    """Writes the steps from frame to frame, and gives back the tensor that holds the last state: ``(b, hidden)``."""
    weight = writer.weight(f"{name}.weight", layer.hidden, layer.gates)
    if layer.cell != "rnn":
        opened = layer.gates - layer.hidden
        writer.constant(f"{name}.parts", np.array([opened, layer.hidden], dtype=np.int64))
    step = {"rnn": _rnn, "gru": _gru, "lstm": _lstm}[layer.cell]
    state: tuple[str, ...] = ()
    for t in range(layer.frames):
        at = writer.constant(f"{name}.at{t}", np.array(t, dtype=np.int64))
        read = writer.node("Gather", [tensor, at], f"{name}.t{t}.read", axis=1)
        state = step(writer, name, f"{name}.t{t}", read, state, weight)
    return state[0]


def write_fused(writer: GraphWriter, name: str, tensor: str, layer: FusedSteps) -> str:
    """Writes the operator of a cell, and gives back the tensor that holds the last state: ``(b, hidden)``."""
    mapped, hidden, gates = layer.mapped, layer.hidden, layer.mapped.out_features
    if isinstance(mapped, LowRankMap):
        tensor = _reshaped(writer, f"{name}.frames", tensor, (-1, mapped.in_features))
        tensor = writer.node(
            "MatMul", [tensor, writer.weight(f"{name}.narrow", mapped.in_features, mapped.rank)], f"{name}.thin"
        )
    tensor = _reshaped(writer, f"{name}.vectors", tensor, (-1, layer.frames, layer.read))
    tensor = _transposed(writer, f"{name}.steps", tensor, (1, 0, 2))
    zero = writer.constant(f"{name}.zero", np.zeros((1, writer.batch, hidden), dtype=np.float32))
    read = [
        tensor,
        writer.weight(f"{name}.read", 1, gates, layer.read),
        writer.weight(f"{name}.held", 1, gates, hidden),
    ]
    read += [writer.weight(f"{name}.bias", 1, 2 * gates), "", zero]
    states = [f"{name}.states", f"{name}.last"]
    common = {"direction": "forward", "hidden_size": hidden, "layout": 0}
    if layer.cell == "lstm":
        _, last = writer.several("LSTM", [*read, zero], states, input_forget=0, **common)
    else:
        _, last = writer.several("GRU", read, states, linear_before_reset=1, **common)
    at = writer.constant(f"{name}.layer", np.array(0, dtype=np.int64))
    return writer.node("Gather", [last, at], f"{name}.state", axis=0)


def _rnn(writer: GraphWriter, _: str, name: str, read: str, state: tuple[str, ...], weight: str) -> tuple[str, ...]:
    mapped = writer.node("Gemm", [state[0], weight, read], f"{name}.gates") if state else read
    return (writer.node("Tanh", [mapped], f"{name}.state"),)


def _gru(writer: GraphWriter, layer: str, name: str, read: str, state: tuple[str, ...], weight: str) -> tuple[str, ...]:
    gates, new = writer.several("Split", [read, f"{layer}.parts"], [f"{name}.gates", f"{name}.new"], axis=1)
    if not state:
        _, update = _opened(writer, name, gates, ("reset", "update"))
        new = writer.node("Tanh", [new], f"{name}.tanh")
        part = writer.node("Mul", [update, new], f"{name}.part")
        return (writer.node("Sub", [new, part], f"{name}.state"),)
    held = writer.node("MatMul", [state[0], weight], f"{name}.held")
    held_gates, held_new = writer.several(
        "Split", [held, f"{layer}.parts"], [f"{name}.held_gates", f"{name}.held_new"], axis=1
    )
    gates = writer.node("Add", [gates, held_gates], f"{name}.all_gates")
    reset, update = _opened(writer, name, gates, ("reset", "update"))
    kept = writer.node("Mul", [reset, held_new], f"{name}.kept")
    new = writer.node("Tanh", [writer.node("Add", [new, kept], f"{name}.sum")], f"{name}.tanh")
    change = writer.node("Sub", [state[0], new], f"{name}.change")
    part = writer.node("Mul", [update, change], f"{name}.part")
    return (writer.node("Add", [new, part], f"{name}.state"),)


def _lstm(
    writer: GraphWriter, layer: str, name: str, read: str, state: tuple[str, ...], weight: str
) -> tuple[str, ...]:
    gates = writer.node("Gemm", [state[0], weight, read], f"{name}.gates") if state else read
    opened, new = writer.several("Split", [gates, f"{layer}.parts"], [f"{name}.opened", f"{name}.new"], axis=1)
    enter, keep, leave = _opened(writer, name, opened, ("enter", "keep", "leave"))
    memory = writer.node("Mul", [enter, writer.node("Tanh", [new], f"{name}.tanh")], f"{name}.entered")
    if state:
        memory = writer.node("Add", [writer.node("Mul", [keep, state[1]], f"{name}.kept"), memory], f"{name}.memory")
    return writer.node("Mul", [leave, writer.node("Tanh", [memory], f"{name}.out")], f"{name}.state"), memory


def _opened(writer: GraphWriter, name: str, gates: str, parts: Sequence[str]) -> list[str]:
    opened = writer.node("Sigmoid", [gates], f"{name}.sigmoid")
    return writer.several("Split", [opened], [f"{name}.{part}" for part in parts], axis=1, num_outputs=len(parts))


def _reshaped(writer: GraphWriter, name: str, tensor: str, shape: Sequence[int]) -> str:
    sizes = writer.constant(f"{name}.shape", np.array(shape, dtype=np.int64))
    return writer.node("Reshape", [tensor, sizes], name, allowzero=1)


def _transposed(writer: GraphWriter, name: str, tensor: str, order: Sequence[int]) -> str:
    return writer.node("Transpose", [tensor], name, perm=list(order))
