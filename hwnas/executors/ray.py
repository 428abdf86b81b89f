"""Workers that are actors of a Ray cluster. Imports Ray.

An actor stays where it is between tasks, with what it has loaded. Nothing is restarted or tried again behind the
caller's back.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayError, RayTaskError

from hwnas.core import MachineError
from hwnas.executors.contract import TimeLimitError, WorkerLostError
from hwnas.executors.workers import Worker

_LISTENING_S = 5.0  # within which somebody has to answer at an address


def connect(address: str | None, *, gpus: float, resources: Mapping[str, float]) -> Callable[[], Worker]:
    """Joins a cluster, or begins one of this machine; gives what makes a worker in it.

    Args:
        address: Of the cluster, such as ``"auto"`` or ``"ray://head:10001"``; ``None`` for one of this machine alone.
        gpus: For each worker; a fraction shares one.
        resources: By name, for each worker.

    Raises:
        MachineError: The cluster cannot be reached, or has no node that such a worker fits on.
    """
    if not ray.is_initialized():
        local: dict[str, Any] = {} if address else {"include_dashboard": False}
        try:
            _require_listening(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **local)
        except (OSError, ValueError, RuntimeError) as error:
            raise MachineError(
                f"cannot reach a Ray cluster at {address}: {str(error).splitlines()[0]}. `ray start --head` begins "
                "one, and prints its address"
            ) from error
    demand = {"CPU": 1.0, **({"GPU": gpus} if gpus else {}), **resources}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    if not any(all(node.get(name, 0.0) >= amount for name, amount in demand.items()) for node in nodes):
        wanted = ", ".join(f"{name} {amount:g}" for name, amount in demand.items())
        there = "; ".join(
            ", ".join(f"{name} {amount:g}" for name, amount in sorted(node.items()) if ":" not in name)
            for node in nodes
        )
        raise MachineError(f"no node of the Ray cluster has what a worker needs ({wanted}). Its nodes have: {there}")
    return lambda: RayWorker(gpus=gpus, resources=resources)


def _require_listening(address: str | None) -> None:
    """Ray tries for minutes to reach an address at which nobody listens.

    Raises:
        OSError: Nobody does.
    """
    host, colon, port = (address or "").rpartition("://")[2].rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_LISTENING_S).close()


class _Runner:
    """The actor."""

    def ready(self) -> bool:
        """Comes back when the actor is there."""
        return True

    def run(self, task: Callable[[], Any]) -> Any:
        """Runs a task where the actor is."""
        return task()


class RayWorker:
    """An actor.

    Args:
        gpus: That it reserves.
        resources: That it reserves, by name.
    """

    def __init__(self, *, gpus: float, resources: Mapping[str, float]) -> None:
        options: dict[str, Any] = {"num_cpus": 1, "max_restarts": 0, "max_task_retries": 0}
        if gpus:
            options["num_gpus"] = gpus
        if resources:
            options["resources"] = dict(resources)
        self._actor: Any = ray.remote(_Runner).options(**options).remote()

    def begin(self) -> None:
        """As ``Worker.begin``: waits while the cluster has no room for the actor, and begins it."""
        self._got(self._actor.ready.remote(), limit_s=None)

    def run(self, task: Callable[[], Any], *, limit_s: float | None) -> Any:
        """As ``Worker.run``."""
        return self._got(self._actor.run.remote(task), limit_s=limit_s)

    def _got(self, reference: Any, *, limit_s: float | None) -> Any:
        try:
            return ray.get(reference, timeout=limit_s)
        except GetTimeoutError as error:
            raise TimeLimitError(f"took longer than the limit of {limit_s:g} s") from error
        except RayActorError as error:
            cause = str(error).strip().splitlines()[0]
            raise WorkerLostError(f"a worker of the Ray cluster was lost: {cause}") from error
        except RayTaskError as error:
            raise error.cause if isinstance(error.cause, Exception) else error from None
        except RayError as error:
            raise WorkerLostError(f"the Ray cluster failed: {type(error).__name__}: {error}") from error

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Goes on: which machine an actor is on is the cluster's affair."""
        yield

    def close(self) -> None:
        """Ends the actor at once."""
        if ray.is_initialized():
            ray.kill(self._actor, no_restart=True)
