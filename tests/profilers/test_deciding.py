"""Inputs whose values decide how much is computed: found, given by the user, and never made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from profilers import CampaignError, CampaignSettings, MeasuringProtocol, ModelError, OnnxRuntimeBackend, profile_model
from profilers.deciding import deciding_inputs, value_notes, with_values
from profilers.kernels import TensorType
from profilers.models import kernel_model

INT64, BOOL, FLOAT = TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT
Ends = Mapping[str, tuple[int, Sequence[int | str]]]
QUICK = MeasuringProtocol(
    warmup_runs=1, timed_runs=4, least_runs=2, budget_ms=50.0, rounds=2, most_rounds=2, sentinel_runs=4
)


def model_of(nodes: Sequence[onnx.NodeProto], inputs: Ends, outputs: Ends, *, ir_version: int = 10) -> onnx.ModelProto:
    ends = [
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in group.items()]
        for group in (inputs, outputs)
    ]
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(helper.make_graph(nodes, "g", *ends), opset_imports=opsets, ir_version=ir_version)


def node(kind: str, *read: str, **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(kind, read, ["y"], **attributes)


def top(
    *between: onnx.NodeProto, k: str = "k", kind: int = INT64, shape: Sequence[int | str] = (1,)
) -> onnx.ModelProto:
    nodes = [*between, helper.make_node("TopK", ["x", k], ["v", "i"])]
    inputs: Ends = {"x": (FLOAT, (1, 1000)), "k": (kind, shape)}
    return model_of(nodes, inputs, {"v": (FLOAT, (1, "n")), "i": (INT64, (1, "n"))})


DECIDING: dict[str, tuple[onnx.NodeProto, str]] = {
    "repeats": (node("Tile", "x", "a"), "a"),
    "a shape": (node("Reshape", "x", "a"), "a"),
    "a shape to fill": (node("ConstantOfShape", "a"), "a"),
    "a shape to grow to": (node("Expand", "x", "a"), "a"),
    "a limit": (node("Range", "b", "a", "b"), "a"),
    "where a slice ends": (node("Slice", "x", "b", "a"), "a"),
    "a size": (node("Resize", "x", "", "", "a"), "a"),
    "rounds": (node("Loop", "a", ""), "a"),
    "a condition": (node("Compress", "x", "a", axis=0), "a"),
    "a depth": (node("OneHot", "x", "a", "b"), "a"),
    "what is not zero": (node("NonZero", "a"), "a"),
    "a divisor": (node("Div", "b", "a"), "a"),
}


@pytest.mark.parametrize("what", DECIDING)
def test_an_input_that_decides_how_much_is_computed_is_found_with_its_operator(what: str) -> None:
    made, name = DECIDING[what]
    inputs: Ends = {"x": (FLOAT, (4, 4)), "a": (INT64, (2,)), "b": (INT64, (2,))}
    found = deciding_inputs(model_of([made], inputs, {"y": (FLOAT, ("n",))}))
    assert found[name] == made.op_type
    assert "x" not in found


@pytest.mark.parametrize(
    "made",
    [
        node("Gather", "x", "a"),
        node("Where", "b", "x", "x"),
        node("Add", "a", "a"),
        node("Tile", "x", "a", domain="somebody.elses"),
        node("Div", "a", "x"),
        node("NonZero", "x"),  # random numbers with a fraction are not zero
    ],
    ids=lambda made: f"{made.domain}{made.op_type}",
)
def test_indices_masks_and_summands_decide_nothing(made: onnx.NodeProto) -> None:
    inputs: Ends = {"x": (FLOAT, (4, 4)), "a": (INT64, (2,)), "b": (BOOL, (4, 4))}
    assert deciding_inputs(model_of([made], inputs, {"y": (FLOAT, ("n",))})) == {}


def test_a_number_is_followed_through_arithmetic_and_into_branches() -> None:
    cast = helper.make_node("Cast", ["k"], ["c"], to=INT64)
    more = helper.make_node("Add", ["c", "c"], ["d"])
    assert deciding_inputs(top(cast, more, k="d")) == {"k": "TopK"}
    branch = top().graph
    del branch.input[:]
    chosen = model_of(
        [node("If", "c", then_branch=branch, else_branch=branch)],
        {"c": (BOOL, ()), "x": (FLOAT, (1, 1000)), "k": (INT64, (1,))},
        {"y": (FLOAT, ("n",))},
    )
    assert deciding_inputs(chosen) == {"k": "TopK"}


def test_without_its_value_an_input_is_refused_with_the_option_that_gives_it() -> None:
    with pytest.raises(ModelError, match=r"value of input 'k' \(TopK asks for its value\), .* `--value k=10`"):
        with_values(top(), {})


def test_all_that_lacks_a_value_is_told_at_once() -> None:
    inputs: Ends = dict.fromkeys("abc", (INT64, ()))
    with pytest.raises(ModelError, match="`--value a=10 --value c=10`"):
        with_values(model_of([node("Range", "a", "b", "c")], inputs, {"y": (INT64, ("n",))}), {"b": [1]})


def test_a_value_for_what_decides_nothing_is_refused_with_what_does() -> None:
    with pytest.raises(CampaignError, match=r"a value is given for 'x', but the inputs whose values count are: k"):
        with_values(top(), {"x": [1], "k": [1]})
    with pytest.raises(CampaignError, match="are: none of this model's"):
        with_values(model_of([node("Relu", "x")], {"x": (FLOAT, (1,))}, {"y": (FLOAT, (1,))}), {"k": [1]})


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_value_becomes_a_constant_as_it_was_given(number: int) -> None:
    model = top()
    before = model.SerializeToString()
    made = with_values(model, {"k": [number]})
    assert [value.name for value in made.graph.input] == ["x"]
    np.testing.assert_array_equal(numpy_helper.to_array(made.graph.initializer[0]), [number])
    assert model.SerializeToString() == before
    onnx.checker.check_model(made)


def tile(shape: Sequence[int | str], *, ir_version: int = 10) -> onnx.ModelProto:
    inputs: Ends = {"x": (FLOAT, (2, 3)), "r": (INT64, shape)}
    return model_of([node("Tile", "x", "r")], inputs, {"y": (FLOAT, ("n", "m"))}, ir_version=ir_version)


@pytest.mark.parametrize(
    ("shape", "given_values", "held"),
    [((2,), [3], [3, 3]), ((2,), [3, 4], [3, 4]), (("n",), [3, 4], [3, 4]), ((-1,), [5], [5])],
)
def test_one_number_is_for_every_element(shape: Sequence[int], given_values: list[float], held: list[int]) -> None:
    made = with_values(tile(shape), {"r": given_values})
    np.testing.assert_array_equal(numpy_helper.to_array(made.graph.initializer[0]), held)


def test_a_model_of_the_first_versions_lists_its_constants_among_its_inputs() -> None:
    assert [value.name for value in with_values(tile((2,), ir_version=3), {"r": [1]}).graph.input] == ["x", "r"]


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        (tile((2,)), {"r": [1, 2, 3]}, "expected 1 or 2 values for input 'r' of shape 2, received 3: 1,2,3"),
        (tile((2,)), {"r": [1.5]}, r"input 'r' holds int64, which 1\.5 is not: give whole numbers"),
        (top(kind=TensorProto.UINT8), {"k": [300]}, "input 'k' holds uint8, which 300 is not"),
        (top(kind=TensorProto.BOOL), {"k": [2]}, "input 'k' holds bool, which 2 is not"),
    ],
)
def test_values_that_do_not_fit_are_refused(
    model: onnx.ModelProto, values: dict[str, list[float]], message: str
) -> None:
    with pytest.raises(CampaignError, match=message):
        with_values(model, values)


def test_what_depends_on_values_is_noted() -> None:
    model = model_of([node("NonZero", "x")], {"x": (FLOAT, (4,))}, {"y": (INT64, (1, "n"))})
    assert value_notes(model, {}) == ("how much is computed depends on values (NonZero): these are for random ones",)
    branch = helper.make_graph([helper.make_node("Relu", ["x"], ["z"])], "b", [], [])
    choice = node("If", "c", then_branch=branch, else_branch=branch)
    chosen = model_of([choice], {"c": (BOOL, ()), "x": (FLOAT, (4,))}, {"y": (FLOAT, (4,))})
    assert value_notes(chosen, {}) == ("which branch is taken depends on c: this is for false",)
    assert value_notes(top(), {"k": [3]}) == ("k is 3",)


def test_the_value_that_is_given_is_the_one_that_is_measured(tmp_path: Path) -> None:
    (tmp_path / "top.onnx").write_bytes(top().SerializeToString())
    found, table = profile_model(
        tmp_path / "top.onnx",
        backend=OnnxRuntimeBackend(),
        settings=CampaignSettings(protocol=QUICK),
        values={"k": [77]},
    )
    (kernel,) = found.kernels
    assert "->float[1x77],int64[1x77]" in kernel.key
    assert kernel.latency_ms is not None
    assert found.to_json()["notes"] == table.manifest.conditions["notes"] == ["k is 77"]


def test_a_kernel_whose_work_is_decided_while_the_network_runs_is_not_run_alone() -> None:
    """Alone, its k would be zero, and nothing would be measured."""
    types = {
        "x": TensorType(element="float", shape=(1, 9)),
        "k": TensorType(element="int64", shape=(1,)),
        "v": TensorType(element="float", shape=(1, 3)),
        "i": TensorType(element="int64", shape=(1, 3)),
    }
    running = top()
    assert kernel_model(running.graph.node[0], running, types) is None
    assert kernel_model(running.graph.node[0], with_values(running, {"k": [3]}), types) is not None
