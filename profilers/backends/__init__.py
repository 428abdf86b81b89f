"""One runner a runtime, all of the same shape and independent of one another."""

from profilers.backends.onnxruntime import OnnxRuntimeBackend, ProfiledRuns, TimedRuns

__all__ = ["OnnxRuntimeBackend", "ProfiledRuns", "TimedRuns"]
