"""Where trials run: in this process, in others on this machine, or on a cluster.

Each executor has the interface of ``concurrent.futures.Executor``. Devices are never measured through one: two jobs on
a device spoil both figures.
"""

from hwnas.executors.catalog import EXECUTORS, AnyExecutor, ExecutorSettings, open_executor, require_executor
from hwnas.executors.contract import TimeLimitError, WorkerLostError
from hwnas.executors.serial import SerialExecutor
from hwnas.executors.workers import Worker, WorkerExecutor

__all__ = [
    "EXECUTORS",
    "AnyExecutor",
    "ExecutorSettings",
    "SerialExecutor",
    "TimeLimitError",
    "Worker",
    "WorkerExecutor",
    "WorkerLostError",
    "open_executor",
    "require_executor",
]
