"""TensorRT engines to take home: those that were measured."""

from __future__ import annotations

from dataclasses import dataclass

from profilers.backends.contract import Compiling, Engine
from profilers.guards import checked_backend, guarded
from profilers.lease import device_lease
from profilers.models import settled


@dataclass(frozen=True, kw_only=True)
class DeviceEngines:
    """Gives the engine that a ``DeviceMeter`` of the same backend measures.

    Attributes:
        backend: Where models are compiled.
    """

    backend: Compiling

    def __call__(self, model: bytes) -> Engine:
        """The engine of one serialised ONNX model, for one image a run where the model leaves that open.

        A builder chooses kernels by timing them, so that it has the device for itself.

        Raises:
            ModelError: The model cannot be compiled.
            DeviceError: The device was lost.
            PluginError: A third party's backend failed or broke the contract.
        """
        checked_backend(self.backend)
        with device_lease(self.backend):
            return guarded(self.backend, lambda: self.backend.engine(settled(model)))
