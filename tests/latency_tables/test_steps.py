"""Convolutions read from kernel keys, made wider, and looked up at the end of their step."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latency_tables import (
    Convolution,
    KernelRow,
    LatencyTable,
    MissingRowError,
    StepRow,
    convolution,
    snapped,
    widened,
)
from tests.builders import PROVIDER, made_up_manifest, made_up_timing

# keys as ONNX Runtime's CPU provider gives them; channels and spatial sizes are equal where mistaking them could show
NCHWC = (
    "com.microsoft.nchwc.Conv(float[1x64x28x28],float[{n}x64x3x3],float[{n}])->float[1x{n}x28x28]"
    "{{activation=Relu,group=1,kernel_shape=3x3,pads=1x1x1x1}}"
)
SUMMED = (
    "com.microsoft.FusedConv(float[1x{n}x64x64],float[{n}x{n}x1x1],float[{n}],float[1x{n}x64x64])"
    "->float[1x{n}x64x64]{{activation=Relu,group=1,kernel_shape=1x1}}"
)
DEPTHWISE = (
    "com.microsoft.nchwc.Conv(float[1x{n}x64x64],float[{n}x1x5x5],float[{n}])->float[1x{n}x64x64]"
    "{{activation=HardSwish,dilations=1x1,group={n},kernel_shape=5x5,pads=2x2x2x2,strides=1x1}}"
)
BATCHED = "Conv(float16[64x3x64x64],float16[{n}x3x3x3],float16[{n}])->float16[64x{n}x64x64]{{group=1,strides=1x1}}"
PER_CHANNEL = (
    "com.microsoft.QLinearConv(uint8[1x64x64x16],float[],uint8[],int8[{n}x16x3x3],float[{n}],int8[{n}],"
    "float[],uint8[],int32[{n}])->uint8[1x64x64x{n}]{{channels_last=1,group=1,kernel_shape=3x3,pads=1x1x1x1}}"
)
ONE_SCALE = (
    "com.microsoft.QLinearConv(uint8[1x64x64x16],float[],uint8[],int8[{n}x16x3x3],float[],int8[],"
    "float[],uint8[],int32[{n}])->uint8[1x64x64x{n}]{{channels_last=1,group=1,kernel_shape=3x3,pads=1x1x1x1}}"
)
ONE_SCALE_IN_A_VECTOR = ONE_SCALE.replace("float[],int8[]", "float[1],int8[1]")
INTEGER_DEPTHWISE = (
    "com.microsoft.QLinearConv(uint8[1x64x64x{n}],float[],uint8[],int8[{n}x1x3x3],float[{n}],int8[{n}],"
    "float[],uint8[],int32[{n}])->uint8[1x64x64x{n}]{{channels_last=1,group={n},kernel_shape=3x3}}"
)
CHANNELS_FIRST = (
    "QLinearConv(uint8[1x16x64x64],float[],uint8[],int8[{n}x16x3x3],float[{n}],int8[{n}],float[],uint8[])"
    "->uint8[1x{n}x64x64]{{kernel_shape=3x3}}"
)
CUDA_NHWC = "com.ms.internal.nhwc.Conv(float16[1x64x64x16],float16[{n}x16x3x3])->float16[1x64x64x{n}]{{group=1}}"
NO_ATTRIBUTES = "Conv(float[1x3x8x8],float[{n}x3x1x1],-)->float[1x{n}x8x8]"
KEYS = {
    name: value
    for name, value in globals().items()
    if isinstance(value, str) and name.isupper() and name != "PROVIDER" and "{n}" in value
}
FAMILIES = {
    "NCHWC": "Conv 3x3 dense float: output channels",
    "SUMMED": "Conv 1x1 dense float: output channels",
    "DEPTHWISE": "Conv 5x5 depthwise float: output channels",
    "BATCHED": "Conv 3x3 dense float16: output channels",
    "PER_CHANNEL": "Conv 3x3 dense int8: output channels",
    "ONE_SCALE": "Conv 3x3 dense int8: output channels",
    "ONE_SCALE_IN_A_VECTOR": "Conv 3x3 dense int8: output channels",
    "INTEGER_DEPTHWISE": "Conv 3x3 depthwise int8: output channels",
    "CHANNELS_FIRST": "Conv 3x3 dense int8: output channels",
    "CUDA_NHWC": "Conv 3x3 dense float16: output channels",
    "NO_ATTRIBUTES": "Conv 1x1 dense float: output channels",
}

kinds = st.sampled_from(sorted(KEYS))
widths = st.integers(2, 600)  # one channel is no depthwise convolution
steps = st.integers(1, 64)


def of(name: str, width: int) -> str:
    return KEYS[name].format(n=width)


def read(key: str) -> Convolution:
    found = convolution(key)
    assert found is not None
    return found


@pytest.mark.parametrize("name", KEYS)
def test_a_convolution_is_read_from_its_key(name: str) -> None:
    found = read(of(name, 48))
    assert found.family == FAMILIES[name]
    assert found.out_channels == 48
    assert found.key == of(name, 48)
    assert found.depthwise == ("depthwise" in found.family)


@given(kinds, widths, widths)
def test_widening_gives_the_key_of_the_wider_convolution(name: str, width: int, other: int) -> None:
    if name == "SUMMED":  # reads as many channels as it writes, and only what it writes is varied
        expected = of(name, other).replace(f"float[1x{other}x64x64],", f"float[1x{width}x64x64],", 1)
        expected = expected.replace(f"float[{other}x{other}x1x1]", f"float[{other}x{width}x1x1]", 1)
    else:
        expected = of(name, other)
    assert widened(read(of(name, width)), other) == expected


@given(kinds, widths, widths, widths)
def test_widening_twice_is_widening_once(name: str, width: int, first: int, second: int) -> None:
    kernel = read(of(name, width))
    assert widened(read(widened(kernel, first)), second) == widened(kernel, second)
    assert widened(kernel, width) == kernel.key


@given(kinds, widths, steps)
def test_snapping_goes_up_to_the_step_and_stays_there(name: str, width: int, step: int) -> None:
    kernel = read(of(name, width))
    end = snapped(kernel, step)
    assert end == read(end.key)
    assert snapped(end, step) == end
    assert end.family == kernel.family
    assert end.out_channels % step == 0
    assert 0 <= end.out_channels - width < step


@given(kinds, widths, steps, st.integers(1, 4))
def test_all_widths_of_a_step_end_at_the_same_kernel(name: str, width: int, step: int, multiple: int) -> None:
    kernel = read(of(name, width))
    below = read(widened(kernel, max(2, snapped(kernel, step).out_channels - step + 1)))
    assert snapped(below, step).key == snapped(kernel, step).key
    coarse = snapped(snapped(kernel, step), step * multiple)
    assert coarse.key == snapped(kernel, step * multiple).key


@pytest.mark.parametrize(
    "key",
    [
        "",
        "Conv",
        "Conv()->",
        "Conv(float[1x3x8x8])->float[1x8x8x8]",
        "Conv(float[1x3x8],float[8x3x1])->float[1x8x8]",
        "Conv(-,-)->-",
        "Gemm(float[1x64],float[10x64],float[10])->float[1x10]{transA=0,transB=1}",
        "ConvTranspose(float[1x3x8x8],float[3x8x2x2])->float[1x8x16x16]{group=1}",
        "com.microsoft.nchwc.ReorderOutput(float[1x64x2x2])->float[1x64x2x2]{channels=64}",
        "Conv(float[1x32x8x8],float[64x8x3x3])->float[1x64x8x8]{group=4}",
        "Conv(float[1x32x8x8],float[64x1x3x3])->float[1x64x8x8]{group=32}",
        "block:mb(in=16,out=16,k=3,s=1,e=6,se=0,act=relu,px=12)",
        "mb(in=16,out=16,k=3,s=1,e=6,se=0,act=relu,px=12)",
    ],
)
def test_what_is_no_dense_or_depthwise_convolution_is_none(key: str) -> None:
    assert convolution(key) is None


@given(st.text(max_size=40) | st.text(alphabet="Conv(float[1x8],){group=}->-", max_size=60))
def test_any_text_can_be_asked(key: str) -> None:
    found = convolution(key)
    assert found is None or widened(found, found.out_channels) == key


def test_a_width_or_step_below_one_is_refused() -> None:
    kernel = read(of("NCHWC", 64))
    with pytest.raises(ValueError, match="expected at least 1 output channel, received 0"):
        widened(kernel, 0)
    with pytest.raises(ValueError, match="expected a step of at least 1 channel, received 0"):
        snapped(kernel, 0)
    with pytest.raises(ValueError, match="expected the key of a convolution, received 'Gemm'"):
        widened(Convolution("Gemm", "float", 1, 1, "1x1", depthwise=False), 2)


# --- lookups


def _row(key: str, latency_ms: float = 0.5) -> KernelRow:
    return KernelRow(key=key, timing=made_up_timing(latency_ms), provider=PROVIDER)


def _table(name: str, step: int, *widths: int) -> LatencyTable:
    rows = [_row(of(name, width), latency_ms=0.001 * width) for width in widths]
    measured = StepRow(key=FAMILIES[name], step=step, widths=(1, 2), latency_ms=(0.1, 0.1))
    return LatencyTable.from_rows(made_up_manifest(), [*rows, measured])


@pytest.mark.parametrize("name", KEYS)
def test_a_missing_width_is_looked_up_at_the_end_of_its_step(name: str) -> None:
    table = _table(name, 16, 64, 50)
    lacking, end = (of(name, 64), 64) if name == "SUMMED" else (of(name, 57), 64)
    assert table.kernel(lacking, snap=True).key == of(name, end)
    assert table.kernel(of(name, 50), snap=True).key == of(name, 50), "its own row comes first"


@pytest.mark.parametrize(("step", "width"), [(16, 65), (16, 48), (8, 49), (1, 57)])
def test_a_lookup_never_goes_to_another_step(step: int, width: int) -> None:
    with pytest.raises(MissingRowError):
        _table("NCHWC", step, 64).kernel(of("NCHWC", width), snap=True)


def test_without_being_asked_or_without_a_measured_step_nothing_is_snapped() -> None:
    table = _table("NCHWC", 16, 64)
    with pytest.raises(MissingRowError) as caught:
        table.kernel(of("NCHWC", 57))
    assert caught.value.nearest[0] == of("NCHWC", 64)
    with pytest.raises(MissingRowError):
        LatencyTable(table.manifest, kernels=table.kernels).kernel(of("NCHWC", 57), snap=True)
    with pytest.raises(MissingRowError):
        table.kernel(of("PER_CHANNEL", 57), snap=True)
    with pytest.raises(MissingRowError):
        table.kernel("Gemm(float[1x57])->float[1x10]", snap=True)
