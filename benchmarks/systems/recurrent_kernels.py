"""How ONNX Runtime executes the steps of an LSTM: written one after another, as a Scan, or by its own operator.

All read what was made of eight frames, so nothing but the steps is timed; the runtime's operator, which takes frames
and a dense matrix, is given one as large as the identity that would pass them on. Beside them that operator and the
steps over frames of 1,024 numbers with a dense map. One thread of this CPU, all side by side in shuffled rounds,
milliseconds.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hwnas.networks.factorised import DenseMap
from hwnas.networks.graph_writer import GraphWriter
from hwnas.networks.sequence_graph import write_project, write_steps
from hwnas.networks.sequences import Project, Steps
from profilers import OnnxWorkload, open_device, time_networks

FRAMES, READ, STATES = 8, 1024, (32, 64, 128, 256)
_RNG = np.random.default_rng(0)


def serialised(
    nodes: list[onnx.NodeProto],
    weights: list[onnx.TensorProto],
    *,
    read: tuple[str, list[int]],
    written: tuple[str, list[int]],
) -> bytes:
    first, last = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (read, written))
    graph = helper.make_graph(nodes, "steps", [first], [last], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return bytes(model.SerializeToString())


def weight(name: str, *shape: int) -> onnx.TensorProto:
    return numpy_helper.from_array((0.05 * _RNG.standard_normal(shape)).astype(np.float32), name)


def written_out(state: int, *, dense: bool) -> bytes:
    """Steps one after another, as networks of the space have them."""
    writer, tensor = GraphWriter(_RNG), "x"
    if dense:
        mapped = DenseMap(in_features=READ, out_features=4 * state)
        tensor = write_project(writer, "map", tensor, Project(frames=FRAMES, mapped=mapped))
    last = write_steps(writer, "steps", tensor, Steps(cell="lstm", frames=FRAMES, hidden=state))
    read = ("x", [1, FRAMES, READ if dense else 4 * state])
    return serialised(writer.nodes, writer.weights, read=read, written=(last, [1, state]))


def scanned(state: int) -> bytes:
    """The same step as the body of a Scan."""
    writer = GraphWriter(_RNG)
    one = "body.t1"  # the second step: it has a state
    write_steps(writer, "body", "x", Steps(cell="lstm", frames=2, hidden=state))
    nodes = [node for node in writer.nodes if node.output[0].startswith(one) and node.op_type != "Gather"]
    renamed = {f"{one}.read": "read", "body.t0.state": "held", "body.t0.entered": "memory"}
    for node in nodes:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    ends = (("held", state), ("memory", state), ("read", 4 * state), (f"{one}.state", state), (f"{one}.memory", state))
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size]) for name, size in ends]
    body = helper.make_graph(nodes, "step", values[:3], values[3:], writer.weights)
    zero = numpy_helper.from_array(np.zeros((1, state), dtype=np.float32), "zero")
    scan = helper.make_node("Scan", ["zero", "zero", "x"], ["h", "c"], body=body, num_scan_inputs=1)
    return serialised([scan], [zero], read=("x", [FRAMES, 1, 4 * state]), written=("h", [1, state]))


def operator(state: int, *, read: int) -> bytes:
    """The runtime's own operator."""
    weights = [weight("w", 1, 4 * state, read), weight("r", 1, 4 * state, state), weight("b", 1, 8 * state)]
    node = helper.make_node("LSTM", ["x", "w", "r", "b"], ["", "h", ""], hidden_size=state)
    return serialised([node], weights, read=("x", [FRAMES, 1, read]), written=("h", [1, 1, state]))


def main() -> None:
    models: dict[str, bytes] = {}
    for state in STATES:
        models[f"{state} steps"] = written_out(state, dense=False)
        models[f"{state} scan"] = scanned(state)
        models[f"{state} operator"] = operator(state, read=4 * state)
        models[f"{state} dense steps"] = written_out(state, dense=True)
        models[f"{state} dense operator"] = operator(state, read=READ)
    workloads = [OnnxWorkload(name=name, model=model, parts={}) for name, model in models.items()]
    with tempfile.TemporaryDirectory(prefix="hwnas-") as folder:
        timed = time_networks(workloads, backend=open_device("cpu"), out=Path(folder, "timed"))
    names = ("steps", "scan", "operator", "dense steps", "dense operator")
    print(
        "| state | one after another | Scan | LSTM operator, identity | dense map, one after another | LSTM operator |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for state in STATES:
        cells = (f"{timed[f'{state} {name}'].row.timing.latency_ms:.4f}" for name in names)
        print(f"| {state} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
