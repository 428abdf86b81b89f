"""Search spaces: ordered choices, some of which exist only when another has a certain value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from hwnas.core import Architecture, UsageError, Value
from hwnas.spaces.features import Features


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One thing that may vary.

    Attributes:
        name: Unique in its space.
        options: The values it may take, in their natural order.
        ordinal: Whether that order means something (width, depth, kernel) or not (activation).
        parent: Name of the choice this one depends on; ``None`` when it always exists.
        when: Values of the parent for which this choice exists.
    """

    name: str
    options: tuple[Value, ...]
    ordinal: bool = True
    parent: str | None = None
    when: frozenset[Value] = field(default_factory=frozenset)


@dataclass(frozen=True)
class SearchSpace:
    """Everything that may vary, and the rules for it.

    Attributes:
        name: What the space is called on the command line.
        choices: A parent stands before the choices that depend on it.
        features: What describes architectures better than their choices do: the paths of a cell, for example.
            ``None`` where the choices say it all.
    """

    name: str
    choices: tuple[Choice, ...]
    features: Features | None = field(default=None, repr=False, compare=False)

    @cached_property
    def by_name(self) -> Mapping[str, Choice]:
        """The choices by name."""
        return {choice.name: choice for choice in self.choices}

    def is_active(self, choice: Choice, values: Mapping[str, Value]) -> bool:
        """Whether a choice exists, given the values of those before it."""
        return choice.parent is None or values.get(choice.parent) in choice.when

    def architecture(self, values: Mapping[str, Value]) -> Architecture:
        """The canonical architecture of some values: inactive choices are dropped, the order is the space's.

        Raises:
            UsageError: A value is missing, or is none of the choice's options, or no such choice exists.
        """
        strangers = sorted(set(values) - set(self.by_name))
        if strangers:
            raise UsageError(f"space {self.name} has no choice {strangers[0]!r}: it has {', '.join(self.by_name)}")
        kept: dict[str, Value] = {}
        for choice in self.choices:
            if not self.is_active(choice, kept):
                continue
            if choice.name not in values:
                raise UsageError(
                    f"choice {choice.name!r} of space {self.name} has no value: give one of {choice.options}"
                )
            if values[choice.name] not in choice.options:
                raise UsageError(
                    f"choice {choice.name!r} of space {self.name}: expected one of {choice.options}, "
                    f"received {values[choice.name]!r}"
                )
            kept[choice.name] = choice.options[choice.options.index(values[choice.name])]  # 1 becomes 1.0, 0 False
        return Architecture(kept)

    @cached_property
    def size(self) -> int:
        """Number of different architectures."""

        def below(choice: Choice) -> int:
            children = [child for child in self.choices if child.parent == choice.name]
            total = 0
            for option in choice.options:
                ways = 1
                for child in children:
                    ways *= below(child) if option in child.when else 1
                total += ways
            return total

        size = 1
        for choice in self.choices:
            if choice.parent is None:
                size *= below(choice)
        return size

    def sample(self, rng: np.random.Generator, *, tilt: float = 0.0) -> Architecture:
        """A random architecture.

        Args:
            rng: Randomness.
            tilt: 0 draws every active choice uniformly over its options. Otherwise the options of ordinal choices get
                weights from 1 for the first to ``exp(tilt)`` for the last, which reaches the small (below 0) and the
                large (above 0) ends of a space, where uniform draws hardly ever come.
        """
        return self._completed({}, rng, tilt=tilt)

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """A neighbour: one active choice changed to another of its options.

        Choices that come to life by the change are drawn at random. A space of one architecture returns it unchanged.
        """
        changeable = [self.by_name[name] for name in architecture if len(self.by_name[name].options) > 1]
        if not changeable:
            return architecture
        choice = changeable[rng.integers(len(changeable))]
        others = [option for option in choice.options if option != architecture[choice.name]]
        return self._completed({**architecture, choice.name: others[rng.integers(len(others))]}, rng)

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """All architectures that differ in one active choice; choices that come to life take their first option."""
        first = {choice.name: choice.options[0] for choice in self.choices}
        return [
            self.architecture({**first, **architecture, name: option})
            for name, value in architecture.items()
            for option in self.by_name[name].options
            if option != value
        ]

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture once, in the order of the options."""

        def extend(values: dict[str, Value], index: int) -> Iterator[Architecture]:
            if index == len(self.choices):
                yield Architecture(values)
                return
            choice = self.choices[index]
            if not self.is_active(choice, values):
                yield from extend(values, index + 1)
                return
            for option in choice.options:
                yield from extend({**values, choice.name: option}, index + 1)

        yield from extend({}, 0)

    def _completed(self, values: Mapping[str, Value], rng: np.random.Generator, *, tilt: float = 0.0) -> Architecture:
        kept: dict[str, Value] = {}
        for choice in self.choices:
            if self.is_active(choice, kept):
                drawn = _drawn(choice, rng, tilt)  # drawn even if unused: equal use of the stream
                kept[choice.name] = values.get(choice.name, drawn)
        return Architecture(kept)


def _drawn(choice: Choice, rng: np.random.Generator, tilt: float) -> Value:
    options = choice.options
    if not (tilt and choice.ordinal and len(options) > 1):
        return options[rng.integers(len(options))]
    weights = np.exp(tilt * np.arange(len(options)) / (len(options) - 1))
    return options[rng.choice(len(options), p=weights / weights.sum())]
