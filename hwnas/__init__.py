"""Hardware-aware neural architecture search.

The verbs are those of the command line: ``search`` finds the networks that are best on a device, given the latency
table that ``profilers.profile`` made of it; ``export`` hands one over as verified ONNX; ``report`` writes what happened
as a page. ``network_family`` gives a space with its networks, which is what a profiler is asked to measure.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwnas.exports import export
    from hwnas.networks import network_family
    from hwnas.reports import report
    from hwnas.study import open_run, search
    from hwnas.training import load_data

try:
    __version__ = version("hwnas")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

# name -> room; imported on first use, so that a light import stays light and nothing below is pulled in by accident
_ROOMS = {
    "export": "hwnas.exports",
    "load_data": "hwnas.training",
    "network_family": "hwnas.networks",
    "open_run": "hwnas.study",
    "report": "hwnas.reports",
    "search": "hwnas.study",
}

__all__ = ["export", "load_data", "network_family", "open_run", "report", "search"]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return getattr(import_module(_ROOMS[name]), name)
    raise AttributeError(f"module 'hwnas' has no attribute {name!r}")
