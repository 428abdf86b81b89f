"""An ONNX graph as it is being written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper


@dataclass
class GraphWriter:
    """Collects nodes and weights; every tensor's name begins with the part it belongs to.

    Attributes:
        rng: Draws the weights.
        batch: Images a run.
        nodes: In order of execution.
        weights: In the order in which they were named.
        written: What a node does, to the name of its output.
    """

    rng: np.random.Generator
    batch: int = 1
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    written: dict[str, str] = field(default_factory=dict)

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Adds a node, unless the same was computed before, and names the tensor that holds its result."""
        what = f"{kind} {inputs} {attributes}"
        if what not in self.written:
            self.nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
            self.written[what] = output
        return self.written[what]

    def several(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> list[str]:
        """Adds a node that writes several tensors, and gives back their names."""
        self.nodes.append(helper.make_node(kind, inputs, outputs, outputs[0], **attributes))
        return outputs

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Adds a tensor of known values."""
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, name: str, *shape: int) -> str:
        """Adds a tensor of random values."""
        return self.constant(name, (0.05 * self.rng.standard_normal(shape)).astype(np.float32))
