"""Every backend that runs here passes the suite that third parties are given, the documentation's example included."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from profilers import Backend, BackendSettings, OnnxRuntimeBackend
from profilers.testing import BackendConformance

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom_backend.py"


def example() -> Any:
    spec = importlib.util.spec_from_file_location("custom_backend", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["custom_backend"] = module
    spec.loader.exec_module(module)
    return module


class TestOnnxRuntimeOnTheCpu(BackendConformance):
    def make_backend(self) -> Backend:
        return OnnxRuntimeBackend()


class TestOnnxRuntimeInPlace(BackendConformance):
    def make_backend(self) -> Backend:
        backend = OnnxRuntimeBackend(BackendSettings(threads=2))
        backend.method = "in-place"
        return backend


class TestTheDocumentationsExample(BackendConformance):
    def make_backend(self) -> Backend:
        backend: Backend = example().ReferenceBackend(BackendSettings(device="reference"))
        return backend


def test_the_suite_says_what_is_missing() -> None:
    with pytest.raises(NotImplementedError, match="make_backend"):
        BackendConformance().test_it_says_what_it_is()


class Mislabelling(OnnxRuntimeBackend):
    """FAKE: says it is another provider than its runs report."""

    def time(self, model: bytes, plan: Any) -> Any:
        timed = super().time(model, plan)
        return type(timed)(run_ms=-timed.run_ms, preempted=timed.preempted, provider=timed.provider)


class Unsteady(OnnxRuntimeBackend):
    """FAKE: its fingerprint changes with every call."""

    calls = 0

    def fingerprint(self) -> dict[str, Any]:
        type(self).calls += 1
        return {**super().fingerprint(), "calls": self.calls}


@pytest.mark.parametrize(
    ("backend", "test", "complaint"),
    [
        (Mislabelling, "test_times_are_times", "positive"),
        (Unsteady, "test_its_fingerprint_is_flat_complete_and_steady", "minute to minute"),
    ],
)
def test_the_suite_finds_what_is_wrong(backend: type[OnnxRuntimeBackend], test: str, complaint: str) -> None:
    class Suite(BackendConformance):
        def make_backend(self) -> Backend:
            return backend()

    with pytest.raises(AssertionError, match=complaint):
        getattr(Suite(), test)()
