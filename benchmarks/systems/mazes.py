"""Mazes with a continuous way through them: 50 steps, told of nothing but how it ended."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwnas.core import Objective
from hwnas.searchers import SearchProblem
from hwnas.spaces import Interval, SearchSpace

STEPS = 50
REACH = 0.2  # rooms that a step goes at the most, in each direction
DOOR = (0.2, 0.8)  # where a wall is open, if it has a door
GOAL = 0.4  # rooms from the goal that count as there
EXTRA = 0.15  # share of the walls that are given a door though no room needs it

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Maze:
    """Square rooms of side 1, every one to be reached from every other; from one corner to the opposite one.

    Attributes:
        right: Whether room ``(i, j)`` has a door to ``(i + 1, j)``, shape ``(rooms - 1, rooms)``.
        up: Whether room ``(i, j)`` has a door to ``(i, j + 1)``, shape ``(rooms, rooms - 1)``.
    """

    right: NDArray[np.bool_]
    up: NDArray[np.bool_]

    @classmethod
    def drawn(cls, seed: int, *, rooms: int) -> Maze:
        """A random maze: a random tree of doors, and some more."""
        rng = np.random.default_rng([seed, rooms])
        right, up = rng.random((rooms - 1, rooms)) < EXTRA, rng.random((rooms, rooms - 1)) < EXTRA
        here, seen = [(0, 0)], {(0, 0)}
        while here:
            i, j = here[-1]
            near = [(i + a, j + b) for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1))]
            near = [room for room in near if min(room) >= 0 and max(room) < rooms and room not in seen]
            if not near:
                here.pop()
                continue
            room = near[rng.integers(len(near))]
            if room[0] != i:
                right[min(i, room[0]), j] = True
            else:
                up[i, min(j, room[1])] = True
            seen.add(room)
            here.append(room)
        return cls(right, up)

    @property
    def rooms(self) -> int:
        """Rooms in a row."""
        return len(self.up)

    def walked(self, actions: Array) -> tuple[Array, Array]:
        """Ways through the maze.

        Args:
            actions: Shape ``(n, 50, 2)``, from -1 to 1.

        Returns:
            Rewards, shape ``(n,)``: 1 for who came to the goal, else what share of the distance to it as the crow
            flies was gone in the end; and places after each step, shape ``(n, 50, 2)``. Who is at the goal stays there.
        """
        place = np.full((len(actions), 2), 0.5)
        goal = np.full(2, self.rooms - 0.5)
        ways = np.empty_like(actions)
        there = np.zeros(len(actions), dtype=np.bool_)
        for step in range(actions.shape[1]):
            for axis in (0, 1):
                place[:, axis] = np.where(there, place[:, axis], self._moved(place, actions[:, step, axis], axis))
            there |= np.linalg.norm(place - goal, axis=1) < GOAL
            ways[:, step] = place
        gone = 1 - np.linalg.norm(place - goal, axis=1) / np.linalg.norm(goal - 0.5)
        return np.where(there, 1.0, gone), ways

    def _moved(self, place: Array, action: Array, axis: int) -> Array:
        """The coordinate after a step along an axis, up to the wall where there is no door."""
        doors = self.right if axis == 0 else self.up.T  # (from, across)
        at, across = place[:, axis], place[:, 1 - axis]
        room = np.clip(at.astype(int), 0, self.rooms - 1)
        row = np.clip(across.astype(int), 0, self.rooms - 1)
        aim = at + REACH * action
        within = (across % 1 > DOOR[0]) & (across % 1 < DOOR[1])
        above = np.where(room < self.rooms - 1, doors[np.minimum(room, self.rooms - 2), row] & within, False)
        below = np.where(room > 0, doors[np.maximum(room - 1, 0), row] & within, False)
        low, high = room + np.where(below, -1.0, 1e-6), room + np.where(above, 2.0, 1 - 1e-6)
        return np.clip(aim, low, high)


def maze_problem() -> SearchProblem:
    """Two numbers a step, and the reward as the only objective."""
    choices = tuple(Interval(f"{axis}{step}", -1.0, 1.0) for step in range(STEPS) for axis in "xy")
    goal = Objective(name="reward", unit="", direction="maximize", known="trained")
    return SearchProblem(space=SearchSpace("maze", choices), objectives=(goal,), reference=np.array([1.0]))
