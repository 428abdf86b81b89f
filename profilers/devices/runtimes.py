"""Describe the inference runtimes: which are installed, and which execution providers really load.

onnxruntime lists the CUDA and TensorRT providers wherever its GPU wheel is installed, without a GPU as well, and then
creates the session on the CPU in silence. The providers of a real session are therefore the only evidence.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import tempfile
import warnings
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import packages_distributions
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PROVIDERS_OF_INTEREST = ("CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider")

_CURE_INSTALL = 'pip install "hwnas[cpu]", or "hwnas[gpu]" where there is an NVIDIA GPU'
_CURE_TENSORRT = 'pip install "hwnas[tensorrt]"'
_IR_VERSION = 10
_OPSET = 17
_FATAL_ONLY = 4


@dataclass(frozen=True)
class ProviderDescription:
    """One execution provider of onnxruntime.

    Attributes:
        name: onnxruntime's name of it, such as ``CUDAExecutionProvider``.
        listed: Whether ``get_available_providers`` lists it; this tells how the wheel was built and is no evidence.
        loads: Whether a session took it and ran a one-node model with it first in line.
        reason: Why it does not load; ``None`` when it loads.
    """

    name: str
    listed: bool
    loads: bool
    reason: str | None


@dataclass(frozen=True)
class RuntimeDescription:
    """The onnxruntime of this environment.

    Attributes:
        version: Its version; ``None`` when it is missing or does not import.
        distributions: Sorted names of the installed distributions that provide the import name ``onnxruntime``.
        listed_providers: What ``get_available_providers`` lists; no evidence that any of them loads.
        providers: The providers of interest, each tried in a session; empty without a version.
        reason: What is wrong with the installation; ``None`` when nothing is.
        cure: What to do about it.
    """

    version: str | None
    distributions: tuple[str, ...]
    listed_providers: tuple[str, ...] = ()
    providers: tuple[ProviderDescription, ...] = ()
    reason: str | None = None
    cure: str | None = None

    def loads(self, provider: str) -> bool:
        """Tell whether a provider really loads.

        Args:
            provider: onnxruntime's name of it; one that was not tried does not load.

        Returns:
            True when a session took the provider.
        """
        return any(entry.loads for entry in self.providers if entry.name == provider)


@dataclass(frozen=True)
class TensorRtDescription:
    """The native ``tensorrt`` module.

    Attributes:
        version: Its version; ``None`` when it is missing or does not import.
        reason: Why there is no version.
        cure: What to do about it.
    """

    version: str | None
    reason: str | None = None
    cure: str | None = None


def describe_onnxruntime() -> RuntimeDescription:
    """Describe onnxruntime by trying each provider of interest in a session.

    Loads the CUDA libraries into this process where the GPU wheel finds them. While it runs, file descriptor 2 of the
    process is redirected; call it before other threads write there. Never raises for a missing or broken installation.

    Returns:
        The description; without onnxruntime, one with a reason and a cure.
    """
    # A half-removed distribution has no name.
    distributions = tuple(sorted({name for name in packages_distributions().get("onnxruntime", ()) if name}))
    try:
        # Its device discovery warns on standard error while it is imported on a machine without a GPU.
        with _collected_stderr():
            module = import_module("onnxruntime")
        version, listed = str(module.__version__), tuple(module.get_available_providers())
    except (ImportError, OSError, AttributeError) as error:
        return _describe_unusable(error, distributions)
    providers = tuple(_try_provider(module, name, listed) for name in PROVIDERS_OF_INTEREST)
    reason = cure = None
    if len(distributions) > 1:
        reason, cure = _overwritten(distributions)
    return RuntimeDescription(version, distributions, listed, providers, reason, cure)


def describe_tensorrt() -> TensorRtDescription:
    """Describe the native TensorRT by importing it; never raises for a missing or broken installation.

    Returns:
        The version, or a reason and a cure.
    """
    try:
        with _collected_stderr():
            return TensorRtDescription(str(import_module("tensorrt").__version__))
    except ModuleNotFoundError as error:
        return TensorRtDescription(None, f"tensorrt is not installed: {error}", _CURE_TENSORRT)
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        # Its loader module raises whatever the first missing shared library raises.
        return TensorRtDescription(None, f"tensorrt is installed and does not import: {error}", _CURE_TENSORRT)


def _describe_unusable(error: Exception, distributions: tuple[str, ...]) -> RuntimeDescription:
    if len(distributions) > 1:
        reason, cure = _overwritten(distributions)
        return RuntimeDescription(None, distributions, reason=f"{reason}; it does not import: {error}", cure=cure)
    if isinstance(error, ModuleNotFoundError) and error.name == "onnxruntime":
        return RuntimeDescription(None, distributions, reason="onnxruntime is not installed", cure=_CURE_INSTALL)
    # After one of two wheels was uninstalled the folder is still there and imports as an empty namespace.
    reason = f"onnxruntime is there and does not work: {error}"
    return RuntimeDescription(None, distributions, reason=reason, cure=_cure_of_reinstalling(distributions))


def _overwritten(distributions: tuple[str, ...]) -> tuple[str, str]:
    reason = f"{len(distributions)} distributions overwrite each other in one folder: {', '.join(distributions)}"
    return reason, f"uninstall all of them, install one: {_cure_of_reinstalling(distributions)}"


def _cure_of_reinstalling(distributions: tuple[str, ...]) -> str:
    return f"pip uninstall -y {' '.join(distributions) or 'onnxruntime'}, then {_CURE_INSTALL}"


def _one_node_model() -> bytes:
    """Return a serialised ONNX model of one Relu over one number."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "probe", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", _OPSET)]
    return bytes(helper.make_model(graph, ir_version=_IR_VERSION, opset_imports=opsets).SerializeToString())


def _try_provider(module: ModuleType, name: str, listed: tuple[str, ...]) -> ProviderDescription:
    if name not in listed:
        return ProviderDescription(name, listed=False, loads=False, reason="this wheel was built without it")
    failure: str | None = None
    taken: list[str] = []
    with _collected_stderr() as log, contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            taken = _run_session(module, name)
        except Exception as error:  # the binding's own errors derive from Exception and nothing narrower
            failure = " ".join(str(error).split()) or type(error).__name__
    if failure is None and taken[:1] == [name]:
        return ProviderDescription(name, listed=True, loads=True, reason=None)
    reason = _logged_reason(log) or failure or f"asked for {name}, the session took {', '.join(taken) or 'none'}"
    return ProviderDescription(name, listed=True, loads=False, reason=reason)


def _run_session(module: ModuleType, name: str) -> list[str]:
    """Create a session with a provider first, run it once and return the providers that it took."""
    if name != "CPUExecutionProvider" and hasattr(module, "preload_dlls"):
        # What cannot be loaded here is named by the session below, with its own message.
        with contextlib.suppress(OSError, RuntimeError):
            module.preload_dlls()
    if name == "TensorrtExecutionProvider":
        # The wheel's libraries are found once it has loaded them; those of another version do no harm.
        with contextlib.suppress(ImportError, OSError):
            import_module("tensorrt_libs")
    options = module.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    providers = list(dict.fromkeys([name, "CPUExecutionProvider"]))
    # The fallback would print a banner and hide the error.
    session = module.InferenceSession(_one_node_model(), options, providers=providers, enable_fallback=0)
    taken = [str(provider) for provider in session.get_providers()]
    # Kernels that the GPU cannot execute only show when they run.
    session.run(None, {"x": np.ones(1, dtype=np.float32)})
    return taken


def _logged_reason(log: list[str]) -> str | None:
    """Return what the loader said, such as a missing libcublasLt, without the log's prefix and colours."""
    for line in log:
        if found := re.search(r"with error: (.+)", line):
            return found.group(1).strip()
    return None


@contextlib.contextmanager
def _collected_stderr() -> Iterator[list[str]]:
    """Collect the lines that native code writes to file descriptor 2; the list is filled at the end.

    The library loader logs through the process's default logger, which the options of a session do not reach.
    """
    lines: list[str] = []
    try:
        saved = os.dup(2)
    except OSError:
        # A process without standard error: nothing can leak and nothing can be collected.
        yield lines
        return
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield lines
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            sink.seek(0)
            plain = re.sub(r"\x1b\[[0-9;]*m", "", sink.read().decode("utf-8", errors="replace"))
            lines.extend(line for line in plain.splitlines() if line.strip())
