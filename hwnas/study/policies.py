"""What the searchers have in common that learn a policy once and then propose, from accuracies of a whole space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hwnas.core import Architecture, Proposal, Searcher, Trial
from hwnas.evaluators import TabularEvaluator
from hwnas.objectives import COSTS, Bound
from hwnas.relaxed import CostTensor
from hwnas.searchers import DesignsFirst, SearchProblem
from hwnas.study.devices import Devices
from hwnas.study.run import Run
from hwnas.training import TrainingState, read_checkpoint, write_checkpoint

PERCENT = 100.0
_LATENCY = COSTS["latency"].name


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a search asks of such an algorithm, before anything is measured.

    Attributes:
        targets: Costs to trade against accuracy.
        bounds: The limits.
        several: Whether there are devices beside that of the table.
    """

    targets: Sequence[str]
    bounds: Sequence[Bound]
    several: bool


@dataclass(frozen=True, kw_only=True)
class OneShot:
    """An algorithm that learns once and then proposes.

    Attributes:
        require: Refuses, as ``UsageError``, what it is not for.
        searcher: Learns, or reads what the run learned before, and gives what proposes.
        several: Whether it takes devices beside that of the table.
        by_targets: Whether what it learns depends on the targets, so that none can be added afterwards.
    """

    require: Callable[[Asked], None]
    searcher: Callable[[Learning], Searcher]
    several: bool = False
    by_targets: bool = False


@dataclass(frozen=True, kw_only=True)
class Learning:
    """What such an algorithm learns from, and where it keeps what it learned.

    Attributes:
        run: The run.
        devices: Those beside that of its table.
        evaluator: Its accuracies, from 0 to 1.
        problem: Its problem.
        on_progress: Called with the steps of learning made and to make.
    """

    run: Run
    devices: Devices
    evaluator: TabularEvaluator
    problem: SearchProblem
    on_progress: Callable[[int, int], None]

    @property
    def networks(self) -> Sequence[Architecture]:
        """All architectures of the space."""
        return self.run.family.space.listed

    @property
    def path(self) -> Path:
        """Where what is learned is kept: in the run's folder, by the algorithm's name."""
        return self.run.folder / f"{self.run.settings.algorithm}.safetensors"

    @cached_property
    def error(self) -> CostTensor:
        """In percent."""
        return self.tensor(PERCENT * (1 - self.evaluator.values("accuracy", self.networks)))

    def tensor(self, values: NDArray[np.float64]) -> CostTensor:
        """Values of all architectures, arranged by their choices."""
        return CostTensor.of(self.run.family.space, self.networks, values)

    def costs(self, names: Sequence[str]) -> Mapping[str, NDArray[np.float64]]:
        """Costs of all architectures by their names, in the cost's unit and of shape ``(n,)``."""
        if not set(names) - {_LATENCY}:  # the others take longer to find than all latencies together
            return {name: self.run.latency.predict(self.networks)[0] for name in names}
        return self.run.costs.values(self.networks)

    def kept(self, learn: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """What this run learned before; where there is nothing, it learns now, and that is kept.

        Raises:
            CheckpointError: The file is damaged.
            OSError: It cannot be written.
        """
        if self.path.exists():
            return dict(read_checkpoint(self.path).tensors)
        tensors = dict(learn())
        write_checkpoint(TrainingState(tensors=tensors, values={}), self.path)
        return tensors

    def in_order(
        self,
        designs: Sequence[Proposal],
        *,
        feasible: Callable[[Sequence[Architecture]], NDArray[np.bool_]] | None = None,
    ) -> Searcher:
        """Proposes designs one after the other, and nothing after the last.

        Args:
            designs: Each once.
            feasible: Which of some architectures are allowed, shape ``(n,)``; by default as the problem says.
        """
        problem = replace(self.problem, feasible=feasible or self.problem.feasible)
        return DesignsFirst(_NothingMore(), designs, problem=problem)


class _NothingMore:
    """Follows the last design."""

    def tell(self, trials: Sequence[Trial]) -> None:
        """Needs nothing."""

    def ask(self, n: int, *, pending: Sequence[Architecture]) -> list[Proposal]:
        """Has nothing."""
        del n, pending
        return []
