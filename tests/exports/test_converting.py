"""Other precisions, open batches and operator sets: what they compute and what they cost."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import nn

import hwnas
from hwnas.conversion import check_parity
from hwnas.conversion.onnx_model import EXPORTERS
from hwnas.conversion.quantising import quantised, rounded
from hwnas.conversion.runtime import onnx_logits
from hwnas.core import RunMismatchError, UsageError, VerificationError
from hwnas.exports import Exported, ExportSettings
from hwnas.exports import converting as converting_room
from hwnas.study import Run

IMAGES = np.random.default_rng(0).standard_normal((48, 3, 6, 6)).astype(np.float32)


def chain(*, outlier: float = 1.0) -> bytes:
    """Six convolutions; one channel after the first is as many times larger, and smaller again after the second."""
    rng = np.random.default_rng(1)
    weights = [0.3 * rng.standard_normal((c, r, 1, 1)).astype(np.float32) for c, r in ((8, 3), *[(8, 8)] * 4, (4, 8))]
    weights[0][0] *= outlier
    weights[1][:, 0] /= outlier
    nodes = []
    for index in range(6):
        read = "image" if index == 0 else f"act{index - 1}"
        nodes.append(onnx.helper.make_node("Conv", [read, f"w{index}"], [f"conv{index}"], f"conv{index}"))
        nodes.append(onnx.helper.make_node("Relu", [f"conv{index}"], [f"act{index}"], f"relu{index}"))
    nodes.append(onnx.helper.make_node("Flatten", ["act5"], ["logits"], "flatten"))
    shapes = {"image": [1, 3, 6, 6], "logits": [1, 4 * 36]}
    entry, end = (onnx.helper.make_tensor_value_info(name, 1, shape) for name, shape in shapes.items())
    held = [onnx.numpy_helper.from_array(weight, f"w{index}") for index, weight in enumerate(weights)]
    graph = onnx.helper.make_graph(nodes, "chain", [entry], [end], held)
    opsets = [onnx.helper.make_opsetid("", 18)]
    return bytes(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


def closeness(model: bytes) -> Any:
    """A judge: 1 less the relative mean error of the outputs."""
    expected = onnx_logits(model, IMAGES)

    def judge(other: bytes) -> float:
        return 1 - float(np.abs(onnx_logits(other, IMAGES) - expected).mean() / np.abs(expected).mean())

    return judge


def test_weights_are_rounded_by_channel_and_the_same_images_give_the_same_model() -> None:
    model = chain()
    made = rounded(model, IMAGES)
    assert made == rounded(model, IMAGES)
    graph = onnx.load_from_string(made).graph
    scales = {one.name: one.dims for one in graph.initializer if one.name.startswith("w") and "scale" in one.name}
    assert sorted(list(dims) for dims in scales.values()) == [[4], *[[8]] * 5]
    assert closeness(model)(made) > 0.9


def test_a_model_that_stays_close_enough_keeps_no_node() -> None:
    model = chain()
    found = quantised(model, IMAGES, judge=closeness(model), least=0.9)
    assert found.kept == ()
    assert found.nodes == 6


def test_the_nodes_that_stay_are_those_whose_rounding_was_measured_to_hurt_and_no_more() -> None:
    model = chain(outlier=300.0)
    judge = closeness(model)
    every = judge(rounded(model, IMAGES))
    found = quantised(model, IMAGES, judge=judge, least=0.9)
    assert {name for name, _ in found.kept} == {"conv0", "conv1"}  # what writes and what reads the uneven tensor
    assert found.accuracy >= 0.9 > every
    assert any(node.op_type == "DequantizeLinear" for node in onnx.load_from_string(found.model).graph.node)


def test_where_half_of_the_nodes_do_not_do_the_best_model_is_returned() -> None:
    model = chain()
    found = quantised(model, IMAGES, judge=closeness(model), least=2.0)
    assert len(found.kept) <= 3
    assert found.accuracy < 1


def test_weights_beside_unsigned_activations_have_seven_bits() -> None:
    """Products in pairs overflow 16 bits with eight, on x86 CPUs without VNNI."""
    graph = onnx.load_from_string(rounded(chain(), IMAGES)).graph
    weights = [onnx.numpy_helper.to_array(one) for one in graph.initializer if one.data_type == onnx.TensorProto.INT8]
    largest = [int(np.abs(one.astype(int)).max()) for one in weights if one.ndim == 4]
    assert largest
    assert all(one >= 60 and 2 * 255 * one < 2**15 for one in largest)


def test_symmetric_activations_are_signed_and_lie_around_zero() -> None:
    graph = onnx.load_from_string(rounded(chain(), IMAGES, symmetric=True)).graph
    zeros = [onnx.numpy_helper.to_array(one) for one in graph.initializer if "zero_point" in one.name]
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zeros)


class Meter:
    """FAKE of a device: keeps what it was given."""

    def __init__(self) -> None:
        self.model = b""

    def __call__(self, model: bytes) -> Any:
        self.model = model
        fields = {"latency_ms": 0.5, "min_ms": 0.4, "median_ms": 0.5, "iqr_ms": 0.01, "n": 30, "noise": "ok"}
        return type("Measured", (), {**fields, "uncertainty": 0.02, "provider": "Fake", "device_speed": 1.0})()


@pytest.mark.parametrize(
    ("found", "agreement", "passed"),
    [
        ([[1.0, 1.0 + 1e-6], [0.0, 2.0]], 1.0, True),  # of classes that tie either is the one
        ([[1.0, 1.0], [2.0001, 2.0]], 0.5, False),
        ([[np.nan, 1.0], [0.0, 2.0]], 0.5, False),
        ([[1.0, 1.0, 0.0], [0.0, 2.0, 0.0]], 0.0, False),
    ],
)
def test_parity_needs_every_class_and_every_logit(
    monkeypatch: pytest.MonkeyPatch, found: list[list[float]], agreement: float, passed: bool
) -> None:
    monkeypatch.setattr("hwnas.conversion.parity.logits", lambda *_: torch.tensor([[1.0 + 1e-6, 1.0], [0.0, 2.0]]))
    monkeypatch.setattr("hwnas.conversion.parity.onnx_logits", lambda *_: np.array(found, dtype=np.float32))
    parity = check_parity(nn.Identity(), b"", torch.zeros(2, 1, 2, 2))
    assert (parity.top1_agreement, parity.passed) == (agreement, passed)
    assert np.isinf(parity.max_abs) == (len(found[0]) != 2 or bool(np.isnan(found).any()))


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_another_precision_is_measured_as_it_ships_and_its_accuracy_too(run: Run, precision: str) -> None:
    meter = Meter()
    settings = ExportSettings(precision=precision, max_drop=0.2)
    done = hwnas.export(run, meter=meter, settings=settings)
    assert done.model.name == f"knee-{precision}.onnx"
    assert done.model.read_bytes() == meter.model
    found = done.card["conversion"]
    assert found["precision"] == precision
    assert done.card["accuracy"]["test"] == found["accuracy"]["test"]
    assert found["drop"]["test"] == found["float_accuracy"]["test"] - found["accuracy"]["test"]
    assert found["calibration_images"] == (256 if precision == "int8" else 0)
    latency = done.card["latency"]
    assert latency["measured_ms"] == 0.5
    assert "no rows of this precision" in latency["skipped"]
    session = onnxruntime.InferenceSession(done.model)
    assert session.get_inputs()[0].type == ("tensor(float16)" if precision == "fp16" else "tensor(float)")
    kinds = {node.op_type for node in onnx.load(done.model).graph.node}
    assert ("DequantizeLinear" in kinds) == (precision == "int8")
    assert json.loads(session.get_modelmeta().custom_metadata_map["hwnas.precision"]) == precision


def test_an_accuracy_that_falls_too_far_fails_with_everything_written(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(converting_room, "onnx_accuracy", lambda *_, **__: 0.0)
    with pytest.raises(VerificationError, match=r"int8 costs .* of accuracy, where 1\.00% were allowed"):
        hwnas.export(run, settings=ExportSettings(precision="int8"))
    card = json.loads((run.folder / "models" / "knee-int8.json").read_text())
    assert card["passed"] is False
    assert (run.folder / "models" / "knee-int8.onnx").exists()


def test_halves_that_no_exporter_writes_are_told_with_the_reasons(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: object, exporter: str, **__: object) -> bytes:
        raise RuntimeError(f"not by {exporter}")

    monkeypatch.setattr("hwnas.conversion.precisions.to_onnx", refusing)
    with pytest.raises(VerificationError, match=r"in fp16 .*torchscript: RuntimeError: not by torchscript; dynamo: "):
        hwnas.export(run, settings=ExportSettings(precision="fp16"))


def rows(model: bytes, images: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(model)
    found: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: images})[0]
    return found


def test_an_open_batch_computes_for_many_what_it_does_for_one(run: Run) -> None:
    done = hwnas.export(run, settings=ExportSettings(dynamic_batch=True))
    model = done.model.read_bytes()
    entry = onnxruntime.InferenceSession(model).get_inputs()[0]
    assert not isinstance(entry.shape[0], int)
    images = np.random.default_rng(0).standard_normal((5, *entry.shape[1:])).astype(np.float32)
    one_by_one = np.concatenate([rows(model, images[i : i + 1]) for i in range(5)])
    assert np.allclose(rows(model, images), one_by_one, atol=1e-5)
    assert done.card["batch"] == "dynamic"


@pytest.mark.parametrize("opset", [17, 21])
def test_the_operator_set_asked_for_is_the_one_written(run: Run, opset: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwnas.exports.exporting.EXPORTERS", EXPORTERS)
    done = hwnas.export(run, settings=ExportSettings(opset=opset))
    proto = onnx.load(done.model)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", opset)]
    assert proto.ir_version <= 10
    assert done.card["opset"] == opset
    assert done.card["exporter"] == ("torchscript" if opset < 18 else "dynamo")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"precision": "int4"}, "unknown precision 'int4': expected one of fp16, fp32, int8.*Did you mean 'int8'"),
        ({"opset": 9}, "expected an opset from 15 to 22, received 9"),
        ({"max_drop": -0.1}, "expected a largest drop from 0 to 1, such as 0.01, received -0.1"),
        ({"calibration_images": 0}, "expected one calibration image or more, received 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ExportSettings(**wrong)


def test_what_is_calibrated_on_has_to_be_there_and_the_same(run: Run) -> None:
    other = replace(run, settings=replace(run.settings, data_sha256="0" * 64))
    with pytest.raises(RunMismatchError, match="the data digits are not the ones the run was made with"):
        hwnas.export(other, settings=ExportSettings(precision="int8"))
    gone = replace(run, settings=replace(run.settings, data="nowhere/data.npz"))
    with pytest.raises(UsageError, match=r"no data at nowhere/data\.npz"):
        hwnas.export(gone, settings=ExportSettings(precision="int8"))


def test_the_weights_are_trained_once_whatever_they_are_written_as(exported: Exported, run: Run) -> None:
    steps: list[str] = []
    hwnas.export(run, settings=ExportSettings(precision="fp16", max_drop=0.2), on_step=lambda s: steps.append(s.name))
    assert steps == ["exporting", "converting", "measuring"]
    other = run.folder / "models" / "knee-fp16.safetensors"
    before, after = load_file(exported.model.with_suffix(".safetensors")), load_file(other)
    assert before.keys() == after.keys()
    assert all(before[name].equal(after[name]) for name in before)
