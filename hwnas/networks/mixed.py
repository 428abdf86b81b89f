"""Networks that are each computed in a precision of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from hwnas.core import Architecture, UsageError
from hwnas.networks.family import NetworkFamily, Workload
from hwnas.spaces import PRECISION, Share, precision_of, with_precision
from latency_tables import Coordinates


@dataclass(frozen=True)
class MixedFamily(NetworkFamily):
    """A family whose space has the choice ``precision``.

    What a network is made of is that of ``plain``; the keys of its parts, and with them its latency, are those of the
    precision that it chose. The family as a whole has none: ``of`` gives the one that a network belongs to.

    Attributes:
        plain: The same networks without the choice.
    """

    plain: NetworkFamily = field(kw_only=True)

    @classmethod
    def choosing(cls, plain: NetworkFamily, precisions: Sequence[str]) -> MixedFamily:
        """The networks of a family, each in any of some precisions.

        Raises:
            UsageError: There are none, or the family has such a choice already.
        """
        space = with_precision(plain.space, precisions)
        return cls(space, plain.shape, plain.design, plain.batch, "", plain=plain)

    @property
    def precisions(self) -> tuple[str, ...]:
        """What may be chosen."""
        return tuple(map(str, self.space.by_name[PRECISION].options))

    @cached_property
    def members(self) -> Mapping[str, NetworkFamily]:
        """The family at each precision, in the order of the choice; their architectures are without it."""
        return {name: self.plain.at(batch=self.batch, precision=name) for name in self.precisions}

    def of(self, architecture: Architecture) -> NetworkFamily:
        """The family at the precision that an architecture chose."""
        return self.members[precision_of(architecture)]

    def at(self, *, batch: int, precision: str) -> NetworkFamily:
        """All networks at one batch and precision, without the choice."""
        return self.plain.at(batch=batch, precision=precision)

    def parts(self, architecture: Architecture) -> dict[str, str]:
        """Prefix of the tensor names of each part of the network, to its key at the network's own precision."""
        return self.of(architecture).parts(architecture)

    @cached_property
    def key_shares(self) -> tuple[Share[tuple[str, ...]], ...]:
        """None: they belong to a precision.

        Raises:
            UsageError: Always.
        """
        raise UsageError("networks of several precisions have keys at each of them: ask the members of the family")

    @property
    def coordinates(self) -> Coordinates:
        """None, likewise.

        Raises:
            UsageError: Always.
        """
        raise UsageError("networks of several precisions have no coordinates together: ask the members of the family")

    def workload(self, architecture: Architecture) -> Workload:
        """The network ready to be profiled at the precision that it chose."""
        return self.of(architecture).workload(architecture)

    def workloads(self) -> Sequence[Workload]:
        """Those of the networks without the choice, in fp32 for whoever converts them."""
        return self.plain.workloads()

    def references(self, n: int = 20) -> list[Workload]:
        """Likewise."""
        return self.plain.references(n)

    def covering(self) -> list[Architecture]:
        """Architectures that together contain every block of the space, at every precision."""
        return [
            Architecture({**one, PRECISION: name}) for name in self.precisions for one in self.plain.design.covering()
        ]
