"""The measuring protocol as a record: what was done is written into every table."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class MeasuringProtocol:
    """How times are taken and judged.

    Networks are measured in several rounds, in a new random order each round, so that a slow spell of the machine hits
    a network once and not in all its samples. Runs during which the process was preempted are left out. A round's
    figure is the mean of its quietest runs; the quietest round counts.

    Attributes:
        name: Version of this procedure.
        warmup_runs: Runs before each round's block, not counted.
        profiled_runs: Runs a round with the runtime's profiler on, for the kernels.
        timed_runs: Runs a round without it, for whole networks.
        rounds: Passes over everything.
        quiet_fraction: Share of a round's runs, the fastest, that its figure is the mean of.
        noise_limit: A row is ``noisy`` when its two quietest rounds differ by more than this fraction.
        attempts: How often a block of runs is repeated while none of its runs escapes preemption.
    """

    name: str = "in-place/1"
    warmup_runs: int = 5
    profiled_runs: int = 20
    timed_runs: int = 60
    rounds: int = 3
    quiet_fraction: float = 0.25
    noise_limit: float = 0.10
    attempts: int = 3

    def to_json(self) -> dict[str, str | int | float]:
        """Field by field, for the manifest."""
        return asdict(self)
