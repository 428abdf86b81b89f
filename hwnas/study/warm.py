"""What a run has from another run: its results where they are worth the same, else where to begin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwnas.core import Architecture, Proposal

WARM = "warm start"  # stands in a trial's why, where an inner searcher's name stands otherwise


@dataclass(frozen=True, kw_only=True)
class WarmStart:
    """Where a run began, as it is recorded with it.

    Attributes:
        source: The other run, as it was named.
        differences: What keeps its accuracies from counting here, such as ``"data"``; empty where they count.
        results: Trials taken over with their accuracies.
        designs: Architectures to be evaluated first, by the number of their trial in the other run.
    """

    source: str
    differences: tuple[str, ...]
    results: int
    designs: Mapping[int, Architecture]

    def origin(self, number: int) -> str:
        """A trial of the other run, in words."""
        return f"{self.source}, trial {number}"

    def proposals(self) -> list[Proposal]:
        """The designs, each with where it is from."""
        return [
            Proposal(architecture=architecture, why={"inner": WARM, "from": self.origin(number)})
            for number, architecture in self.designs.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "source": self.source,
            "differences": list(self.differences),
            "results": self.results,
            "designs": {str(number): dict(architecture) for number, architecture in self.designs.items()},
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> WarmStart:
        """Undoes ``to_json``.

        Raises:
            KeyError: A field is missing.
        """
        return cls(
            source=str(value["source"]),
            differences=tuple(value["differences"]),
            results=int(value["results"]),
            designs={int(number): Architecture(choices) for number, choices in value["designs"].items()},
        )
