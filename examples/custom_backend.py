"""A backend of one's own in one file: ONNX's reference interpreter as a device called "reference".

It is slow and no hardware at all, so it runs anywhere. Announce such a class in your package's pyproject.toml,

    [project.entry-points."hwnas.backends"]
    reference = "custom_backend:ReferenceBackend"

and `hwnas profile --device reference` finds it.
"""

from __future__ import annotations

import onnx
from onnx.reference import ReferenceEvaluator

from profilers import BackendSettings, ModelError, RunPlan
from profilers.backends import Method, TimedRuns, run_block
from profilers.models import graph_feeds, parse_model


class ReferenceBackend:
    """Interprets ONNX graphs in Python."""

    devices = ("reference",)
    name, provider, version = "onnx-reference", "ReferenceEvaluator", onnx.__version__
    device_name = "ONNX reference interpreter"
    method: Method = "blocks"  # all that is needed is `time`; networks are cut into blocks for us

    def __init__(self, settings: BackendSettings) -> None:
        """Opens the device; raise ``profilers.DeviceError`` here when it is not usable."""
        self.device, self.threads = settings.device, 1

    def fingerprint(self) -> dict[str, bool | int | float | str | None]:
        """What a latency depends on: a table made under another fingerprint is refused."""
        runtime = f"{self.name} {self.version}"
        return {"device": self.device, "runtime": runtime, "provider": self.provider, "threads": self.threads}

    def time(self, model: bytes, plan: RunPlan) -> TimedRuns:
        """Times whole runs; ``run_block`` sees to warm-up, clock and interruptions."""
        graph = parse_model(model)  # raises ModelError
        feeds = graph_feeds(graph)
        try:
            session = ReferenceEvaluator(graph)
            times = run_block(lambda: session.run(None, feeds) and None, plan)
        except Exception as error:
            raise ModelError(f"the interpreter cannot run the model: {error}") from error
        return TimedRuns(run_ms=times.run_ms, preempted=times.preempted, provider=self.provider)
