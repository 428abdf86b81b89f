"""Parts of a space, each for a supernet of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwnas.core import Architecture, UsageError, Value, unknown
from hwnas.spaces import SearchSpace

Groups = Mapping[str, Sequence[Sequence[Value]]]


def split(space: SearchSpace, choice: str, groups: Sequence[Sequence[Value]] | None = None) -> list[SearchSpace]:
    """Parts of a space that have no network in common and together all of them.

    Args:
        space: What to split.
        choice: By which choice; one that every network has.
        groups: Options of each part; by default a part for each option (Zhao et al., 2021, arXiv:2006.06863).

    Raises:
        UsageError: No such choice, not every network has it, or the groups do not hold each option once.
    """
    if choice not in space.by_name:
        raise unknown(f"choice of space {space.name}", choice, space.by_name)
    found = space.by_name[choice]
    if found.parent is not None:
        always = ", ".join(splittable(space))
        raise UsageError(
            f"cannot split space {space.name} by {choice!r}, which some networks lack: expected one of {always}"
        )
    parts = [list(group) for group in groups] if groups is not None else [[option] for option in found.options]
    held = [value for group in parts for value in group]
    if sorted(map(repr, held)) != sorted(map(repr, found.options)) or not all(parts):
        raise UsageError(
            f"cannot split choice {choice!r} of space {space.name} into {parts}: expected each of {found.options} in "
            "one group"
        )
    return [space.restrict({choice: group}) for group in parts]


def split_all(space: SearchSpace, groups: Groups) -> list[SearchSpace]:
    """Parts by several choices at once: every combination of a group of each.

    Raises:
        UsageError: As ``split`` does.
    """
    parts = [space]
    for choice, own in groups.items():
        parts = [smaller for part in parts for smaller in split(part, choice, own)]
    return parts


def splittable(space: SearchSpace) -> list[str]:
    """Choices that every network has, with more than one option."""
    return [c.name for c in space.choices if c.parent is None and len(c.options) > 1]


def owner(parts: Sequence[SearchSpace], architecture: Architecture) -> int:
    """The position of the part that an architecture is in.

    Raises:
        UsageError: It is in none.
    """
    for position, part in enumerate(parts):
        if all(name in part.by_name and value in part.by_name[name].options for name, value in architecture.items()):
            return position
    raise UsageError(f"none of the {len(parts)} parts of space {parts[0].name} contains {dict(architecture)}")
