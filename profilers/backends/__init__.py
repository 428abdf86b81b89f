"""One runner a runtime, all of the same shape and independent of one another."""

from profilers.backends.blocks import BlockTimes, run_block
from profilers.backends.contract import (
    METHODS,
    Backend,
    BackendSettings,
    Compiling,
    Engine,
    InPlace,
    Inspection,
    IsolatedKernel,
    Isolating,
    Method,
    ProfiledRuns,
    RunPlan,
    TimedRuns,
)
from profilers.backends.onnxruntime import OnnxRuntimeBackend

__all__ = [
    "METHODS",
    "Backend",
    "BackendSettings",
    "BlockTimes",
    "Compiling",
    "Engine",
    "InPlace",
    "Inspection",
    "IsolatedKernel",
    "Isolating",
    "Method",
    "OnnxRuntimeBackend",
    "ProfiledRuns",
    "RunPlan",
    "TimedRuns",
    "run_block",
]
