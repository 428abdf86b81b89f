"""Architectures under construction: the choices of a space, decided one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from hwnas.core import Architecture, UsageError, Value
from hwnas.spaces import Choice, Interval, SearchSpace

State = tuple[Value | None, ...]
"""The values of the first choices of a space, in their order; ``None`` for one that does not exist given the others."""

ROOT: State = ()


@dataclass(frozen=True)
class Construction:
    """Sequential construction in a space: an action decides the first open choice.

    Every space has these actions, conditional choices included: one that does not exist is passed over. As the order is
    fixed, an architecture is reached in one way only; nothing is ever undone.

    Attributes:
        space: Its choices, a parent before those that depend on it.

    Raises:
        UsageError: A choice is continuous.
    """

    space: SearchSpace

    def __post_init__(self) -> None:
        for choice in self.space.choices:
            if isinstance(choice, Interval):
                raise UsageError(
                    f"choice {choice.name!r} is continuous: expected a space of options, as this search "
                    "decides one choice after another; la-mcts and lamoo search continuous ones"
                )

    def open_choice(self, state: State) -> Choice | None:
        """The choice that the next action decides; ``None`` for a finished architecture."""
        done = self.settled(state)
        choice = self.space.choices[len(done)] if len(done) < len(self.space.choices) else None
        return cast("Choice | None", choice)  # no interval, see __post_init__

    def settled(self, state: State) -> State:
        """The state with ``None`` for every choice in a row that does not exist, up to the next one that does."""
        choices, values = self.space.choices, list(state)
        while len(values) < len(choices) and not self.space.is_active(choices[len(values)], self._named(values)):
            values.append(None)
        return tuple(values)

    def after(self, state: State, option: Value) -> State:
        """The state after an action."""
        return self.settled((*self.settled(state), option))

    def finished(self, architecture: Architecture) -> State:
        """The last state of an architecture."""
        return tuple(architecture.get(choice.name) for choice in self.space.choices)

    @staticmethod
    def way_to(finished: State) -> Iterator[State]:
        """Every state on the way to a finished one, from the root on: a state ends where the next choice opens."""
        for end, value in enumerate((*finished, True)):
            if value is not None:
                yield finished[:end]

    def rollout(self, state: State, rng: np.random.Generator) -> Architecture:
        """A random architecture that begins with a state: every open choice uniform over its options."""
        values = list(state)
        named = self._named(values)
        for choice in self.space.choices[len(values) :]:
            if self.space.is_active(choice, named):
                named[choice.name] = choice.options[rng.integers(len(choice.options))]
        return Architecture(named)

    def _named(self, values: Sequence[Value | None]) -> dict[str, Value]:
        return {
            choice.name: value for choice, value in zip(self.space.choices, values, strict=False) if value is not None
        }
