"""Measures kernels on a device and writes latency tables. Knows nothing of search, and needs no torch.

``open_device`` finds the device, ``profile`` measures what some networks need into a table, ``DeviceMeter`` measures
one network again, ``examine`` says whether the machine is fit for it.
"""

from profilers.backends import OnnxRuntimeBackend
from profilers.campaign import Progress, Workload, profile
from profilers.device import DEVICES, open_device
from profilers.doctor import Check, Diagnosis, examine
from profilers.errors import CampaignError, DeviceError, ModelError, ProfilerError
from profilers.meter import DeviceMeter, MeasuredLatency, Reference
from profilers.protocol import MeasuringProtocol

__all__ = [
    "DEVICES",
    "CampaignError",
    "Check",
    "DeviceError",
    "DeviceMeter",
    "Diagnosis",
    "MeasuredLatency",
    "MeasuringProtocol",
    "ModelError",
    "OnnxRuntimeBackend",
    "ProfilerError",
    "Progress",
    "Reference",
    "Workload",
    "examine",
    "open_device",
    "profile",
]
