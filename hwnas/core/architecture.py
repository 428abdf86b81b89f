"""An architecture: one point of a search space."""

from __future__ import annotations

import hashlib
import json
from collections.abc import ItemsView, Iterator, Mapping
from functools import cached_property

Value = bool | int | float | str


class Architecture(Mapping[str, Value]):
    """An immutable point of a search space: the value of every active choice, by the choice's name.

    Two architectures are equal when their active choices are; the ``id`` is a short hash of them that is the same on
    every machine, so it can name files and trials.
    """

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Value:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def items(self) -> ItemsView[str, Value]:
        """The choices and their values; the inherited one looks every value up again."""
        return self._values.items()

    def __hash__(self) -> int:
        return hash(self.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Architecture) and self._values == other._values

    def __repr__(self) -> str:
        return f"Architecture({self._values!r})"

    @cached_property
    def id(self) -> str:
        """Ten hexadecimal digits that name this architecture."""
        text = json.dumps(self._values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]
