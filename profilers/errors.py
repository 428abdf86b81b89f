"""What can go wrong while measuring, and the exit status each kind ends the command line with.

Tree::

    ProfilerError                             1  a fault
    ├── DeviceError (also RuntimeError)       3  the device or its runtime is not usable
    │   └── DeviceMemoryError                 3  it is, but something is too large for its memory
    ├── CampaignError (also ValueError)       2  the output belongs to something else
    ├── ModelError (also ValueError)          2  a model that the runtime cannot load or run
    └── PluginError (also RuntimeError)       3  a third party's backend failed
"""

from __future__ import annotations

from typing import ClassVar


class ProfilerError(Exception):
    """Base class of everything ``profilers`` raises; the message names the cause and the cure."""

    exit_code: ClassVar[int] = 1


class DeviceError(ProfilerError, RuntimeError):
    """The device, or the runtime for it, is not usable on this machine."""

    exit_code = 3


class DeviceMemoryError(DeviceError):
    """Something does not fit the device's memory; a campaign goes on without it."""


class CampaignError(ProfilerError, ValueError):
    """The output file or its journal belongs to another campaign, or to another process."""

    exit_code = 2


class ModelError(ProfilerError, ValueError):
    """A model that the runtime cannot load or run."""

    exit_code = 2


class PluginError(ProfilerError, RuntimeError):
    """A third party's backend does not import, open or keep to the contract."""

    exit_code = 3
