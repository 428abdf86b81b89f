"""MODNAS as the searcher of a run: one policy is learned, then its networks for all devices are the trials."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hwnas.core import Architecture, Proposal, Searcher, UsageError
from hwnas.relaxed import DeviceTask, Modnas, ModnasSettings, described_device, rays, widest_first
from hwnas.study.policies import PERCENT, Asked, Learning, OneShot
from hwnas.training.devices import torch_threads

NAME = "modnas"
SETTINGS = ModnasSettings()
_RAYS = 64  # preferences for each device, at least; neighbours often share a network

Array = NDArray[np.float64]


def _require(asked: Asked) -> None:
    if "latency" not in asked.targets:
        raise UsageError(f"algorithm {NAME} trades accuracy against latency: add --target latency")
    if "energy" in asked.targets and asked.several:
        raise UsageError(
            "the energy is known on the device of --table alone: leave out --target energy, or --devices and --unseen"
        )


def _searcher(learning: Learning) -> Searcher:
    """Proposes what a policy gives for each device and preference, the widest apart first, each network once."""
    described = _descriptions(learning)
    with torch_threads(1):
        modnas = _modnas(learning, described)
        modnas.policy.load_state_dict(learning.kept(lambda: _learned(modnas, learning)))
        designs = _designs(modnas, described)
    return learning.in_order(designs)


def _descriptions(learning: Learning) -> dict[str, Array]:
    """What tells the devices from one another, by their names; the table's first."""
    run, devices = learning.run, learning.devices
    own = run.table.manifest.device_name
    if not devices.references:
        return {own: np.zeros(1)}
    own_ms = run.latency.predict(devices.references)[0]
    found = {own: described_device(own_ms)}
    return found | {one.name: described_device(one.reference_ms) for one in devices.all}


def _modnas(learning: Learning, described: Mapping[str, Array]) -> Modnas:
    run, networks = learning.run, learning.networks
    own, *_ = described
    predictors = {own: run.latency, **{one.name: one.latency for one in learning.devices.learned}}
    others = [goal.name for goal in run.objectives[1:] if goal.name != "latency_ms"]
    known = learning.costs(others)
    shared = tuple(learning.tensor(known[name]) for name in others)
    tasks = [
        DeviceTask(
            name=name, costs=(learning.tensor(latency.predict(networks)[0]), *shared), description=described[name]
        )
        for name, latency in predictors.items()
    ]
    guessing = PERCENT * (1 - 1 / run.settings.classes)
    return Modnas(learning.error, tasks, seed=run.settings.seed, settings=SETTINGS, worth_having=guessing)


def _learned(modnas: Modnas, learning: Learning) -> Mapping[str, Tensor]:
    learning.on_progress(0, modnas.settings.steps)
    modnas.fit(learning.on_progress)
    return modnas.policy.state_dict()


def _designs(modnas: Modnas, described: Mapping[str, Array]) -> list[Proposal]:
    """The networks for all devices and preferences, each once, with the first device and preference it is for."""
    preferences = widest_first(rays(_RAYS, objectives=modnas.objectives))
    found = {name: modnas.propose(description, preferences) for name, description in described.items()}
    designs: dict[Architecture, Proposal] = {}
    for place, preference in enumerate(preferences):
        for name, proposed in found.items():
            why = {"inner": NAME, "device": name, "preference": [round(float(share), 3) for share in preference]}
            designs.setdefault(proposed[place], Proposal(architecture=proposed[place], why=why))
    return list(designs.values())


MODNAS = OneShot(require=_require, searcher=_searcher, several=True, by_targets=True)
"""One policy for several devices."""
