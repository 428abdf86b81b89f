"""Verification of any model: what is sound passes, what is broken is caught and named."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hwnas
from hwnas.core import DataError, UsageError
from hwnas.exports import Exported, ExportSettings, verify
from hwnas.exports.verification import data_samples, file_samples, made_up_samples
from hwnas.exports.verification.localising import first_bad, matched
from hwnas.exports.verification.outputs import compare
from hwnas.exports.verification.verifying import LatencyPromise
from hwnas.networks import network_family
from hwnas.study import Run
from hwnas.training import load_data
from tests.exports.test_converting import IMAGES, Meter, chain

DAMAGE = Path(__file__).parents[2] / "benchmarks" / "export" / "damage.py"


def damage_module() -> Any:
    """The ways to break a model that the benchmark counts."""
    spec = importlib.util.spec_from_file_location("damage", DAMAGE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["damage"] = module
    spec.loader.exec_module(module)
    return module


KINDS = damage_module().KINDS


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with sums, wide kernels and smooth activations, of random weights."""
    family = network_family("mobilenet:small", channels=1, classes=10)
    drawn = (family.space.sample(np.random.default_rng(seed)) for seed in range(100))
    model = next(
        model
        for model in (onnx.load_from_string(family.workload(one).model) for one in drawn)
        if {"Add", "HardSwish"} <= {node.op_type for node in model.graph.node}
    )
    rng = np.random.default_rng(0)
    for weight in model.graph.initializer:  # of a size that keeps activations where they are
        if len(weight.dims) > 1:
            scale = np.sqrt(2 / np.prod(weight.dims[1:]))
            values = (scale * rng.standard_normal(list(weight.dims))).astype(np.float32)
            weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    file = tmp_path_factory.mktemp("whole") / "whole.onnx"
    file.write_bytes(model.SerializeToString())
    return file


def saved(model: bytes, file: Path) -> Path:
    file.write_bytes(model)
    return file


def open_batch(model: bytes) -> bytes:
    proto = onnx.load_from_string(model)
    del proto.graph.output[0].type.tensor_type.shape.dim[:]
    proto.graph.output[0].type.tensor_type.shape.dim.add()
    proto.graph.output[0].type.tensor_type.shape.dim.add()
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return bytes(proto.SerializeToString())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.replace(" ", "-"))
def test_every_kind_of_damage_is_caught_and_named(kind: Any, whole: Path, tmp_path: Path) -> None:
    model = onnx.load(whole)
    samples = made_up_samples(model)
    where = kind.damage(model)
    opened = bool(model.graph.input[0].type.tensor_type.shape.dim[0].dim_param)
    found = verify(
        saved(model.SerializeToString(), tmp_path / "broken.onnx"), against=whole, samples=None if opened else samples
    )
    assert not found.passed
    assert where in " ".join(found.problems)
    json.dumps(found.to_json())


def test_a_model_is_what_it_is(whole: Path) -> None:
    found = verify(whole, against=whole)
    assert found.passed
    assert found.parity is not None
    assert found.parity.max_abs == 0
    assert found.culprit is None
    assert found.samples == "8 made-up samples"


def test_the_order_of_operators_matches_tensors_that_are_called_otherwise(whole: Path, tmp_path: Path) -> None:
    model = onnx.load(whole)
    renamed = {name: f"t{i}" for i, node in enumerate(model.graph.node) for name in node.output}
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed[name] for name in node.output]
    model.graph.output[0].name = renamed[model.graph.output[0].name]
    pairs = matched(model, onnx.load(whole))
    assert [renamed[pair.expected] for pair in pairs] == [pair.tensor for pair in pairs]
    assert len(pairs) == len(model.graph.node)
    assert verify(saved(model.SerializeToString(), tmp_path / "renamed.onnx"), against=whole).passed


@given(count=st.integers(1, 200), data=st.data())
def test_bisection_finds_the_first_bad_one_in_few_looks(count: int, data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.integers(0, count - 1)))
    looks = []

    def is_bad(low: int, high: int) -> bool:
        looks.append(high - low)
        return any(low <= one < high for one in bad)

    assert first_bad(count, is_bad) == min(bad, default=None)
    assert len(looks) <= 1 + np.ceil(np.log2(count))


def test_a_rounded_model_is_compared_as_roughly_as_it_computes(run: Run) -> None:
    whole = run.folder / "models" / "knee.onnx"
    rounded = hwnas.export(run, settings=ExportSettings(precision="int8", max_drop=0.2)).model
    samples = data_samples(onnx.load(whole), load_data("digits"))
    found = verify(rounded, against=whole, samples=samples)
    assert found.facts["precision"] == "int8"
    assert found.passed, found.problems
    strict = verify(rounded, against=whole, samples=samples, tolerance=1e-4)
    assert not strict.passed
    assert strict.culprit is not None


def test_an_open_batch_is_tried_with_several_samples(tmp_path: Path) -> None:
    found = verify(saved(open_batch(chain()), tmp_path / "open.onnx"))
    assert found.passed
    assert not isinstance(found.batch, str)
    assert found.batch.samples == 5


def test_an_export_computes_what_its_plain_module_does_on_real_images(exported: Exported) -> None:
    samples = data_samples(onnx.load(exported.model), load_data("digits"))
    found = verify(exported.model, against=exported.model.with_suffix(".py"), samples=samples)
    assert found.passed, found.problems
    assert found.parity is not None
    assert (found.parity.samples, found.parity.top1_agreement) == (64, 1.0)
    assert found.samples == "the first 64 of 359 test images of digits"
    assert found.providers["CPUExecutionProvider"].passed  # type: ignore[union-attr]


def test_a_broken_export_names_the_tensor_where_torch_and_the_model_part(exported: Exported, tmp_path: Path) -> None:
    model = onnx.load(exported.model)
    node = [one for one in model.graph.node if one.op_type == "Conv"][2]
    weight = next(one for one in model.graph.initializer if one.name == node.input[1])
    weight.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(weight), weight.name))
    broken = saved(model.SerializeToString(), tmp_path / "broken.onnx")
    found = verify(broken, against=exported.model.with_suffix(".py"))
    assert found.culprit is not None
    assert found.culprit.tensor == node.output[0]
    assert found.culprit.after >= 2
    assert any("another weight" in reason for reason in found.culprit.reasons)
    assert node.output[0] in found.problems[0]


def test_a_latency_far_from_its_promise_is_a_problem_and_one_without_is_told(whole: Path) -> None:
    held = verify(whole, promise=LatencyPromise(meter=Meter(), predicted_ms=0.45))
    assert held.passed
    assert held.to_json()["latency"]["uncertainty"] == 0.02
    broken = verify(whole, promise=LatencyPromise(meter=Meter(), predicted_ms=0.1))
    assert "it takes 0.5 ms where 0.1 ms were predicted" in broken.problems[0]
    alone = verify(whole, promise=LatencyPromise(meter=Meter())).to_json()["latency"]
    assert (alone["measured_ms"], alone["skipped"]) == (0.5, "no table to predict from was given")


def test_samples_come_from_a_file_by_the_names_of_the_inputs(tmp_path: Path) -> None:
    model = onnx.load_from_string(chain())
    np.savez(tmp_path / "good.npz", image=IMAGES)
    np.savez(tmp_path / "other.npz", picture=IMAGES)
    assert len(file_samples(model, tmp_path / "good.npz")) == 48
    with pytest.raises(UsageError, match="has the arrays picture: expected image"):
        file_samples(model, tmp_path / "other.npz")
    with pytest.raises(UsageError, match="cannot read samples from"):
        file_samples(model, saved(b"nothing", tmp_path / "bad.npz"))
    with pytest.raises(DataError, match=r"the model reads image\[1, 3, 6, 6\], and data digits are square images of 1"):
        data_samples(model, load_data("digits"))


def two_outputs() -> bytes:
    proto = onnx.load_from_string(chain())
    proto.graph.output.append(onnx.helper.make_tensor_value_info("act1", 1, [1, 8, 6, 6]))
    return bytes(proto.SerializeToString())


@pytest.mark.parametrize(
    ("make", "against", "message"),
    [
        (lambda: b"nothing", None, "is no ONNX model, or only a part of one"),
        (chain, "nowhere.onnx", r"there is no file .*nowhere\.onnx"),
        (chain, "notes.txt", r"cannot compare with .*notes\.txt: expected an \.onnx file, or the \.py file"),
        (chain, "alone.py", r"there is no file .*alone\.safetensors: expected a module as `hwnas export` writes it"),
    ],
)
def test_what_cannot_be_read_is_refused(
    make: Callable[[], bytes], against: str | None, message: str, tmp_path: Path
) -> None:
    (tmp_path / "alone.py").write_text("")
    file = saved(make(), tmp_path / "model.onnx")
    with pytest.raises(UsageError, match=message):
        verify(file, against=tmp_path / against if against else None)


def test_another_number_of_outputs_is_a_problem(tmp_path: Path) -> None:
    one, two = saved(chain(), tmp_path / "one.onnx"), saved(two_outputs(), tmp_path / "two.onnx")
    assert "it has 2 outputs" in verify(two, against=one).problems[0]


def test_classes_that_tie_are_one_class_and_what_is_no_number_is_none() -> None:
    expected = np.array([[1.0, 1.0 + 1e-7], [0.0, 2.0]])
    found = np.array([[1.0 + 1e-7, 1.0], [0.0, 2.0]])
    assert compare([found], [expected], tolerance_rel=1e-3, least_agreement=1.0).passed
    found[1, 1] = np.nan
    broken = compare([found], [expected], tolerance_rel=1e-3, least_agreement=1.0)
    assert (broken.top1_agreement, broken.to_json()["max_rel"], broken.passed) == (0.5, "inf", False)
