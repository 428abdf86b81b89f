"""The measuring protocol as a record: what was done is written into every table."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, kw_only=True)
class MeasuringProtocol:
    """How times are taken and judged.

    Everything is measured in several rounds, in a new random order each round, so that a slow spell of the machine hits
    a thing once and not in all its samples. Runs during which the process was preempted are left out. A small sentinel
    network is timed before and after every measurement: where it was slow, so was the machine, and the measurement does
    not count; where it was a little slower or faster than usual, the figure is divided by as much. Rows that are not
    yet certain get further rounds; those that stay uncertain are flagged.

    Attributes:
        name: Version of this procedure.
        warmup_runs: Runs before each block that are not counted, at the least; more while times still fall.
        profiled_runs: Runs a block with the runtime's profiler on, for kernels in place.
        timed_runs: Runs a block without it: whole networks, kernels alone, blocks.
        least_runs: Runs a block at the least; a block over its budget ends there.
        budget_ms: Time for a block.
        rounds: Passes over everything.
        most_rounds: Passes over what is still uncertain, at the most.
        quiet_fraction: Share of a block's runs, the fastest, that its figure is the mean of.
        profiled_fraction: The same under the profiler, whose whole microseconds only averaging makes up for.
        target: Relative half width of the 95 % interval at which a row needs no further round.
        network_target: The same for whole networks: few of them decide what becomes of all sums of kernels.
        noise_limit: A row wider than this in the end is ``noisy``.
        sentinel_runs: Runs of the sentinel before and after each measurement.
        slow_limit: How much slower than its usual best the sentinel may be.
        clock_limit: How far the device's clock may be from its median.
        attempts: How often a block is repeated at once while none of its runs escapes preemption.
    """

    name: str = "rounds/3"
    warmup_runs: int = 5
    profiled_runs: int = 60
    timed_runs: int = 60
    least_runs: int = 8
    budget_ms: float = 1000.0
    rounds: int = 4
    most_rounds: int = 8
    quiet_fraction: float = 0.25
    profiled_fraction: float = 0.5
    target: float = 0.02
    network_target: float = 0.01
    noise_limit: float = 0.10
    sentinel_runs: int = 30
    slow_limit: float = 0.10
    clock_limit: float = 0.05
    attempts: int = 3

    def to_json(self) -> dict[str, str | int | float]:
        """Field by field, for the manifest."""
        return asdict(self)
