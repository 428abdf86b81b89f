"""What a third party's backend says of itself and returns, before it is believed: every fault is named as its own."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from profilers import DeviceMeter, PluginError, RunPlan, profile_model
from profilers.backends import Inspection, TimedRuns
from profilers.coverage import inspect
from profilers.guards import checked_backend, checked_fingerprint, checked_inspection, checked_kernels, checked_times
from profilers.guards import guarded as guard
from profilers.kernels import KernelUse
from profilers.testing import chain
from tests.profilers.fakes_backend import WORKLOADS, FakeBackend, PlainFake, campaign

TEXTS = ("name", "version", "device", "device_name", "provider")
MEMBERS = (*TEXTS, "threads", "method", "fingerprint", "time")


def saying(base: type[Any] = PlainFake, **members: Any) -> Any:
    """FAKE: a backend that says something else of itself; what is an exception is raised."""

    def told(value: Any) -> property:
        def get(_: object) -> Any:
            if isinstance(value, BaseException):
                raise value
            return value

        return property(get, lambda *_: None)

    return type("Theirs", (base,), {name: told(value) for name, value in members.items()})()


# --- what it says of itself


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), OSError(errno.EACCES, "denied"), SystemExit(0)])
@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_that_raises_ends_as_the_plug_ins_fault(member: str, error: BaseException) -> None:
    with pytest.raises(PluginError, match=rf"does not tell its {member}: {type(error).__name__}") as caught:
        checked_backend(saying(**{member: error}))
    assert ("'fakeruntime'" if member != "name" else "'Theirs'") in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_that_is_not_there_is_missed_by_its_name(member: str) -> None:
    with pytest.raises(PluginError, match=rf"lacks {member}, which profilers\.backends\.Backend asks for"):
        checked_backend(saying(**{member: AttributeError(member)}))


NONSENSE = [
    *((name, value, "text that is not empty") for name in TEXTS for value in (None, "", " ", 7, b"cpu", "\ud800")),
    *(("threads", value, "a whole number from 1") for value in (0, -1, 1.0, float("nan"), "1", True, None, 10**12)),
    *(("method", value, "one of in-place, isolated, blocks") for value in ("magic", None, 1, [])),
    *((name, None, "a method") for name in ("fingerprint", "time")),
]


@pytest.mark.parametrize(("member", "value", "expected"), NONSENSE)
def test_a_member_that_cannot_be_is_refused_with_what_is_expected(member: str, value: object, expected: str) -> None:
    with pytest.raises(PluginError, match=rf"must have {expected}.* as {member}, but has"):
        checked_backend(saying(**{member: value}))


@pytest.mark.parametrize(("method", "lacking"), [("isolated", "Isolating"), ("in-place", "InPlace")])
def test_a_method_that_it_does_not_offer_is_its_own_fault(method: str, lacking: str) -> None:
    with pytest.raises(PluginError, match=rf"says its method is '{method}' and lacks what {lacking}"):
        checked_backend(PlainFake(method=method))  # type: ignore[arg-type]


def test_whether_it_quantises_symmetrically_is_asked_in_time() -> None:
    with pytest.raises(PluginError, match="ZeroDivisionError"):
        checked_backend(saying(symmetric_int8=ZeroDivisionError()))


def test_the_name_it_was_asked_for_by_is_the_one_that_is_told() -> None:
    with pytest.raises(PluginError, match="the backend 'npu' does not tell its version"):
        checked_backend(saying(version=KeyError()), called="npu")


@pytest.mark.parametrize(
    "told",
    [
        *(None, {}, [], "cpu", {1: 2}, {"a": float("nan")}, {"a": float("inf")}, {"a": []}, {"a": {}}),
        *({"a": np.int64(1)}, {"a": "\ud800"}, {"\ud800": 1}, {"a": object()}),
    ],
    ids=lambda told: re.sub(" at 0x[0-9a-f]+", "", repr(told)),  # the same in every process
)
def test_a_fingerprint_that_cannot_be_kept_is_refused(told: Any) -> None:
    backend = PlainFake()
    backend.fingerprint = lambda: told  # type: ignore[method-assign]
    with pytest.raises(PluginError, match="the backend 'fakeruntime' must return a fingerprint"):
        checked_fingerprint(backend)


def test_a_sound_backend_is_believed() -> None:
    for backend in (PlainFake(), FakeBackend()):
        checked_backend(backend)
        assert checked_fingerprint(backend) == backend.conditions


def test_it_is_looked_at_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(chain((8, 8)).model)
    calls: list[Callable[[Any], object]] = [
        lambda backend: campaign(backend, tmp_path / "t.jsonl"),
        lambda backend: profile_model(tmp_path / "net.onnx", backend=backend),
        lambda backend: DeviceMeter(backend=backend)(WORKLOADS[0].model),
    ]
    for call in calls:
        backend = saying(device_name=ZeroDivisionError())
        with pytest.raises(PluginError, match="device_name"):
            call(backend)
        assert backend.calls == []
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.parametrize("early", [True, False])
def test_a_member_that_raises_is_told_before_anything_is_measured_and_not_asked_for_afterwards(
    tmp_path: Path, early: bool
) -> None:
    class Fading(FakeBackend):
        @property
        def device_name(self) -> str:  # type: ignore[override]
            if early or self.calls:
                raise ConnectionError("unplugged")
            return "Fake device"

    backend = Fading()
    if early:
        with pytest.raises(PluginError, match="does not tell its device_name: ConnectionError: unplugged"):
            campaign(backend, tmp_path / "t.jsonl")
        assert not backend.measured
    else:
        assert campaign(backend, tmp_path / "t.jsonl").manifest.device_name == "Fake device"


# --- what it raises and returns


def raising(error: BaseException) -> Callable[[], object]:
    def call() -> object:
        raise error

    return call


def test_of_the_operating_systems_errors_a_full_disk_alone_is_nobodys_fault() -> None:
    for code in (errno.ENOSPC, errno.EDQUOT):
        with pytest.raises(OSError, match=os.strerror(code)):
            guard(PlainFake(), raising(OSError(code, os.strerror(code))))
    for error in (OSError("libnpu.so.7: missing"), PermissionError(errno.EACCES, "/dev/npu0"), TimeoutError()):
        with pytest.raises(PluginError, match=f"'fakeruntime' failed: {type(error).__name__}"):
            guard(PlainFake(), raising(error))


def runs(**changes: Any) -> TimedRuns:
    plain = TimedRuns(run_ms=np.ones(3), preempted=np.zeros(3, dtype=np.bool_), provider=PlainFake.provider)
    return replace(plain, **changes)


def test_single_times_come_back_as_plain_numbers() -> None:
    found = checked_times(PlainFake(), runs(load_ms=np.float32(2.5), first_ms=None))
    assert (type(found.load_ms), found.load_ms, found.first_ms) == (float, 2.5, None)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"run_ms": np.zeros(3)}, "runs that took no time at all"),
        ({"run_ms": np.full(3, 1e13)}, r"times \(run_ms\) of years"),
        ({"load_ms": "soon"}, "must return numbers as load_ms"),
        ({"first_ms": -1.0}, r"times \(first_ms\) that are negative or not finite"),
        ({"run_ms": ["a", "b", "c"]}, "must return times in an array"),
    ],
)
def test_times_that_cannot_be_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PluginError, match=complaint):
        checked_times(PlainFake(), runs(**changes))


USE = KernelUse(node="n", key="k", part="p")


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (Inspection(uses=(replace(USE, key=""),)), "kernels that say their node, key"),
        (Inspection(uses=(replace(USE, key=7),)), "kernels that say their node, key"),  # type: ignore[arg-type]
        (Inspection(uses=(replace(USE, elements=(1,)),)), "kernels that say"),  # type: ignore[arg-type]
        (Inspection(uses=("Conv",)), "kernels that say"),  # type: ignore[arg-type]
        (Inspection(uses=None), "'fakeruntime' failed: TypeError"),  # type: ignore[arg-type]
        (Inspection(uses=(), memory_mib=float("nan")), "a finite memory_mib of at least 0, or None"),
        (Inspection(uses=(replace(USE, memory_mib=-1.0),)), "a finite memory_mib of at least 0, or None"),
        (Inspection(uses=(replace(USE, part="q"),)), "found kernels of part 'q': expected one of p"),
    ],
)
def test_kernels_that_cannot_be_are_refused(found: Inspection, complaint: str) -> None:
    with pytest.raises(PluginError, match=complaint):
        checked_inspection(PlainFake(), found, {"p": "block"})
    assert checked_inspection(PlainFake(), Inspection(uses=[USE]), {"p": "block"}).uses == (USE,)  # type: ignore[arg-type]


def test_kernels_alone_come_by_their_keys() -> None:
    with pytest.raises(PluginError, match="must return kernels by their keys"):
        checked_kernels(PlainFake(), [])  # type: ignore[arg-type]


def test_what_covers_a_space_is_looked_at_too() -> None:
    class Odd(FakeBackend):
        def isolate(self, model: bytes, parts: Any) -> Any:
            return 42

        def profile(self, model: bytes, parts: Any, plan: RunPlan) -> Any:
            return 42

    for method, complaint in (("isolated", "TypeError"), ("in-place", "must return ProfiledRuns")):
        with pytest.raises(PluginError, match=complaint):
            inspect(Odd(), WORKLOADS[0], method)  # type: ignore[arg-type]
