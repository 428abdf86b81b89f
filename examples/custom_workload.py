"""Blocks of one's own in a latency table: a convolution and its activation at three widths."""

import sys

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import profilers


def network(width: int) -> profilers.OnnxWorkload:
    weight = numpy_helper.from_array(np.full((width, 8, 3, 3), 0.01, np.float32), "mine/weight")
    nodes = [
        helper.make_node("Conv", ["image", "mine/weight"], ["mine/conv"], pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["mine/conv"], ["mine/out"]),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, 16, 16])
        for name, channels in (("image", 8), ("mine/out", width))
    ]
    graph = helper.make_graph(nodes, "mine", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return profilers.OnnxWorkload(f"net-{width}", model.SerializeToString(), {"mine": f"mine(width={width})"})


def main(out: str) -> None:
    networks = [network(width) for width in (8, 16, 32)]
    settings = profilers.CampaignSettings(space="mine", steps=False)
    table = profilers.profile(networks, networks, backend=profilers.open_device("cpu"), out=out, settings=settings)
    for key in table.blocks:
        print(f"{key}: {table.block_cost(key)[0]:.5f} ms")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "mine.jsonl")
