"""The tree of states that a Monte Carlo tree search has visited, replayed from trials."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hwnas.searchers.mcts.states import State
from hwnas.spaces import Choice


@dataclass(frozen=True, kw_only=True)
class Step:
    """One decision on the way down.

    Attributes:
        parent: Where it was taken.
        children: Where it could have led.
        chosen: Where it led.
        choice: The choice that was decided.
        value: What the chosen state is worth; infinite for one never visited.
        bonus: What it gained for few visits.
        visits: How often the search has come through it.
    """

    parent: State
    children: tuple[State, ...]
    chosen: State
    choice: Choice
    value: float
    bonus: float
    visits: int


@dataclass
class StateNode:
    """A state that was visited.

    Attributes:
        members: Indices of the trials that went through it.
        waiting: Pending architectures, and fruitless descents, that did.
    """

    members: list[int] = field(default_factory=list)
    waiting: int = 0

    @property
    def visits(self) -> int:
        """Number of times the search came through."""
        return len(self.members) + self.waiting


class StateTree:
    """Visited states: every trial walks down from the root and adds the first state that is new (UCT).

    Args:
        root: Where all ways begin.
    """

    def __init__(self, root: State) -> None:
        self.root = root
        self.nodes: dict[State, StateNode] = {root: StateNode()}
        self.barren: set[State] = set()

    def add_trial(self, index: int, way: Iterable[State]) -> None:
        """Takes a finished trial in.

        Args:
            index: Of the trial.
            way: The states on the way to its architecture, root first.
        """
        for state in self._visited(way):
            self.nodes[state].members.append(index)

    def add_visit(self, way: Iterable[State]) -> None:
        """Counts a visit that has no result yet."""
        for state in self._visited(way):
            self.nodes[state].waiting += 1

    def close(self, way: Sequence[Step], end: State) -> None:
        """Marks a state below which nothing new was found, and every state above all of whose children are marked."""
        self.barren.add(end)
        for step in reversed(way):
            if not self.barren.issuperset(step.children):
                break
            self.barren.add(step.parent)

    def _visited(self, way: Iterable[State]) -> list[State]:
        """The states of a way that are in the tree, and the first that was not, which now is."""
        known = []
        for state in way:
            known.append(state)
            if state not in self.nodes:
                self.nodes[state] = StateNode()
                break
        return known
