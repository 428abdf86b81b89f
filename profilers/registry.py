"""Backends by name: ours, and those that installed packages announce through the entry point ``hwnas.backends``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from operator import attrgetter

from profilers.backends.contract import Backend, BackendSettings
from profilers.errors import CampaignError, PluginError, ProfilerError
from profilers.guards import checked_backend, checked_fingerprint

GROUP = "hwnas.backends"

BackendFactory = Callable[[BackendSettings], Backend]
_REPORT = "Report it to whoever wrote it; `profilers.testing` says what a backend must do."

_OURS = {
    "onnxruntime": "profilers.backends.onnxruntime:OnnxRuntimeBackend",
    "onnxruntime-cuda": "profilers.backends.onnxruntime_gpu:CudaBackend",
    "onnxruntime-tensorrt": "profilers.backends.onnxruntime_gpu:TensorRtProviderBackend",
    "tensorrt": "profilers.backends.tensorrt:TensorRtBackend",
}


def backend_names(announced: Iterable[EntryPoint] | None = None) -> dict[str, str]:
    """Name of every backend to where it is found; a third party's never hides one of ours.

    Args:
        announced: Entry points to look through instead of those of the installed packages.
    """
    found = entry_points(group=GROUP) if announced is None else announced
    return {**{entry.name: entry.value for entry in found}, **_OURS}


def describe_backends() -> dict[str, tuple[str, ...] | str]:
    """Name of every backend to the devices it runs on, or to the reason why it does not load."""
    found: dict[str, tuple[str, ...] | str] = {}
    for name in backend_names():
        try:
            found[name] = devices_of(load_backend(name), called=name)
        except ProfilerError as error:
            found[name] = str(error)
    return found


def backend_devices() -> dict[str, tuple[str, ...]]:
    """Name of every backend that loads to the devices it runs on."""
    return {name: devices for name, devices in describe_backends().items() if not isinstance(devices, str)}


def devices_of(factory: BackendFactory, *, called: str) -> tuple[str, ...]:
    """The devices that a backend says it runs on.

    Args:
        factory: Its class.
        called: Its name.

    Raises:
        PluginError: It does not say so, or says it otherwise than in words.
    """
    try:
        devices = getattr(factory, "devices", ())
        names = (devices,) if isinstance(devices, str) else tuple(devices)
    except (Exception, SystemExit) as error:  # whatever a plug-in raises must not end as a traceback at the user's
        raise PluginError(
            f"the backend {called!r} does not tell its devices: {type(error).__name__}: {error}. {_REPORT}"
        ) from error
    if not all(isinstance(one, str) and one for one in names):
        raise PluginError(f"the backend {called!r} must list its devices in words, not as {devices!r}. {_REPORT}")
    return names


def backend_of(runtime: str, provider: str) -> str | None:
    """The name of the backend that made a table, from what the table's manifest says; ``None`` when none here did.

    Args:
        runtime: The manifest's runtime.
        provider: Its provider.
    """
    for name in backend_names():
        if _said(name) == (runtime, provider):
            return name
    return None


def _said(name: str) -> tuple[object, object] | None:
    """The runtime and the provider of a backend; ``None`` where it fails to tell, which opening it will tell."""
    try:
        factory = load_backend(name)
        return getattr(factory, "name", None), getattr(factory, "provider", None)
    except (Exception, SystemExit):
        return None


def load_backend(name: str) -> BackendFactory:
    """The class of a backend.

    Raises:
        CampaignError: No such backend.
        PluginError: It is announced, but does not import.
    """
    known = backend_names()
    if name not in known:
        raise CampaignError(f"unknown backend {name!r}: expected one of {', '.join(known)}")
    module, _, attribute = known[name].partition(":")
    try:
        factory: BackendFactory = attrgetter(attribute.partition(" ")[0])(import_module(module.strip()))
    except (Exception, SystemExit) as error:  # whatever a plug-in raises must not end as a traceback at the user's
        raise PluginError(
            f"the backend {name!r} ({known[name]}) does not import: {type(error).__name__}: {error}. "
            "Mend or uninstall the package that announces it."
        ) from error
    return factory


def open_backend(name: str, settings: BackendSettings) -> Backend:
    """A backend, ready to measure.

    Raises:
        CampaignError: No such backend, or not for that device.
        DeviceError: Its device or runtime is not usable here.
        PluginError: A third party's backend failed.
    """
    factory = load_backend(name)
    devices = devices_of(factory, called=name)
    if settings.device not in devices:
        raise CampaignError(
            f"the backend {name!r} does not run on {settings.device!r}: expected {' or '.join(devices) or 'nothing'}"
        )
    try:
        backend = factory(settings)
    except ProfilerError:
        raise
    except (Exception, SystemExit) as error:  # as above
        if name in _OURS:
            raise
        raise PluginError(
            f"the backend {name!r} failed to open: {type(error).__name__}: {error}. "
            "Report it to whoever wrote it, or choose another --backend."
        ) from error
    _require_contract(name, backend, settings)
    return backend


def _require_contract(name: str, backend: Backend, settings: BackendSettings) -> None:
    checked_backend(backend, called=name)
    if name not in _OURS:
        checked_fingerprint(backend)
    if backend.device != settings.device:
        raise PluginError(
            f"the backend {name!r} was asked for {settings.device!r} and opened {backend.device!r}: figures of that "
            "would be mislabelled. Report it to whoever wrote it."
        )
