"""The batch of a model: what the model says, and nothing it does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from profilers import ModelError
from profilers.batches import batch_axis, batch_of
from profilers.models import prepared

Shape = Sequence[int | str]


def model_of(*inputs: Shape, outputs: Sequence[Shape] = (), nodes: Sequence[onnx.NodeProto] = ()) -> onnx.ModelProto:
    """Inputs x0, x1, …; what is computed from them is of no account unless nodes are given."""
    ends = [
        [helper.make_tensor_value_info(f"{side}{i}", TensorProto.FLOAT, shape) for i, shape in enumerate(shapes)]
        for side, shapes in (("x", inputs), ("y", outputs))
    ]
    plain = [helper.make_node("Relu", ["x0"], ["y0"])]
    return helper.make_model(helper.make_graph(nodes or plain, "g", *ends), opset_imports=[helper.make_opsetid("", 18)])


def batch(model: onnx.ModelProto, **options: Any) -> int | None:
    return batch_of(model, onnx.load_from_string(prepared(model, **options)))


def recurrent(kind: str = "LSTM", **attributes: int) -> onnx.NodeProto:
    return helper.make_node(kind, ["x0", "w", "r", "", "", "x1"], ["y0"], hidden_size=8, **attributes)


@given(st.integers(1, 4096))
def test_an_open_first_axis_has_the_batch_that_is_asked_for(wanted: int) -> None:
    for shape in (("n", 3, 8, 8), ("", 16), (-1, 16), ("n",), ("batch_size", 8)):
        assert batch(model_of(shape), batch=wanted) == wanted


def test_an_axis_that_is_called_batch_is_the_batch_wherever_it_stands() -> None:
    model = model_of(("seq", "batch", 8))
    assert batch_axis(model.graph.input[0], model.graph) == 1
    assert batch(model, shapes={"x0": (50, 2, 8)}) == 2


@pytest.mark.parametrize("name", ["seq", "sequence_length", "T_time", "src_len", "num_tokens"])
def test_an_open_axis_that_is_called_after_a_sequence_is_never_filled_with_the_batch(name: str) -> None:
    model = model_of((name, 2, 8))
    with pytest.raises(ModelError, match=f"input 'x0' has shape {name}x2x8: expected fixed sizes. Give them with"):
        prepared(model, batch=4)
    assert batch(model, shapes={"x0": (50, 2, 8)}) is None


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
def test_a_recurrent_operator_says_which_axis_is_its_batch(kind: str) -> None:
    fixed, state = (50, 2, 8), (1, 2, 8)
    assert batch(model_of(fixed, state, nodes=[recurrent(kind)])) == 2
    assert batch(model_of((2, 50, 8), (2, 1, 8), nodes=[recurrent(kind, layout=1)])) == 2
    half_open = model_of((50, "n", 8), (1, "n", 8), nodes=[recurrent(kind)])
    assert batch(half_open, batch=3) == 3
    with pytest.raises(ModelError, match="x0"):
        prepared(model_of(("n", 2, 8), state, nodes=[recurrent(kind)]), batch=3)


@pytest.mark.parametrize(
    ("inputs", "outputs", "found"),
    [
        ([(8, 3, 32, 32)], [(8, 10)], 8),
        ([(8, 3, 32, 32), (8, 5)], [(8, 10)], 8),
        ([(8, 3, 32, 32), (5,)], [(8, 10), ()], 8),  # what has one axis or none has no batch to tell
        ([(8, 16)], [(8, 4)], 8),
        ([(50, 2, 8)], [(50, 2, 8)], None),  # eight sequences or a sequence of eight
        ([(50, 2)], [(50, 2, 8)], None),
        ([(50, 2, 8)], [(2, 10)], None),
        ([(50, 2, 8), (30, 2, 8)], [(30, 2, 8)], None),
        ([(8, 16), (4, 16)], [(8, 4)], None),
        ([(16,)], [(16,)], None),
        ([()], [()], None),
    ],
)
def test_of_fixed_sizes_the_batch_is_what_everything_begins_with(
    inputs: list[Shape], outputs: list[Shape], found: int | None
) -> None:
    assert batch(model_of(*inputs, outputs=outputs)) == found


def test_the_user_is_believed_where_the_model_does_not_contradict() -> None:
    model = model_of((8, 128, 64), outputs=[(8, 128, 64)])
    ready = onnx.load_from_string(prepared(model))
    assert [batch_of(model, ready, told=told) for told in (None, 8, 128, 1)] == [None, 8, None, None]


def test_inputs_that_are_given_different_batches_have_none() -> None:
    model = model_of(("n", 8), ("m", 8))
    assert batch(model, batch=4) == 4
    assert batch(model, shapes={"x0": (2, 8), "x1": (3, 8)}) is None


def test_weights_among_the_inputs_have_no_say() -> None:
    model = model_of((8, 16), (5, 16))
    model.graph.initializer.append(helper.make_tensor("x1", TensorProto.FLOAT, (5, 16), [0.0] * 80))
    assert batch(model) == 8
