"""A TensorRT engine in a bundle: the two files, and what is said of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

ENGINE, TIMINGS = "model.plan", "timing.cache"


class Engine(Protocol):
    """A model as TensorRT compiled it, as any package that runs it may hand it over."""

    @property
    def content(self) -> bytes:
        """The engine, serialised."""

    @property
    def timing_cache(self) -> bytes:
        """The times of kernels that it was chosen by, serialised; empty for none."""

    @property
    def measured(self) -> bool:
        """Whether it was timed before it was asked for, and not built anew."""

    @property
    def conditions(self) -> Mapping[str, Any]:
        """What it depends on, as JSON values: ``tensorrt``, ``gpu``, ``compute_capability``, ``driver`` and so on."""


class EngineMaker(Protocol):
    """Compiles models on the device that the table is of. Lives outside ``hwnas``, which never touches a device."""

    def __call__(self, model: bytes) -> Engine:
        """The engine of one serialised ONNX model, for one image a run where the model leaves that open."""


def write_engine(maker: EngineMaker, folder: Path, *, precision: str) -> dict[str, Any]:
    """Writes the engine of ``model.onnx`` beside it.

    Args:
        maker: Makes it; whatever it raises is told in the result.
        folder: The bundle.
        precision: Of the model.

    Returns:
        What is to be said of the engine, as JSON values; ``failed`` alone where there is none.

    Raises:
        OSError: A file cannot be read or written.
    """
    model = (folder / "model.onnx").read_bytes()
    try:
        made = maker(model)
    except Exception as error:  # the maker is another package's: an engine that fails must not cost the bundle
        return {"failed": str(error) or type(error).__name__}
    (folder / ENGINE).write_bytes(made.content)
    if made.timing_cache:
        (folder / TIMINGS).write_bytes(made.timing_cache)
    return {
        "file": ENGINE,
        "sha256": hashlib.sha256(made.content).hexdigest(),
        "timing_cache": TIMINGS if made.timing_cache else None,
        "portable": False,
        "measured": made.measured,
        "batch": 1,
        "precision": precision,
        **made.conditions,
    }


def read_engine(folder: Path) -> dict[str, Any] | None:
    """What a bundle says of its engine; ``None`` where none was asked for.

    Raises:
        OSError: It is no bundle.
    """
    found: dict[str, Any] | None = json.loads((folder / "provenance.json").read_text(encoding="utf-8")).get("engine")
    return found


def engine_words(engine: Mapping[str, Any]) -> str:
    """What an engine runs on, or why there is none, in a line."""
    if "failed" in engine:
        return f"not made: {engine['failed']}"
    told = {name: engine.get(name) or "unknown" for name in ("gpu", "compute_capability", "driver", "tensorrt")}
    return (
        f"`{engine['file']}` is the model in {engine['precision']} for TensorRT {told['tensorrt']} on one GPU alone, "
        f"{told['gpu']} (compute capability {told['compute_capability']}, driver {told['driver']})"
    )
