"""Search spaces: ordered choices, some of which exist only when another has a certain value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Architecture, UsageError, Value, unknown
from hwnas.spaces.features import Features
from hwnas.spaces.interval import Interval


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

    @cached_property
    def positions(self) -> Mapping[Value, int]:
        """Position of each option."""
        return {option: i for i, option in enumerate(self.options)}

    def value(self, received: object) -> Value:
        """The option that a value is: 1 becomes 1.0, 0 False.

        Raises:
            UsageError: It is none.
        """
        if received not in self.options:
            raise UsageError(f"choice {self.name!r}: expected one of {self.options}, received {received!r}")
        return self.options[self.options.index(received)]

    def drawn(self, rng: np.random.Generator, *, tilt: float = 0.0) -> Value:
        """A random option; with a tilt those of an ordinal choice have weights from 1 to ``exp(tilt)``."""
        options = self.options
        if not (tilt and self.ordinal and len(options) > 1):
            return options[rng.integers(len(options))]
        return options[int(_shares(len(options), tilt).searchsorted(rng.random(), side="right"))]

    def stepped(self, value: Value, rng: np.random.Generator) -> Value:
        """Another option, each as likely; there must be one."""
        others = self.near(value)
        return others[rng.integers(len(others))]

    def near(self, value: Value) -> list[Value]:
        """All other options."""
        return [option for option in self.options if option != value]


@dataclass(frozen=True)
class SearchSpace:
    """Everything that may vary, and the rules for it.

    Attributes:
        name: What the space is called on the command line.
        choices: A parent stands before the choices that depend on it. A continuous one always exists.
        form: Gives one architecture for all that are the same network; ``None`` where only equals are.
        features: What describes architectures better than their choices do: the paths of a cell, for example.
            ``None`` where the choices say it all.
    """

    name: str
    choices: tuple[Choice | Interval, ...]
    form: Callable[[Architecture], Architecture] | None = field(default=None, repr=False, compare=False)
    features: Features | None = field(default=None, repr=False, compare=False)

    @cached_property
    def by_name(self) -> Mapping[str, Choice | Interval]:
        """The choices by name."""
        return {choice.name: choice for choice in self.choices}

    @cached_property
    def _parents(self) -> frozenset[str]:
        """Names of the choices that others depend on."""
        return frozenset(choice.parent for choice in self.choices if choice.parent is not None)

    def is_active(self, choice: Choice | Interval, values: Mapping[str, Value]) -> bool:
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
                raise UsageError(f"choice {choice.name!r} of space {self.name} has no value: give {_range(choice)}")
            try:
                kept[choice.name] = choice.value(values[choice.name])
            except UsageError:
                raise UsageError(
                    f"choice {choice.name!r} of space {self.name}: expected {_range(choice)}, "
                    f"received {values[choice.name]!r}"
                ) from None
        return Architecture(kept)

    def canonical(self, architecture: Architecture) -> Architecture:
        """The architecture that stands for all that are the same network as this one.

        Two architectures are the same network where their canonical ones are equal. Costs may still differ where what
        is computed in vain is not removed. In a restricted space the canonical architecture may be one left out of it.
        """
        return self.form(architecture) if self.form else architecture

    @property
    def is_enumerable(self) -> bool:
        """Whether the architectures can be counted: no choice is continuous."""
        return not any(isinstance(choice, Interval) for choice in self.choices)

    @cached_property
    def size(self) -> float:
        """Number of different architectures, a whole number of any length; infinite with a continuous choice."""
        if not self.is_enumerable:
            return math.inf

        return math.prod(sum(self.ways(choice)) for choice in self.choices if choice.parent is None)

    def ways(self, choice: Choice | Interval) -> list[int]:
        """In how many ways what depends on a choice can be chosen, for each of its options.

        Raises:
            UsageError: The choice is continuous.
        """
        children = [child for child in self.choices if child.parent == choice.name]
        return [
            math.prod(sum(self.ways(child)) for child in children if option in child.when) for option in choice.options
        ]

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
        """A neighbour: one active choice changed to another of its options, or a continuous one by a Gaussian step.

        Choices that come to life by the change are drawn at random. A space of one architecture returns it unchanged.
        """
        changeable = [choice for name in architecture if _can_change(choice := self.by_name[name])]
        if not changeable:
            return architecture
        choice = changeable[rng.integers(len(changeable))]
        value = architecture[choice.name]
        changed = choice.stepped(float(value), rng) if isinstance(choice, Interval) else choice.stepped(value, rng)
        return self._completed({**architecture, choice.name: changed}, rng)

    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        """A child of two architectures: every choice from either parent with equal chance (uniform crossover).

        A choice that only one parent has comes from that one. There is no choice that the child has and neither parent:
        what a choice depends on came from a parent, and that one has it.
        """
        kept: dict[str, Value] = {}
        for choice in self.choices:
            first, second = (a, b) if rng.random() < 0.5 else (b, a)  # drawn even if unused: equal use of the stream
            if self.is_active(choice, kept):
                kept[choice.name] = first[choice.name] if choice.name in first else second[choice.name]
        return Architecture(kept)

    def neighbors(self, architecture: Architecture) -> list[Architecture]:
        """All architectures that differ in one active choice; choices that come to life take their first option.

        Of a continuous choice, a few steps of several sizes up and down.
        """
        first = {choice.name: choice.options[0] for choice in self.choices if isinstance(choice, Choice)}
        here = dict(architecture.items())
        found = []
        for name, value in here.items():
            choice = self.by_name[name]
            near: Sequence[Value] = choice.near(float(value)) if isinstance(choice, Interval) else choice.near(value)
            if name in self._parents:
                found += [self.architecture({**first, **here, name: option}) for option in near]
            else:
                found += [Architecture({**here, name: option}) for option in near]
        return found

    def enumerate(self) -> Iterator[Architecture]:
        """Every architecture once, in the order of the options.

        Raises:
            UsageError: A choice is continuous.
        """
        for choice in self.choices:
            if isinstance(choice, Interval):
                raise UsageError(
                    f"space {self.name} cannot be listed: choice {choice.name!r} is continuous, any number from "
                    f"{choice.low:g} to {choice.high:g}; draw a sample instead"
                )
        return self._enumerated()

    @cached_property
    def listed(self) -> tuple[Architecture, ...]:
        """Every architecture once, kept for whoever looks through a small space again and again.

        Raises:
            UsageError: A choice is continuous.
        """
        return tuple(self.enumerate())

    def is_listing(self, architectures: Sequence[Architecture]) -> bool:
        """Whether these are ``listed`` itself, of which much is known together that else is found one by one."""
        return architectures is vars(self).get("listed")

    def restrict(self, kept: Mapping[str, Iterable[Value]]) -> SearchSpace:
        """The part of the space in which some choices have fewer options.

        Its architectures are the architectures of this space whose active choices all have one of the options kept.
        A choice that no kept option of its parent brings to life is left out.

        Args:
            kept: Options to keep by the choice's name, in any order; of a continuous choice its new bounds, two numbers
                from low to high. Choices not named keep all.

        Raises:
            UsageError: No such choice or option, nothing kept of one, or bounds that are not within the old ones.
        """
        for name in kept:
            if name not in self.by_name:
                raise unknown(f"choice of space {self.name}", name, self.by_name)
        choices: dict[str, Choice | Interval] = {}
        for choice in self.choices:
            parent = choices.get(choice.parent) if choice.parent is not None else None
            if choice.parent is not None and (parent is None or not choice.when & set(parent.options)):
                continue
            narrower = _narrowed(choice, kept[choice.name], space=self.name) if choice.name in kept else choice
            if parent is not None and isinstance(narrower, Choice):
                narrower = replace(narrower, when=choice.when & frozenset(parent.options))
            choices[choice.name] = narrower
        return replace(self, choices=tuple(choices.values()))

    def _enumerated(self) -> Iterator[Architecture]:
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
                drawn = choice.drawn(rng, tilt=tilt)  # drawn even if unused: equal use of the stream
                kept[choice.name] = values.get(choice.name, drawn)
        return Architecture(kept)


@lru_cache(maxsize=64)
def _shares(options: int, tilt: float) -> NDArray[np.float64]:
    """Of draws with a tilt, the share that comes to each option or to one before it."""
    upto = np.cumsum(np.exp(tilt * np.arange(options) / (options - 1)))
    return np.asarray(upto / upto[-1])


def _can_change(choice: Choice | Interval) -> bool:
    return isinstance(choice, Interval) or len(choice.options) > 1


def _range(choice: Choice | Interval) -> str:
    """What may be given, in words."""
    if isinstance(choice, Interval):
        return f"a number from {choice.low:g} to {choice.high:g}"
    return f"one of {choice.options}"


def _narrowed(choice: Choice | Interval, kept: Iterable[Value], *, space: str) -> Choice | Interval:
    given = tuple(kept)
    about = f"choice {choice.name!r} of space {space}"
    if isinstance(choice, Interval):
        if len(given) != 2:
            raise UsageError(f"{about} is continuous: expected its new bounds, two numbers, received {given}")
        return Interval(choice.name, *(choice.value(bound) for bound in given))
    if not given:
        raise UsageError(f"{about}: expected at least one of {choice.options} to keep, received none")
    values = {choice.value(value) for value in given}
    return replace(choice, options=tuple(option for option in choice.options if option in values))
