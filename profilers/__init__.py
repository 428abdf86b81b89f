"""Measures kernels on a device and writes latency tables. Knows nothing of search, and needs no torch.

``open_device`` finds the device, ``profile`` measures what some networks need into a table, ``DeviceMeter`` measures
one network again, ``DeviceEngines`` gives its TensorRT engine, ``time_networks`` measures many side by side,
``examine`` says whether the machine is fit for it.
"""

from profilers.backends import METHODS, Backend, BackendSettings, OnnxRuntimeBackend, RunPlan
from profilers.campaign import CampaignSettings, Progress, profile
from profilers.coverage import Coverage, coverage, method_of
from profilers.device import DEVICES, open_device, open_device_of
from profilers.doctor import Check, Diagnosis, examine
from profilers.engines import DeviceEngines
from profilers.errors import CampaignError, DeviceError, DeviceMemoryError, ModelError, PluginError, ProfilerError
from profilers.inspection import OpenedModel, model_kernels, open_model
from profilers.lease import device_lease
from profilers.meter import DeviceMeter, MeasuredLatency, Reference
from profilers.model import KernelShare, ModelProfile, profile_model
from profilers.networks import TimedNetwork, time_networks
from profilers.protocol import MeasuringProtocol
from profilers.recovery import recover
from profilers.tasks import OnnxWorkload, Workload, converted, require_precisions

__all__ = [
    "DEVICES",
    "METHODS",
    "Backend",
    "BackendSettings",
    "CampaignError",
    "CampaignSettings",
    "Check",
    "Coverage",
    "DeviceEngines",
    "DeviceError",
    "DeviceMemoryError",
    "DeviceMeter",
    "Diagnosis",
    "KernelShare",
    "MeasuredLatency",
    "MeasuringProtocol",
    "ModelError",
    "ModelProfile",
    "OnnxRuntimeBackend",
    "OnnxWorkload",
    "OpenedModel",
    "PluginError",
    "ProfilerError",
    "Progress",
    "Reference",
    "RunPlan",
    "TimedNetwork",
    "Workload",
    "converted",
    "coverage",
    "device_lease",
    "examine",
    "method_of",
    "model_kernels",
    "open_device",
    "open_device_of",
    "open_model",
    "profile",
    "profile_model",
    "recover",
    "require_precisions",
    "time_networks",
]
