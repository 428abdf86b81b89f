"""Verification of models from elsewhere: whatever they read, an answer or one message with the cause and the cure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwnas.core import DataError, UsageError
from hwnas.exports import verify
from hwnas.exports.verification import data_samples, file_samples, open_shapes
from hwnas.exports.verification.soundness import read_model
from hwnas.exports.verification.verifying import LatencyPromise
from hwnas.training import load_data
from tests.exports.test_converting import Meter

FLOAT, INT64, BOOL, HALF = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL, TensorProto.FLOAT16
Size = int | str
OPEN: Sequence[Size] = ("N", 8)


def model(
    nodes: Sequence[onnx.NodeProto], inputs: dict[str, tuple[int, Sequence[Size]]], **weights: np.ndarray
) -> onnx.ModelProto:
    """A graph of these nodes, whose last output is the model's."""
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info(name, kind, list(shape)) for name, (kind, shape) in inputs.items()],
        [helper.make_empty_tensor_value_info(nodes[-1].output[0])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    made.graph.output[0].CopyFrom(onnx.shape_inference.infer_shapes(made).graph.output[0])
    return made


def sum_of_two() -> onnx.ModelProto:
    return model([helper.make_node("Add", ["a", "b"], ["y"])], {"a": (FLOAT, OPEN), "b": (FLOAT, OPEN)})


def embedding() -> onnx.ModelProto:
    nodes = [helper.make_node("Gather", ["table", "ids"], ["y"])]
    return model(nodes, {"ids": (INT64, ("N", "S"))}, table=np.eye(100, 4, dtype=np.float32))


def gated() -> onnx.ModelProto:
    """A flag without axes chooses between two branches."""
    nodes = [helper.make_node("Neg", ["a"], ["n"]), helper.make_node("Where", ["c", "a", "n"], ["y"])]
    return model(nodes, {"a": (FLOAT, (2, 8)), "c": (BOOL, ())})


def flexible() -> onnx.ModelProto:
    return model([helper.make_node("Relu", ["x"], ["y"])], {"x": (FLOAT, ("N", 3, "H", "W"))})


def saved(made: onnx.ModelProto, folder: Path) -> Path:
    file = folder / "foreign.onnx"
    onnx.save(made, file)
    return file


def arrays(folder: Path, **given: np.ndarray) -> Path:
    np.savez(folder / "given.npz", **given)  # type: ignore[arg-type]
    return folder / "given.npz"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"b": np.ones((3, 9))}, r"given\.npz: input b reads \[N, 8\], received an array of shape \(3, 9\)"),
        ({"b": np.ones(3)}, r"input b reads \[N, 8\], received an array of shape \(3,\)"),
        ({"b": np.array(1.0)}, r"input b reads \[N, 8\], received an array of shape \(\)"),
        ({"b": np.full((3, 8), "x")}, r"input b reads float, received an array of <U1"),
        ({"b": np.ones((2, 8))}, r"as many samples of each input and one at least, received \{'a': 3, 'b': 2\}"),
    ],
)
def test_samples_that_the_model_does_not_read_are_refused(
    given: dict[str, np.ndarray], told: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=told):
        file_samples(sum_of_two(), arrays(tmp_path, a=np.ones((3, 8)), **given))


def test_whole_numbers_are_read_as_the_input_has_them_and_fractions_are_not(tmp_path: Path) -> None:
    found = file_samples(embedding(), arrays(tmp_path, ids=np.ones((3, 5), dtype=np.int32)))
    assert found.inputs["ids"].dtype == np.int64
    assert verify(saved(embedding(), tmp_path), samples=found).passed
    with pytest.raises(UsageError, match="input ids reads int64, received an array of float64"):
        file_samples(embedding(), arrays(tmp_path, ids=np.ones((3, 5))))


def test_numbers_at_which_the_model_fails_are_a_problem_with_the_node(tmp_path: Path) -> None:
    beyond = file_samples(embedding(), arrays(tmp_path, ids=np.full((3, 5), 805)))
    found = verify(saved(embedding(), tmp_path), samples=beyond)
    assert not found.passed
    assert found.problems[0].startswith("it cannot be run on 3 samples of given.npz: ")
    assert "Gather" in found.problems[0]


def test_a_number_without_axes_is_one_for_all_samples(tmp_path: Path) -> None:
    assert verify(saved(gated(), tmp_path)).passed
    a = np.random.default_rng(0).normal(size=(4, 8))
    for flag in (True, False):
        given = file_samples(gated(), arrays(tmp_path, a=a, c=np.array(flag)))
        found = verify(saved(gated(), tmp_path), samples=given, against=saved(gated(), tmp_path))
        assert found.passed, found.problems
        assert found.samples == "4 samples of given.npz"
    with pytest.raises(UsageError, match=r"input c reads \[\], received an array of shape \(4,\)"):
        file_samples(gated(), arrays(tmp_path, a=a, c=np.ones(4, dtype=bool)))
    with pytest.raises(UsageError, match="input a reads 2 samples at once, received 1"):
        file_samples(gated(), arrays(tmp_path, a=a[:1], c=np.array(True)))


def test_open_sizes_are_those_of_the_samples_where_latency_is_measured(tmp_path: Path) -> None:
    meter = Meter()
    given = file_samples(flexible(), arrays(tmp_path, x=np.ones((3, 3, 8, 6))))
    found = verify(saved(flexible(), tmp_path), samples=given, promise=LatencyPromise(meter=meter))
    assert found.passed
    timed = meter.model
    dims = onnx.load_from_string(timed).graph.input[0].type.tensor_type.shape.dim
    assert [size.dim_param or size.dim_value for size in dims] == ["N", 3, 8, 6]
    assert open_shapes(flexible(), given) == {"x": [1, 3, 8, 6]}
    assert (
        open_shapes(sum_of_two(), file_samples(sum_of_two(), arrays(tmp_path, a=np.ones((3, 8)), b=np.ones((3, 8)))))
        == {}
    )


def test_more_samples_than_are_compared_are_told(tmp_path: Path) -> None:
    given = file_samples(sum_of_two(), arrays(tmp_path, a=np.ones((500, 8)), b=np.ones((500, 8))))
    assert given.origin == "the first 64 of 500 samples of given.npz"


def test_a_reference_that_reads_something_else_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    one = model([helper.make_node("Relu", ["x"], ["y"])], {"x": (FLOAT, OPEN)})
    with pytest.raises(UsageError, match=r"other/foreign\.onnx does not read what the model reads: .*rank"):
        verify(saved(one, tmp_path), against=saved(flexible(), other))


def test_models_of_no_inputs_and_of_sequences_are_refused(tmp_path: Path) -> None:
    constant = model([helper.make_node("Identity", ["w"], ["y"])], {}, w=np.ones(3, dtype=np.float32))
    with pytest.raises(UsageError, match=r"foreign\.onnx reads nothing: only models with inputs"):
        verify(saved(constant, tmp_path))
    split = model([helper.make_node("SplitToSequence", ["x"], ["y"])], {"x": (FLOAT, (4, 8))})
    with pytest.raises(UsageError, match=r"y of .*foreign\.onnx is sequence_type: only models that read and give"):
        verify(saved(split, tmp_path))


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        ("{broken", "JSONDecodeError"),
        ("[1, 2]", "TypeError"),
        ('{"mean": [0]}', "KeyError: 'std'"),
        ('{"mean": [0, 0, 0], "std": [1, 1, 1]}', "they have 3 and 3 values"),
        ('{"mean": ["x"], "std": [1]}', "ValueError"),
    ],
)
def test_metadata_that_say_nothing_usable_are_named(told: str, cause: str) -> None:
    reads = model([helper.make_node("Relu", ["x"], ["y"])], {"x": (FLOAT, ("N", 1, 8, 8))})
    helper.set_model_props(reads, {"hwnas.preprocessing": told})
    with pytest.raises(DataError, match=rf"metadata 'hwnas\.preprocessing' cannot be used \({cause}.*1 numbers each"):
        data_samples(reads, load_data("digits"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty: expected an ONNX model"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer .*`git lfs pull`"),
        (b"<html><body>404</body></html>", "is no ONNX model, or only a part of one"),
    ],
)
def test_what_is_no_model_is_told_for_what_it_is(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "foreign.onnx").write_bytes(content)
    with pytest.raises(UsageError, match=told):
        read_model(tmp_path / "foreign.onnx")


def test_weights_that_are_not_beside_the_model_are_named(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    made = model(nodes, {"x": (FLOAT, OPEN)}, w=np.ones((8, 300), dtype=np.float32))
    file = tmp_path / "foreign.onnx"
    onnx.save(made, file, save_as_external_data=True, location="foreign.data")
    assert verify(file).passed
    (tmp_path / "foreign.data").unlink()
    with pytest.raises(
        UsageError, match=r"keeps its weights in a file beside it, which cannot be read: .*foreign\.data"
    ):
        read_model(file)


def test_a_model_of_halves_without_weights_is_judged_as_one(tmp_path: Path) -> None:
    halves = model([helper.make_node("Sigmoid", ["x"], ["y"])], {"x": (HALF, OPEN)})
    assert verify(saved(halves, tmp_path)).facts["precision"] == "fp16"
