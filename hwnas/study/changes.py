"""What became of a run's settings after it was begun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TargetsAdded:
    """Costs that are traded since some moment.

    Attributes:
        when: ISO 8601 in UTC.
        before: Targets until then.
        added: The new ones.
        trials: How many had ended.
    """

    when: str
    before: tuple[str, ...]
    added: tuple[str, ...]
    trials: int

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {**asdict(self), "before": list(self.before), "added": list(self.added)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TargetsAdded:
        """Undoes ``to_json``.

        Raises:
            KeyError: A field is missing.
        """
        return cls(
            when=str(value["when"]),
            before=tuple(value["before"]),
            added=tuple(value["added"]),
            trials=int(value["trials"]),
        )
