"""``config.pbtxt`` as Triton's own description of such files reads it, and beside the model that it is for.

Triton's description comes with ``tritonclient[grpc]``; where that is not installed, the fields that are used stand in a
description of this file's.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

import hwnas
from hwnas.exports import ExportSettings
from hwnas.exports.bundles import write_bundle
from hwnas.exports.bundles.snippets import MOST_AT_ONCE, triton_config
from hwnas.study import Run

KINDS = {"tensor(float)": "TYPE_FP32", "tensor(float16)": "TYPE_FP16"}
Field = descriptor_pb2.FieldDescriptorProto


def own_description() -> Any:
    """A message with the fields of Triton's ``ModelConfig`` that are used here."""
    file = descriptor_pb2.FileDescriptorProto(name="triton_subset.proto", package="subset", syntax="proto3")
    kinds = file.enum_type.add(name="DataType")
    for number, name in enumerate(("TYPE_INVALID", "TYPE_FP16", "TYPE_FP32")):
        kinds.value.add(name=name, number=number)
    tensor, config = file.message_type.add(name="Tensor"), file.message_type.add(name="ModelConfig")
    once, many = Field.LABEL_OPTIONAL, Field.LABEL_REPEATED
    tensor.field.add(name="name", number=1, type=Field.TYPE_STRING, label=once)
    tensor.field.add(name="data_type", number=2, type=Field.TYPE_ENUM, type_name=".subset.DataType", label=once)
    tensor.field.add(name="dims", number=3, type=Field.TYPE_INT64, label=many)
    config.field.add(name="name", number=1, type=Field.TYPE_STRING, label=once)
    config.field.add(name="platform", number=2, type=Field.TYPE_STRING, label=once)
    config.field.add(name="max_batch_size", number=3, type=Field.TYPE_INT32, label=once)
    for number, name in ((4, "input"), (5, "output")):
        config.field.add(name=name, number=number, type=Field.TYPE_MESSAGE, type_name=".subset.Tensor", label=many)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("subset.ModelConfig"))


def tritons_description() -> Any:
    """Triton's own ``ModelConfig``; skips the test where it is not installed."""
    try:
        return import_module("tritonclient.grpc.model_config_pb2").ModelConfig
    except ImportError as error:
        pytest.skip(f"Triton's description is not here: {error}. pip install tritonclient[grpc]")


def as_json(tensor: Any) -> tuple[str, str, list[int]]:
    kind = tensor.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number[tensor.data_type].name
    return str(tensor.name), str(kind), [int(size) for size in tensor.dims]


@pytest.mark.parametrize("description", [own_description, tritons_description])
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("batch", [1, "dynamic"])
@pytest.mark.parametrize("name", ["knee", 'a "quoted" name', "a\\b", "né"])
def test_every_form_of_it_is_read_and_names_come_back_as_they_are(
    description: Any, precision: str, batch: int | str, name: str
) -> None:
    card = {"precision": precision, "batch": batch, "preprocessing": {"resize": [24, 20]}}
    config = text_format.Parse(triton_config(card, name=name, channels=3, classes=7), description()())
    first = [1] if batch == 1 else []
    kind = "TYPE_FP16" if precision == "fp16" else "TYPE_FP32"
    assert (config.name, config.max_batch_size) == (name, 0 if batch == 1 else MOST_AT_ONCE)
    assert [as_json(tensor) for tensor in config.input] == [("image", kind, [*first, 3, 24, 20])]
    assert [as_json(tensor) for tensor in config.output] == [("logits", kind, [*first, 7])]


@pytest.mark.usefixtures("quick_exporter")
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("dynamic_batch", [False, True])
def test_what_triton_is_told_are_the_inputs_and_outputs_of_the_model(
    run: Run, tmp_path: Path, precision: str, dynamic_batch: bool
) -> None:
    config = own_description()()
    settings = ExportSettings(precision=precision, max_drop=1.0, dynamic_batch=dynamic_batch, calibration_images=8)
    bundle = write_bundle(run, hwnas.export(run, settings=settings), tmp_path / "net")
    text_format.Parse((bundle / "config.pbtxt").read_text(encoding="utf-8"), config)
    session = onnxruntime.InferenceSession(bundle / "model.onnx")
    assert (config.name, config.platform) == ("net", "onnxruntime_onnx")
    assert config.max_batch_size == (MOST_AT_ONCE if dynamic_batch else 0)
    for told, held in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
        shapes = [value.shape[1:] if dynamic_batch else value.shape for value in held]
        wanted = [(value.name, KINDS[value.type], shape) for value, shape in zip(held, shapes, strict=True)]
        assert [as_json(tensor) for tensor in told] == wanted
    if dynamic_batch:
        (name, _, shape) = as_json(config.input[0])
        images = np.zeros((MOST_AT_ONCE, *shape), np.float16 if precision == "fp16" else np.float32)
        assert len(session.run(None, {name: images})[0]) == MOST_AT_ONCE
