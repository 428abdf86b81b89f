"""A Ray cluster of several nodes of which one is removed in the middle of a search: which trials are lost or doubled?

Simulated: the nodes are raylets of this machine, and the work sleeps (``slow_quality.py``). The search, its executor
and its record are as they are. There is a worker for each CPU, so that those of the lost node find no other place.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path

import ray
from kills import drive
from ray.cluster_utils import Cluster
from slow_quality import MEAN_S

from hwnas.study import open_run


def ended(out: Path) -> int:
    """How many trials have ended."""
    if not (out / "run.json").exists():
        return 0
    run = open_run(out)
    count = len(run.record.finished())
    run.record.close()
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--cpus", type=int, default=2, help="of each node")
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--sleep-s", type=float, default=1.0, help="mean time of a simulated evaluation")
    arguments = parser.parse_args()
    os.environ[MEAN_S] = str(arguments.sleep_s)
    workers = arguments.nodes * arguments.cpus
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": arguments.cpus, "include_dashboard": False})
    others = [cluster.add_node(num_cpus=arguments.cpus) for _ in range(arguments.nodes - 1)]
    ray.init(address=cluster.address, log_to_driver=False)
    told: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "run")

        def remove() -> None:
            while (count := ended(out)) < arguments.trials // 2:
                time.sleep(0.2)
            told["after"] = count
            cluster.remove_node(others[-1], allow_graceful=False)

        remover = threading.Thread(target=remove, daemon=True)
        remover.start()
        run = drive(out, executor="ray", workers=workers, trials=arguments.trials)
        remover.join()
        run = open_run(out)
        finished, attributes = run.record.finished(), run.record.attributes()
        run.record.close()
    ids = [trial.architecture.id for trial in finished]
    print(
        f"simulated work, {arguments.nodes} nodes of {arguments.cpus} CPUs on one machine, {workers} workers; one node "
        f"removed after {told['after']} of {arguments.trials} trials: lost {arguments.trials - len(finished)}, doubled "
        f"{len(ids) - len(set(ids))}, failed {sum(trial.failed is not None for trial in finished)}, begun again "
        f"{sum('lost_workers' in one for one in attributes.values())}"
    )
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
