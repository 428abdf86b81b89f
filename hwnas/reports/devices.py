"""The fronts of a run on devices beside that of its table."""

from __future__ import annotations

from dataclasses import dataclass

from hwnas.predictors import device_name
from hwnas.reports.drawing import Drawing
from hwnas.reports.front import front_figure
from hwnas.reports.numbers import Numbers


@dataclass(frozen=True, kw_only=True)
class FrontElsewhere:
    """The front on another device.

    Attributes:
        name: Of the device.
        unseen: Whether nothing was learned from it.
        numbers: The trials as they are there.
        drawing: Accuracy against latency there.
    """

    name: str
    unseen: bool
    numbers: Numbers
    drawing: Drawing


def fronts_elsewhere(numbers: Numbers) -> tuple[FrontElsewhere, ...]:
    """One for each other device, in the order of the command; none before a trial has a value."""
    settings = numbers.run.settings
    unseen = {device_name(source) for source in settings.unseen}
    there = {name: numbers.on(name) for name in settings.other_devices if numbers.valued}
    return tuple(
        FrontElsewhere(
            name=name, unseen=name in unseen, numbers=one, drawing=front_figure(one, "latency_ms", device=name)
        )
        for name, one in there.items()
    )
