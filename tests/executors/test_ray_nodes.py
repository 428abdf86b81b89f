"""A node of a Ray cluster is lost while its workers work, and nothing takes its place."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hwnas.executors import ExecutorSettings, WorkerLostError, open_executor
from tests.executors import tasks

SOON_S = 120.0


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Two raylets of this machine, of one CPU each."""
    import ray
    from ray.cluster_utils import Cluster

    ray.shutdown()
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


@pytest.mark.science
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the processes that Ray's own test cluster leaves
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_workers_of_a_lost_node_lose_their_own_tasks_and_the_others_do_the_rest(
    cluster: Any, tmp_path: Path
) -> None:
    node = cluster.add_node(num_cpus=1)
    settings = ExecutorSettings(name="ray", workers=2, address=cluster.address)
    with open_executor(settings) as executor:
        both = [executor.submit(tasks.meet, tmp_path, str(i), 2) for i in range(2)]
        assert len({future.result(SOON_S) for future in both}) == 2
        began = [tmp_path / "a", tmp_path / "b"]
        running = [executor.submit(tasks.mark_and_wait, path, tmp_path / "go") for path in began]
        begun = time.monotonic()
        while not all(path.exists() for path in began):
            assert time.monotonic() - begun < SOON_S
            time.sleep(0.05)
        removed = threading.Thread(target=cluster.remove_node, args=(node,), kwargs={"allow_graceful": False})
        removed.start()
        waiting = [executor.submit(tasks.double, i) for i in range(4)]
        lost = [future for future in running if isinstance(_error_once(running, future), WorkerLostError)]
        (tmp_path / "go").touch()
        assert len(lost) == 1
        assert [future.result(SOON_S) for future in waiting] == [0, 2, 4, 6]
        removed.join()


def _error_once(running: list[Any], future: Any) -> BaseException | None:
    """The error of a task, as soon as one of them has ended."""
    from concurrent.futures import FIRST_COMPLETED, wait

    done = wait(running, timeout=SOON_S, return_when=FIRST_COMPLETED).done
    return future.exception() if future in done else None
