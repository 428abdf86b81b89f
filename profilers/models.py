"""ONNX models made ready to be measured: fixed shapes, a name for every node, one kernel or one block cut out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import psutil
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import load_external_data_for_model

from profilers.batches import batch_axis, is_open, model_inputs
from profilers.deciding import FLOATS, WHOLE, deciding, is_enough
from profilers.errors import CampaignError, ModelError
from profilers.kernels import TensorType

_CODES = {str(TensorProto.DataType.Name(code)).lower(): code for code in FLOATS | WHOLE}
_MULTIPLYING = {
    "Conv",
    "FusedConv",
    "QLinearConv",
    "ConvInteger",
    "Gemm",
    "FusedGemm",
    "QGemm",
    "MatMul",
    "FusedMatMul",
}
_MACS_PER_US, _NUMBERS_PER_US = 20_000, 2_000  # one core of a desktop or server, roughly
_COPIES = ((16, 10.0), (8, 40.0), (4, 400.0))  # so many copies of a kernel with less work than so many microseconds
_SENTINELS_ON_A_GPU = 16  # one alone is ten ticks of an event and shorter than its launch
_FEWEST, _MOST_NUMBERS = 2, 2**27
_PAGE, _LINE = 4096, 64  # bytes
_LONGEST = 2**31 - 1
_LARGEST = 2**31  # bytes: what protobuf can hold in one piece


def load_model(path: str | Path) -> onnx.ModelProto:
    """Reads an ONNX file, weights beside it included.

    Raises:
        ModelError: The file is no ONNX model, or its weights are missing.
        OSError: The file cannot be read.
    """
    file = Path(path)
    if file.is_dir():
        raise ModelError(f"{file} is a folder: expected an .onnx file")
    if not file.exists():
        raise ModelError(f"there is no file {file}: expected an .onnx file")
    if not file.is_file():
        raise ModelError(f"{file} is no regular file: expected an .onnx file")
    cure = "Export it again"
    try:
        _require_small(file, file.stat().st_size)
        model = onnx.load(str(file), load_external_data=False)
        _require_small(file, file.stat().st_size + _beside(model.graph))
        cure = "Put the files with its weights beside it, as they were exported, or export it again"
        load_external_data_for_model(model, str(file.parent))
    except (OSError, ModelError):
        raise
    except Exception as error:  # protobuf's errors and onnx's share no base class
        raise ModelError(f"{file} is no readable ONNX model: {_first_line(error).rstrip('.')}. {cure}.") from error
    if not model.graph.node:
        raise ModelError(f"{file} is no readable ONNX model: it has no nodes. Export it again.")
    return model


def _require_small(file: Path, size: int) -> None:
    if size > _LARGEST:
        raise ModelError(
            f"{file} has {size} bytes, weights beside it included: models over 2 GiB cannot be measured. "
            "Measure parts of it, or a smaller precision."
        )


def _beside(graph: onnx.GraphProto) -> int:
    """Bytes of the weights that lie in other files."""
    return sum(int(one.value) for weight in graph.initializer for one in weight.external_data if one.key == "length")


def parse_model(content: bytes) -> onnx.ModelProto:
    """An ONNX model from its bytes.

    Raises:
        ModelError: They are none.
    """
    try:
        model = onnx.load_from_string(content)
    except Exception as error:  # as above
        raise ModelError(f"expected a serialised ONNX model, received {len(content)} bytes that are none") from error
    if not model.graph.node:
        raise ModelError(f"expected a serialised ONNX model, received {len(content)} bytes without a node")
    return model


def prepared(
    model: onnx.ModelProto,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int = 1,
    by_output: bool = False,
) -> bytes:
    """The model with every input at a fixed shape and every node with a name of its own.

    Args:
        model: Any ONNX model; not changed.
        shapes: Shapes of inputs, by name; needed for those with open sizes other than the batch.
        batch: Size of an open batch axis; see ``profilers.batches``.
        by_output: Whether nodes are called after what they write, whatever they are called: tensors tell the parts of a
            network, and exporters name nodes as they like.

    Raises:
        CampaignError: A shape is given for no input, or does not fit it.
        ModelError: An input has open sizes and no shape was given.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    inputs = model_inputs(copy.graph)
    unknown = sorted(set(shapes or {}) - {value.name for value in inputs})
    if unknown:
        names = ", ".join(value.name for value in inputs) or "none"
        raise CampaignError(f"a shape is given for {unknown[0]!r}, but the model's inputs are {names}")
    axes = {value.name: batch_axis(value, copy.graph) for value in inputs}
    changed = [_fix(value, (shapes or {}).get(value.name), batch, axes[value.name]) for value in inputs]
    if any(changed):
        del copy.graph.value_info[:]  # shapes between the nodes follow from the inputs'
        for value in copy.graph.output:
            for size in value.type.tensor_type.shape.dim:
                size.Clear()
    _name_nodes(copy.graph, set(), by_output=by_output)
    return bytes(copy.SerializeToString())


def settled(model: bytes) -> bytes:
    """The model with every size fixed, for one image a run; as it is where none is open.

    Raises:
        ModelError: It is none, or an input has other open sizes than the batch.
    """
    parsed = parse_model(model)
    sizes = [size for value in model_inputs(parsed.graph) for size in value.type.tensor_type.shape.dim]
    return prepared(parsed) if any(is_open(size) for size in sizes) else model


def _fix(value: onnx.ValueInfoProto, wanted: Sequence[int] | None, batch: int, axis: int | None) -> bool:
    """Gives an input its fixed shape; tells whether that changed it."""
    if not value.type.HasField("tensor_type"):
        raise ModelError(f"input {value.name!r} is no tensor: models with sequences or maps cannot be measured")
    tensor = value.type.tensor_type
    if wanted is not None and not tensor.HasField("shape"):
        tensor.shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in wanted)
    found = [None if is_open(size) or not size.dim_value else size.dim_value for size in tensor.shape.dim]
    names = [str(size.dim_value) if size.HasField("dim_value") else size.dim_param or "?" for size in tensor.shape.dim]
    if wanted is None:
        sizes = [
            batch if place == axis and is_open(tensor.shape.dim[place]) else one for place, one in enumerate(found)
        ]
    elif len(wanted) != len(found) or any(b not in {None, a} for a, b in zip(wanted, found, strict=True)):
        given = "x".join(map(str, wanted))
        raise CampaignError(f"shape {given} does not fit input {value.name!r} of shape {'x'.join(names)}")
    else:
        sizes = [int(size) for size in wanted]
    if any(size is not None and size > _LONGEST for size in sizes):
        raise CampaignError(
            f"no input is as large as {max(size or 0 for size in sizes)} in one direction: {value.name!r}"
        )
    if not tensor.HasField("shape") or any(size is None or size < 1 for size in sizes):
        raise _unfixed(value.name, names, found)
    for size, fixed in zip(tensor.shape.dim, sizes, strict=True):
        size.Clear()
        size.dim_value = fixed or 1
    return sizes != found


def require_fixed(model: onnx.ModelProto) -> None:
    """Refuses a model with inputs of open sizes, which some runtimes would fill in as they like.

    Raises:
        ModelError: It has one.
    """
    for value in model_inputs(model.graph):
        sizes = value.type.tensor_type.shape.dim
        if any(is_open(size) for size in sizes):
            found = [None if is_open(size) else size.dim_value for size in sizes]
            raise _unfixed(value.name, [size.dim_param or str(size.dim_value or "?") for size in sizes], found)


def _unfixed(name: str, shown: Sequence[str], sizes: Sequence[int | None]) -> ModelError:
    example = "1x3x224x224" if len(sizes) in {0, 4} else "x".join(str(size or 1) for size in sizes)
    return ModelError(
        f"input {name!r} has shape {'x'.join(shown) or 'unknown'}: expected fixed sizes. "
        f"Give them with `--shape {name}={example}`."
    )


def _name_nodes(graph: onnx.GraphProto, seen: set[str], *, by_output: bool) -> None:
    """A runtime's profile tells nodes apart by name alone, those in branches included."""
    for index, node in enumerate(graph.node):
        written = next((name for name in node.output if name), f"{node.op_type}_{index}")
        base = written if by_output else node.name or written
        name = base
        while name in seen:
            name = f"{name}_{index}"
        node.name = name
        seen.add(name)
        for attribute in node.attribute:
            for branch in (attribute.g, *attribute.graphs):
                _name_nodes(branch, seen, by_output=by_output)


def random_feeds(
    inputs: Iterable[tuple[str, str, Sequence[object]]], *, seed: int = 0
) -> dict[str, NDArray[np.generic]]:
    """Input values: normal for floating point, zero for whole numbers and truth values.

    Zero is the one index that every table has. Values of ``bfloat16`` come as the type numpy borrows for it.

    Args:
        inputs: Name, element type as ONNX names it in lower case (``"float"``, ``"int64"``), and shape of each.
        seed: Of the values, and of where in memory they lie.

    Raises:
        ModelError: An input's type or shape is not one that can be made up.
    """
    rng = np.random.default_rng(seed)
    feeds: dict[str, NDArray[np.generic]] = {}
    for name, element, shape in inputs:
        code, shown = _CODES.get(element), "x".join(map(str, shape))
        if code is None:
            raise ModelError(
                f"input {name!r} is {element}[{shown}]: expected a tensor of numbers. Values of other kinds cannot be "
                "made up: export the model from where it has numbers."
            )
        if not all(isinstance(size, int) and size > 0 for size in shape):
            raise ModelError(
                f"input {name!r} is {element}[{shown}]: expected a tensor of numbers with fixed sizes. "
                f"Give open sizes with `--shape {name}=1x3x224x224`."
            )
        sizes = tuple(int(str(size)) for size in shape)
        needed_mib = 16 * math.prod(sizes) // 2**20  # doubles to draw from, and a copy
        if needed_mib > psutil.virtual_memory().available // 2**20:
            raise ModelError(
                f"input {name!r} would take {needed_mib} MiB of memory, which this machine has not to spare"
            )
        random = rng.standard_normal(sizes) if code in FLOATS else np.zeros(sizes)
        feeds[name] = _placed(random.astype(helper.tensor_dtype_to_np_dtype(code)), rng)
    return feeds


def _placed(values: NDArray[np.generic], rng: np.random.Generator) -> NDArray[np.generic]:
    """A copy that begins at a random cache line of a page."""
    room = np.empty(values.nbytes + 2 * _PAGE, dtype=np.uint8)
    start = -room.ctypes.data % _PAGE + _LINE * int(rng.integers(_PAGE // _LINE))
    copy = room[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


def graph_feeds(model: onnx.ModelProto, *, seed: int = 0) -> dict[str, NDArray[np.generic]]:
    """Input values of a model with fixed shapes; see ``random_feeds``.

    Raises:
        ModelError: An input's type or shape is not one that can be made up.
    """
    inputs = []
    for value in model_inputs(model.graph):
        tensor = value.type.tensor_type
        sizes = [size.dim_value or size.dim_param or "?" for size in tensor.shape.dim]
        element = str(TensorProto.DataType.Name(tensor.elem_type)).lower()
        inputs.append((value.name, element, sizes))
    return random_feeds(inputs, seed=seed)


def kernel_model(
    node: onnx.NodeProto,
    model: onnx.ModelProto,
    types: Mapping[str, TensorType],
) -> bytes | None:
    """A model of one node of an optimised graph, with its weights.

    Args:
        node: The node.
        model: The optimised graph it is from.
        types: Type of every tensor.

    Returns:
        The model; ``None`` when the runtime did not tell the type of a tensor the node reads or writes, or when how
        much the node computes depends on a value that it gets while the network runs.
    """
    weights = {weight.name: weight for weight in model.graph.initializer}
    read = [name for name in dict.fromkeys(node.input) if name and name not in weights]
    written = [name for name in node.output if name]
    if any(name not in types for name in [*read, *written]) or not written:
        return None
    if any(name in read and not is_enough(node, _CODES.get(types[name].element, 0)) for name in deciding(node)):
        return None
    graph = helper.make_graph(
        [node],
        "kernel",
        [_value(name, types[name]) for name in read],
        [_value(name, types[name]) for name in written],
        [weights[name] for name in dict.fromkeys(node.input) if name in weights],
    )
    alone = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    return bytes(alone.SerializeToString())


def copied(kernel: bytes, copies: int, *, overwrites: int | None = None) -> bytes:
    """The model of a kernel several times over, each with weights of its own; all read the same input.

    Weights are not shared, so that they come from as far away in the memory as those of a real network's next layer,
    and not from the nearest cache every time. A kernel that writes over an input gets there what the copy before it
    wrote, and the first copy does without: a runtime never writes over what it was given from outside.

    Args:
        kernel: A model from ``kernel_model``.
        copies: How often its node is to stand in it.
        overwrites: Input that the kernel writes its output over.
    """
    if copies == 1:
        return kernel
    model = onnx.load_from_string(kernel)
    graph = model.graph
    (node,) = graph.node
    weights, written = list(graph.initializer), set(node.output)
    held_names = {weight.name for weight in weights}
    own = [name for name in (*node.input, *node.output) if name and (name in written or name in held_names)]
    for copy in range(1, copies):
        names = {name: f"{name}#{copy}" for name in own}
        twin = graph.node.add()
        twin.CopyFrom(node)
        twin.name = f"{node.name}#{copy}"
        twin.input[:] = [names.get(one, one) for one in node.input]
        twin.output[:] = [names.get(one, one) for one in node.output]  # nobody reads it, so nobody hands it over
        for weight in weights:
            held = graph.initializer.add()
            held.CopyFrom(weight)
            held.name = names[weight.name]
    if overwrites is not None:
        _chain(graph, overwrites)
    return bytes(model.SerializeToString())


def _chain(graph: onnx.GraphProto, at: int) -> None:
    """Lets each node read at one input what the node before wrote; the first leaves that input, the last, out."""
    nodes = list(graph.node)
    given = nodes[0].input[at]
    for before, node in itertools.pairwise(nodes):
        node.input[at] = before.output[0]
    del nodes[0].input[at:]
    graph.output[0].name = nodes[-1].output[0]
    read = {name for node in nodes for name in node.input}
    for value in [value for value in graph.input if value.name == given and given not in read]:
        graph.input.remove(value)


def copies_for(node: onnx.NodeProto, types: Mapping[str, TensorType], *, least: int = 1) -> int:
    """How often a kernel is put side by side: often where it is short, so that a call takes long enough to be timed.

    Decided by counting, not by timing, so that it is the same every time.

    Args:
        node: The kernel.
        types: Type of every tensor.
        least: So often at the least, where that fits into one model.
    """
    shapes = [types[name].shape for name in node.input if name in types]
    written = sum(math.prod(types[name].shape) for name in node.output if name in types)
    filters = [shape for shape in shapes[1:] if len(shape) > 1] if node.op_type in _MULTIPLYING else []
    macs = written * max((math.prod(shape) // max(shape[0], 1) for shape in filters), default=0)
    moved = written + sum(math.prod(shape) for shape in shapes)
    if sum(map(math.prod, shapes[1:])) > _MOST_NUMBERS:  # such weights twice would not fit into one model
        return 1
    work_us = macs / _MACS_PER_US + moved / _NUMBERS_PER_US
    return max(least, next((copies for copies, limit_us in _COPIES if work_us < limit_us), _FEWEST))


def block_models(content: bytes, parts: Mapping[str, str]) -> dict[str, bytes]:
    """Every part of a network as a model of its own, by the key of its block.

    Args:
        content: Serialised model whose tensors begin with the prefix of their part and a slash.
        parts: Prefix to key.

    Raises:
        ModelError: The shapes between the parts cannot be inferred.
    """
    if len(parts) == 1:  # whatever its tensors are called
        return dict.fromkeys(parts.values(), content)
    model = onnx.shape_inference.infer_shapes(parse_model(content))
    values = {v.name: v for v in (*model.graph.input, *model.graph.value_info, *model.graph.output)}
    weights = {weight.name: weight for weight in model.graph.initializer}
    found: dict[str, bytes] = {}
    for prefix, key in parts.items():
        nodes = [node for node in model.graph.node if node.output[0].partition("/")[0] == prefix]
        if not nodes or key in found:
            continue
        made = {name for node in nodes for name in node.output}
        read = dict.fromkeys(name for node in nodes for name in node.input if name and name not in made)
        after = {name for node in model.graph.node if node not in nodes for name in node.input}
        ends = after | {value.name for value in model.graph.output}
        try:
            graph = helper.make_graph(
                nodes,
                "block",
                [values[name] for name in read if name not in weights],
                [values[name] for name in dict.fromkeys(n for node in nodes for n in node.output) if name in ends],
                [weights[name] for name in read if name in weights],
            )
        except KeyError as error:
            raise ModelError(
                f"the shape of tensor {error} cannot be inferred: expected a model with fixed shapes"
            ) from error
        block = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
        found[key] = bytes(block.SerializeToString())
    return found


def floor_model() -> bytes:
    """The least a runtime can be called for: one number through one node that no optimiser removes."""
    return _in_a_row("Relu", [1])


def sentinel_model(device: str = "cpu", *, channels: int = 32, pixels: int = 16) -> bytes:
    """A small convolution whose time tells how fast the device is at this moment; on a GPU, many in a row.

    Args:
        device: ``"cpu"`` or ``"gpu"``.
        channels: Read and written.
        pixels: A side.
    """
    length = _SENTINELS_ON_A_GPU if device == "gpu" else 1
    weights = 0.05 * np.random.default_rng(0).standard_normal((channels, channels, 3, 3))
    return _in_a_row("Conv", [1, channels, pixels, pixels], length, weights.astype(np.float32), pads=[1] * 4)


def _in_a_row(
    kind: str, shape: list[int], length: int = 1, weights: NDArray[np.float32] | None = None, **attributes: Any
) -> bytes:
    """A node, or several of a kind, each on the output of the one before it; weights and shapes are the same."""
    held = [] if weights is None else [numpy_helper.from_array(weights, "p/weight")]
    names = ["image", *(f"p/out{i}" for i in range(1, length)), "p/out"]
    nodes = [
        helper.make_node(
            kind, [names[i], *(one.name for one in held)], [names[i + 1]], f"p/node{i or ''}", **attributes
        )
        for i in range(length)
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", "p/out")]
    graph = helper.make_graph(nodes, kind.lower(), ends[:1], ends[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


def _value(name: str, found: TensorType) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.DataType.Value(found.element.upper()), found.shape)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
