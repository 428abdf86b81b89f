"""TensorRT, against fakes of its three generations and of CUDA: no test here needs, or uses, a GPU.

The laws: the same backend works with each generation's interface; figures are the device's time; layers keep to the
part they were made from; what TensorRT cannot take is named; and nothing stays on the device.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from profilers import DeviceEngines, DeviceMeter, MeasuringProtocol
from profilers.backends import tensorrt_api as api
from profilers.backends.contract import Backend, BackendSettings, Compiling, InPlace, RunPlan
from profilers.backends.tensorrt import TensorRtBackend
from profilers.backends.tensorrt_layers import layer_uses, read_layers
from profilers.devices import GpuDescription, GpuReport
from profilers.devices.cuda import CudaRuntime
from profilers.errors import DeviceError, ModelError
from profilers.models import parse_model
from profilers.precision import with_precision
from profilers.registry import load_backend
from profilers.testing import chain
from tests.profilers.fakes_cuda import FakeCuda
from tests.profilers.fakes_tensorrt import FakeTensorRt, fake_tensorrt

PLAN = RunPlan(warmup_runs=1, runs=3)
GENERATIONS = ("8.5.3.1", "10.16.1.11", "11.4.0.106")
PARTS = {"p": "block", "q": "other"}

Open = Callable[..., TensorRtBackend]
every_generation = pytest.mark.parametrize("version", GENERATIONS)


@pytest.fixture
def device() -> FakeCuda:
    return FakeCuda()


@pytest.fixture
def trt(device: FakeCuda) -> FakeTensorRt:
    return FakeTensorRt(cuda=device)


@pytest.fixture
def opened(trt: FakeTensorRt, device: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens a backend on the fakes as they are by then."""
    made: list[TensorRtBackend] = []

    def open_(version: str | None = None, **settings: Any) -> TensorRtBackend:
        trt.version = version or trt.version
        monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt(trt))
        made.append(TensorRtBackend(BackendSettings(device="gpu", **settings), cuda=CudaRuntime(device)))
        return made[-1]

    yield open_
    for backend in made:
        backend.close()
    assert device.alive == {} or not made


def model_of(*kinds: str, element: int = TensorProto.FLOAT, shape: tuple[int, ...] = (1, 3)) -> bytes:
    """A chain of operators, each a part of its own letter from ``p`` on."""
    names = ["image", *(f"{chr(ord('p') + i)}/out" for i in range(len(kinds)))]
    nodes = [
        helper.make_node(kind, [names[i]], [names[i + 1]], names[i + 1].replace("out", kind.lower()))
        for i, kind in enumerate(kinds)
    ]
    ends = [helper.make_tensor_value_info(name, element, shape) for name in (names[0], names[-1])]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


# --- what a figure is


@every_generation
def test_a_run_is_timed_by_the_device_with_each_generation(version: str, opened: Open) -> None:
    backend = opened(version)
    found = backend.time(model_of("Relu"), PLAN)
    assert found.run_ms == pytest.approx([0.25] * 3)
    assert (found.provider, backend.version, backend.method) == ("TensorRT", version, "blocks")
    assert found.host_ms is not None
    assert (found.host_ms > 0).all()
    assert found.load_ms is not None
    assert found.load_ms > 0


def test_it_is_a_backend_that_can_profile(opened: Open) -> None:
    assert load_backend("tensorrt") is TensorRtBackend
    backend = opened()
    assert isinstance(backend, Backend)
    assert isinstance(backend, InPlace)


def test_events_stand_around_the_run_and_the_input_is_there_before(opened: Open, device: FakeCuda) -> None:
    opened().time(model_of("Relu"), RunPlan(warmup_runs=0, runs=1))
    start = device.calls.index("cudaEventRecord")
    run = ["cudaEventRecord", "work", "cudaEventRecord", "cudaEventSynchronize", "cudaEventElapsedTime"]
    assert device.calls[start : start + 10] == run * 2
    assert device.calls[:start].index("cudaMemcpyAsync") < device.calls[:start].index("cudaDeviceSynchronize")
    assert device.count("cudaMemcpyAsync") == 1


def test_copies_count_when_they_are_asked_for(opened: Open) -> None:
    found = opened(include_io=True).time(model_of("Relu"), PLAN)
    assert found.run_ms == pytest.approx([0.25 + 2 * 0.5] * 3)  # a copy takes half a millisecond on the fake device


@pytest.mark.parametrize("include_io", [False, True])
def test_a_graph_is_captured_once_after_plain_runs_and_launched_from_then_on(
    include_io: bool, opened: Open, device: FakeCuda
) -> None:
    found = opened(cuda_graph=True, include_io=include_io).time(model_of("Relu"), PLAN)
    assert found.run_ms == pytest.approx([0.25 + include_io] * 3)
    assert device.count("work") == 5  # four times as it is, once captured
    assert device.calls.index("work") < device.calls.index("cudaStreamBeginCapture")
    assert device.count("cudaGraphLaunch") > 3
    assert bool(device.held_us) is not include_io  # copies from pageable memory would wait for a device that is held


def test_ranges_for_a_profiler_are_off_while_runs_are_timed(opened: Open, trt: FakeTensorRt) -> None:
    opened().time(model_of("Relu"), PLAN)
    assert trt.contexts[-1].nvtx_verbosity.name == "LAYER_NAMES_ONLY"


@pytest.mark.parametrize("element", [TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.INT64, TensorProto.BOOL])
def test_inputs_of_every_type_are_made_up(element: int, opened: Open, device: FakeCuda) -> None:
    opened().time(model_of("Identity", element=element), RunPlan(warmup_runs=0, runs=1))
    width = {TensorProto.INT64: 8, TensorProto.BOOL: 1}.get(element, 2)
    assert device.copied[0][:2] == (1, 3 * width)


# --- engines


def test_one_model_is_built_once_and_the_cache_of_timings_goes_on(opened: Open, trt: FakeTensorRt) -> None:
    backend = opened()
    for model in (model_of("Relu"), model_of("Sigmoid"), model_of("Relu")):
        backend.time(model, PLAN)
    assert backend.builds == 2
    assert trt.caches == [b"", b"t"]


def test_the_time_to_load_has_the_building_in_it_every_time(opened: Open) -> None:
    backend = opened()
    first, second = (backend.time(model_of("Relu"), PLAN).load_ms for _ in range(2))
    assert backend.builds == 1
    built = next(iter(backend._plans.values())).build_ms
    assert first is not None
    assert second is not None
    assert min(first, second) > built


def test_engines_that_no_longer_fit_are_built_again(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("profilers.backends.tensorrt._MOST_KEPT", 1)
    backend = opened()
    for model in (model_of("Relu"), model_of("Sigmoid"), model_of("Relu")):
        backend.time(model, PLAN)
    assert backend.builds == 3


@pytest.mark.parametrize(
    ("version", "flags", "strong"), [("8.5.3.1", 1 << 0, False), ("10.16.1.11", 1 << 1, True), ("11.4.0.106", 0, True)]
)
def test_networks_are_explicit_in_8_and_strongly_typed_from_10_on(
    version: str, flags: int, strong: bool, opened: Open, trt: FakeTensorRt
) -> None:
    backend = opened(version)
    backend.time(model_of("Relu"), PLAN)
    assert trt.flags == [flags]
    assert backend.fingerprint()["strongly_typed"] is strong


@every_generation
def test_fp32_is_exact_and_libraries_are_left_out(version: str, opened: Open, trt: FakeTensorRt) -> None:
    opened(version).time(model_of("Relu"), PLAN)
    (config,) = trt.configs
    assert (config.cleared, config.set) == ({"TF32"}, set())
    assert config.sources == (0b11 if version.startswith("11") else 0b11000)


@pytest.mark.parametrize(
    ("element", "kinds", "flags"),
    [
        (TensorProto.FLOAT16, ("Relu",), {"FP16"}),
        (TensorProto.FLOAT, ("QuantizeLinear", "DequantizeLinear"), {"INT8"}),
        (TensorProto.FLOAT16, ("QuantizeLinear", "DequantizeLinear"), {"FP16", "INT8"}),
        (TensorProto.INT8, ("Identity",), set()),
    ],
)
def test_precisions_are_switched_on_for_what_is_in_the_model_in_8_alone(
    element: int, kinds: tuple[str, ...], flags: set[str], opened: Open, trt: FakeTensorRt
) -> None:
    for version in GENERATIONS:
        opened(version).time(model_of(*kinds, element=element), PLAN)
    assert [config.set for config in trt.configs] == [flags, set(), set()]


def test_a_type_that_8_has_no_kernels_for_is_refused(opened: Open) -> None:
    with pytest.raises(ModelError, match=r"TensorRT 8\.5\.3\.1 does not compute in BF16") as caught:
        opened("8.5.3.1").time(model_of("Relu", element=TensorProto.BFLOAT16), PLAN)
    assert 'pip install "hwnas[tensorrt]"' in str(caught.value)


def mean_model(*, constant: bool = True) -> bytes:
    """A mean whose axes are an input, as they are from opset 18 on."""
    ends = [("image", [1, 3, 4, 4]), ("p/out", [1, 3])]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends]
    axes = numpy_helper.from_array(np.array([2, 3], dtype=np.int64), "p/axes")
    node = helper.make_node("ReduceMean", ["image", "p/axes"], ["p/out"], "p/mean", keepdims=0, noop_with_empty_axes=0)
    graph = helper.make_graph([node], "g", values[:1], values[1:], [axes] if constant else [])
    opsets = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())


@every_generation
def test_8_reads_the_axes_of_a_reduction_as_an_attribute(version: str, opened: Open, trt: FakeTensorRt) -> None:
    opened(version).time(mean_model(), PLAN)
    node, opset = trt.parsed[-1].graph.node[0], trt.parsed[-1].opset_import[0].version
    attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    if version.startswith("8"):
        assert (list(node.input), attributes, opset) == (["image"], {"axes": [2, 3], "keepdims": 0}, 17)
    else:
        assert (list(node.input), opset) == (["image", "p/axes"], 18)


@every_generation
def test_8_is_told_the_window_of_a_convolution_whose_weights_are_integers(
    version: str, opened: Open, trt: FakeTensorRt
) -> None:
    model = with_precision(chain((2, 2)).model, "int8", symmetric=True)
    opened(version).time(model, PLAN)
    (conv,) = [node for node in trt.parsed[-1].graph.node if node.op_type == "Conv"]
    windows = [helper.get_attribute_value(one) for one in conv.attribute if one.name == "kernel_shape"]
    assert windows == ([[3, 3]] if version.startswith("8") else [])


@every_generation
def test_open_sizes_are_refused_and_not_taken_for_one(version: str, opened: Open, trt: FakeTensorRt) -> None:
    with pytest.raises(ModelError, match=r"input 'image' has shape nx2x8x8: expected fixed sizes"):
        opened(version).time(chain((2, 2), open_batch=True).model, PLAN)
    assert not trt.parsed


def test_the_fingerprint_has_the_versions(opened: Open) -> None:
    found = opened().fingerprint()
    wanted = {"runtime": "tensorrt 10.16.1.11", "provider": "TensorRT", "cuda": "13.0", "tf32": False}
    assert wanted.items() <= found.items()
    assert found["builds_per_model"] == 1


# --- engines to take home

GPU = GpuDescription(
    name="FAKE GPU", uuid="GPU-1", driver="570.86", memory_mib=8192, compute_capability="9.0", mig=False,
    clock_mhz=1500, max_clock_mhz=1980, temperature_c=31, power_w=75.0,
)  # fmt: skip
QUICK = MeasuringProtocol(warmup_runs=1, timed_runs=2, least_runs=2)


@every_generation
def test_an_engine_is_the_one_that_was_measured(version: str, opened: Open, trt: FakeTensorRt) -> None:
    backend, model = opened(version), model_of("Relu")
    assert isinstance(backend, Compiling)
    DeviceMeter(backend=backend, protocol=QUICK, rounds=1, most_rounds=1)(model)
    engine = DeviceEngines(backend=backend)(model)
    assert (backend.builds, engine.measured) == (1, True)
    assert engine.content == next(iter(backend._plans.values())).content
    assert engine.timing_cache == trt.caches[-1] + b"t"


def test_an_engine_that_nobody_measured_is_built_and_says_so(opened: Open) -> None:
    backend = opened()
    assert not DeviceEngines(backend=backend)(model_of("Relu")).measured
    assert backend.builds == 1


def test_an_engine_of_an_open_batch_is_the_measured_one_for_one_image(opened: Open) -> None:
    backend, model = opened(), chain((2, 2), open_batch=True).model
    DeviceMeter(backend=backend, protocol=QUICK, rounds=1, most_rounds=1)(model)
    engine = DeviceEngines(backend=backend)(model)
    assert engine.measured
    shape = parse_model(engine.content).graph.input[0].type.tensor_type.shape.dim
    assert [size.dim_value for size in shape] == [1, 2, 8, 8]


def test_an_engine_says_what_it_depends_on(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("backends.tensorrt", "devices.fingerprint"):
        monkeypatch.setattr(f"profilers.{module}.describe_gpus", lambda: GpuReport((GPU,)))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = DeviceEngines(backend=opened("8.5.3.1"))(model_of("Relu")).conditions
    assert found == {
        "tensorrt": "8.5.3.1",
        "platform": f"{platform.system()} {platform.machine()}",
        "gpu": "FAKE GPU",
        "compute_capability": "9.0",
        "mig": False,
        "driver": "570.86",
        "cuda": "13.0",
        "cuda_driver": "13.0",
        "tf32": False,
        "strongly_typed": False,
    }


def test_an_engine_that_cannot_be_built_is_told(opened: Open, trt: FakeTensorRt) -> None:
    trt.fails = "build"
    with pytest.raises(ModelError, match=r"TensorRT 10\.16\.1\.11 cannot build an engine for the model: .*made up"):
        DeviceEngines(backend=opened())(model_of("Relu"))


# --- layers where they run


@every_generation
def test_layers_are_timed_run_by_run_after_the_device_has_finished(
    version: str, opened: Open, trt: FakeTensorRt, device: FakeCuda
) -> None:
    trt.layer_ms = (("p/relu", 0.25), ("q/sigmoid", 0.5))
    found = opened(version).profile(model_of("Relu", "Sigmoid"), PARTS, PLAN)
    assert found.run_ms == pytest.approx([0.75] * 3)
    assert found.kernel_ms == pytest.approx(np.array([[0.25] * 3, [0.5] * 3]))
    assert [(use.node, use.part, use.provider) for use in found.uses] == [
        ("p/relu", "p", "TensorRT"),
        ("q/sigmoid", "q", "TensorRT"),
    ]
    assert trt.contexts[-1].enqueue_emits_profile is False
    start = device.calls.index("work")
    assert device.calls[start : start + 5] == [
        *["work", "cudaEventRecord", "cudaEventSynchronize", "cudaEventElapsedTime", "report"]
    ]


@pytest.mark.parametrize(("version", "weights_mib"), [("8.5.3.1", None), ("10.16.1.11", 3), ("11.4.0.106", 3)])
def test_memory_is_that_of_a_run_and_the_weights(version: str, weights_mib: int | None, opened: Open) -> None:
    backend = opened(version)
    found = backend.profile(model_of("Relu"), PARTS, PLAN).inspection.memory_mib
    serialised_mib = len(next(iter(backend._plans.values())).content) / 2**20
    assert found == pytest.approx(1 + (serialised_mib if weights_mib is None else weights_mib), rel=1e-5)


def test_profiling_leaves_the_graph_alone(opened: Open, device: FakeCuda) -> None:
    opened(cuda_graph=True).profile(model_of("Relu"), PARTS, PLAN)
    assert device.count("cudaStreamBeginCapture") == 0


def test_layers_that_change_from_run_to_run_are_refused(opened: Open, trt: FakeTensorRt) -> None:
    backend = opened()
    trt.layer_ms = ()
    with pytest.raises(ModelError, match=r"expected TensorRT 10\.16\.1\.11 to report the same layers in every run"):
        backend.profile(model_of("Relu"), PARTS, PLAN)


def test_layers_of_several_parts_are_counted(opened: Open, trt: FakeTensorRt) -> None:
    trt.layer_ms = (("{ForeignNode[p/relu...q/sigmoid]}", 0.5),)
    backend = opened()
    found = backend.profile(model_of("Relu", "Sigmoid"), PARTS, PLAN)
    assert ([use.part for use in found.uses], backend.shared_layers) == (["p"], 1)


# --- keys of layers: written by hand after NVIDIA's documentation and examples, not recorded


def layers_of_8() -> str:
    """As TensorRT 8.5 describes layers: no metadata, type and layout in one text."""
    plain, channels = "Row major linear FP32", "Channel major FP32 format where channel % 4 == 0"
    conv = {
        "Name": "p/conv + p/relu",
        "LayerType": "CaskConvolution",
        "Inputs": [{"Name": "moved", "Location": "Device", "Dimensions": [1, 3, 8, 8], "Format/Datatype": channels}],
        "Outputs": [{"Name": "p/out", "Location": "Device", "Dimensions": [1, 4, 8, 8], "Format/Datatype": plain}],
        "ParameterType": "Convolution",
        "Kernel": [3, 3],
        "PaddingMode": "kEXPLICIT_ROUND_DOWN",
        "PrePadding": [1, 1],
        "PostPadding": [0, 0],
        "Groups": 1,
        "Weights": {"Type": "Float", "Count": 108},
        "HasSparseWeights": 0,
        "Activation": "RELU",
        "HasBias": 1,
        "TacticName": "sm80_xmma_fprop_implicit_gemm_f32f32_f32f32_f32",
        "TacticValue": "0xf48db81f02eca9ee",
    }
    move = {
        "Name": "Reformatting CopyNode for Input Tensor 0 to p/conv + p/relu",
        "LayerType": "Reformat",
        "Inputs": [{"Name": "image", "Location": "Device", "Dimensions": [1, 3, 8, 8], "Format/Datatype": plain}],
        "Outputs": [{"Name": "moved", "Location": "Device", "Dimensions": [1, 3, 8, 8], "Format/Datatype": channels}],
        "ParameterType": "Reformat",
        "Origin": "REFORMAT",
        "TacticValue": "0x00000000000003ea",
    }
    return json.dumps({"Layers": [move, conv], "Bindings": ["image", "p/out"]})


def layers_of_10() -> str:
    """As TensorRT 10 describes layers of its compiler: metadata with separators as they are, types in a field."""
    kernel = {
        "Name": "__myl_ConvAddRelu_myl0_1",
        "LayerType": "kgen",
        "Inputs": [
            {
                "Name": "image",
                "Dimensions": [1, 3, 8, 8],
                "Format": "Thirty-two wide channel vectorized row major Int8 format",
                "Datatype": "Int8",
            }
        ],
        "Outputs": [{"Name": "__mye1", "Dimensions": [1, 4, 8, 8], "Format/Datatype": "Half"}],
        "TacticName": "__myl_ConvAddRelu_0x1",
        "StreamId": 0,
        "Metadata": "[ONNX Layer: p/conv]\x1e[ONNX Layer: q/add]\x1f[ONNX Layer: q/relu]",
    }
    tail = {
        "Name": "__myl_Move_myl0_2",
        "LayerType": "kgen",
        "Inputs": [{"Name": "__mye1", "Dimensions": [1, 4, 8, 8], "Format/Datatype": "Half"}],
        "Outputs": [{"Name": "out", "Dimensions": [1, 4, 8, 8], "Format/Datatype": "BFloat16"}],
        "Metadata": "",
    }
    return (
        json.dumps({"Layers": [kernel, tail]}, ensure_ascii=False).replace("\\u001e", "\x1e").replace("\\u001f", "\x1f")
    )


OPERATORS = {"p/conv": "Conv", "p/relu": "Relu", "q/add": "Add", "q/relu": "Relu"}


def test_a_key_has_the_work_and_not_the_tactic() -> None:
    layers = read_layers(layers_of_8())
    uses, shared = layer_uses(layers, [layer["Name"] for layer in layers], operators=OPERATORS, parts=PARTS)
    assert [use.key for use in uses] == [
        "TensorRT.Reformat(float[1x3x8x8])->float[1x3x8x8]@hwc4{Origin=REFORMAT}",
        (
            "TensorRT.Convolution(float[1x3x8x8]@hwc4)->float[1x4x8x8]{Activation=RELU,Groups=1,HasBias=1,"
            "Kernel=3x3,PaddingMode=kEXPLICIT_ROUND_DOWN,PrePadding=1x1,Weights=Floatx108,ops=Conv+Relu}"
        ),
    ]
    assert [use.part for use in uses] == ["p", "p"]
    assert [use.op_type for use in uses] == ["Reformat", "Convolution"]
    assert uses[1].elements == ("float",)
    assert uses[1].memory_mib == pytest.approx((3 + 4) * 64 * 4 / 2**20, rel=1e-5)
    assert shared == 0


def test_a_key_does_not_change_with_what_the_builder_chose() -> None:
    _, conv = json.loads(layers_of_8())["Layers"]
    chosen = {"LayerType": "FusedConvActConvolution", "ConvolutionTacticIndex": 137, "HasReLU": 1, "TacticName": "b"}
    (first,), _ = layer_uses([conv], [conv["Name"]], operators=OPERATORS, parts=PARTS)
    (second,), _ = layer_uses([conv | chosen], [conv["Name"]], operators=OPERATORS, parts=PARTS)
    assert first.key == second.key


def test_layers_of_the_compiler_go_by_their_metadata_and_the_rest_by_their_tensors() -> None:
    layers = read_layers(layers_of_10())
    uses, shared = layer_uses(layers, [layer["Name"] for layer in layers], operators=OPERATORS, parts=PARTS)
    assert [use.key for use in uses] == [
        "TensorRT.kgen(int8[1x3x8x8]@chw32)->float16[1x4x8x8]{ops=Conv+Add+Relu}",
        "TensorRT.kgen(float16[1x4x8x8])->bfloat16[1x4x8x8]",
    ]
    assert [use.part for use in uses] == ["p", "p"]  # of two parts, and made from what the first one made
    assert shared == 1


def test_a_layer_that_runs_twice_is_described_twice_and_one_without_description_is_told() -> None:
    text = json.dumps({"Layers": [{"Name": "p/a", "LayerType": "One"}, {"Name": "p/a", "LayerType": "Two"}]})
    uses, _ = layer_uses(read_layers(text), ["p/a", "p/a", "p/a", "q/b"], operators={}, parts=PARTS)
    assert [use.op_type for use in uses] == ["One", "Two", "Two", "Unknown"]
    assert [use.node for use in uses] == ["p/a", "p/a #2", "p/a #3", "q/b"]
    assert [use.part for use in uses] == ["p", "p", "p", "q"]


def test_long_parameters_are_hashed_and_the_same_text_gives_the_same_hash() -> None:
    def key(operation: str) -> str:
        layer = {"Name": "p/a", "LayerType": "PointWiseV2", "Operations": [f"auto const var0 = pwgen::{operation};"]}
        return layer_uses([layer], ["p/a"], operators={}, parts=PARTS)[0][0].key

    assert key("iMax(arg0, literal0)") == key("iMax(arg0, literal0)") != key("iMin(arg0, literal0)")
    assert len(key("iMax(arg0, literal0)")) < 80


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("Row major linear FP16 format", "float16[2x2]"),
        ("Two wide channel vectorized row major FP16 format", "float16[2x2]@chw2"),
        ("Channel major INT8 format", "int8[2x2]@hwc"),
        ("Row major Int32 format", "int32[2x2]"),
        ("Row major linear BF16 format", "bfloat16[2x2]"),
        ("Row major linear UInt8 format", "uint8[2x2]"),
        ("FP8", "float8e4m3fn[2x2]"),
        ("something new", "unknown[2x2]"),
    ],
)
def test_types_and_layouts_are_read_from_the_inspectors_words(told: str, expected: str) -> None:
    tensor = {"Name": "x", "Dimensions": [2, 2], "Format/Datatype": told}
    (use,), _ = layer_uses([{"Name": "p/a", "LayerType": "L", "Inputs": [tensor]}], ["p/a"], operators={}, parts=PARTS)
    assert use.key == f"TensorRT.L({expected})->"
    assert (use.memory_mib is None) is expected.startswith("unknown")


@pytest.mark.parametrize("text", ["", "{}", '{"Layers": 3}', "[]", "Layer: a"])
def test_text_that_is_no_description_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="expected the engine inspector's JSON"):
        read_layers(text)


def test_names_alone_are_refused() -> None:
    with pytest.raises(ModelError, match="received names alone"):
        read_layers('{"Layers": ["p/conv + p/relu"]}')


# --- what is refused


def test_without_tensorrt_the_install_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(DeviceError, match="TensorRT is not installed") as caught:
        TensorRtBackend(cuda=CudaRuntime(FakeCuda()))
    assert 'pip install "hwnas[tensorrt]"' in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_tensorrt_that_does_not_import_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise OSError("libnvinfer.so.10: cannot open shared object file")

    monkeypatch.setattr("profilers.backends.tensorrt_api.import_module", broken)
    with pytest.raises(DeviceError, match=r"is installed and does not import: libnvinfer\.so\.10"):
        api.import_tensorrt()


def test_a_tensorrt_that_is_too_old_is_refused(monkeypatch: pytest.MonkeyPatch, trt: FakeTensorRt) -> None:
    module: Any = fake_tensorrt(trt)
    del module.IExecutionContext
    module.__version__ = "8.4.1.5"
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    with pytest.raises(DeviceError, match=r"expected TensorRT 8\.5 or newer, found 8\.4\.1\.5"):
        TensorRtBackend(cuda=CudaRuntime(FakeCuda()))


def test_a_builder_that_finds_no_device_says_why(opened: Open, trt: FakeTensorRt) -> None:
    trt.starts, trt.says = False, "CUDA initialization failure with error: 35. Please check your CUDA installation"
    with pytest.raises(DeviceError, match="driver and the runtime do not fit together: CUDA initialization failure"):
        opened()
    trt.says = "made up"
    with pytest.raises(DeviceError, match="does not start here: made up"):
        opened()


@every_generation
def test_an_operator_that_tensorrt_does_not_take_is_named(version: str, opened: Open, trt: FakeTensorRt) -> None:
    trt.refused = "NonZero"
    with pytest.raises(
        ModelError, match=r"does not take the model: NonZero \(q/nonzero\): creator && .Plugin"
    ) as caught:
        opened(version).time(model_of("Relu", "NonZero"), PLAN)
    assert "choose another precision or backend" in str(caught.value)


@pytest.mark.parametrize(
    ("fails", "verb"),
    [("build", "build an engine for"), ("deserialise", "load"), ("run", "run"), ("report", "profile")],
)
def test_what_fails_is_told_in_tensorrts_words_and_nothing_stays(
    fails: str, verb: str, opened: Open, trt: FakeTensorRt, device: FakeCuda
) -> None:
    backend = opened()
    trt.fails = fails
    with pytest.raises(ModelError, match=rf"TensorRT 10\.16\.1\.11 cannot {verb} the model: ") as caught:
        backend.profile(model_of("Relu"), PARTS, PLAN)
    assert ("made up" in str(caught.value)) is (fails != "report")
    assert set(device.alive.values()) == {"stream"}


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        ("[x.cpp] Error Code 1: Cuda Runtime (out of memory)", "device out of memory"),
        ("[x.cpp] Error Code 2: OutOfMemory (Requested size was 4294967296 bytes.)", "device out of memory"),
        ("[x.cpp] Error Code 1: Cuda Runtime (an illegal memory access was encountered)", "the GPU was lost"),
    ],
)
@pytest.mark.parametrize("fails", ["build", "deserialise", "run"])
def test_a_device_that_fails_is_no_fault_of_the_model(
    fails: str, says: str, expected: str, opened: Open, trt: FakeTensorRt, device: FakeCuda
) -> None:
    backend = opened()
    trt.fails, trt.says = fails, says
    with pytest.raises(DeviceError, match=expected) as caught:
        backend.time(model_of("Relu"), PLAN)
    assert caught.value.exit_code == 3
    assert set(device.alive.values()) == {"stream"}


def test_a_gpu_lost_between_two_runs_is_told_and_everything_is_let_go(opened: Open, device: FakeCuda) -> None:
    backend = opened()
    device.fail("cudaEventSynchronize", 719, after=2)
    with pytest.raises(DeviceError, match=r"the GPU was lost .*: cudaEventSynchronize returned cudaErrorLaunchFailure"):
        backend.time(model_of("Relu"), PLAN)
    assert set(device.alive.values()) == {"stream"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "FP8"}, r"tensor 'image' is FP8\[1x3\]: expected numbers with fixed sizes on the device"),
        ({"location": "HOST"}, r"tensor 'p/out' is FLOAT\[1x3\] on the host"),
    ],
)
def test_tensors_that_cannot_be_bound_are_refused(
    change: dict[str, str], message: str, opened: Open, trt: FakeTensorRt
) -> None:
    backend = opened()
    for name, value in change.items():
        setattr(trt, name, value)
    with pytest.raises(ModelError, match=message):
        backend.time(model_of("Relu"), PLAN)


def test_what_the_binding_raises_ends_as_no_traceback(opened: Open, trt: FakeTensorRt) -> None:
    backend = opened()
    backend._runtime = object()
    with pytest.raises(ModelError, match=r"cannot load the model: .*deserialize_cuda_engine"):
        backend.time(model_of("Relu"), PLAN)


def test_a_model_with_axes_that_are_no_constant_is_left_as_it_is(trt: FakeTensorRt) -> None:
    trt.version = "8.5.3.1"
    lowered = api.readable(fake_tensorrt(trt), parse_model(mean_model(constant=False)))
    assert list(lowered.graph.node[0].input) == ["image", "p/axes"]
