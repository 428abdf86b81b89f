"""Many workers whose trials sleep: what share of their time do they work, and what share do they wait for the search?

The work is simulated (``slow_quality.py``); the search, its searcher and its record are as they are. Counted from the
moment when every worker has ended a trial until the last trial is begun: starting processes and the last trials, which
no search can fill, are told apart.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import optuna
from kills import drive
from slow_quality import MEAN_S, sleep_s


def intervals(record: Path) -> np.ndarray:
    """When each trial was begun and ended, and how long it slept, in seconds; shape ``(n, 3)``."""
    storage = f"sqlite:///{record}"
    (name,) = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).trials
    found = [
        (one.datetime_start.timestamp(), one.datetime_complete.timestamp(), sleep_s(one.user_attrs["accuracy"]))
        for one in trials
        if one.datetime_start and one.datetime_complete and "accuracy" in one.user_attrs
    ]
    return np.array(sorted(found))


def efficiency(found: np.ndarray, workers: int) -> tuple[float, float]:
    """Share of the workers' time that they slept, and over how many seconds that was counted."""
    begun, ended, slept = found.T
    start, stop = np.sort(ended)[workers - 1], begun.max()
    worked = np.clip(np.minimum(ended, stop) - np.maximum(ended - slept, start), 0, None)
    return float(worked.sum() / (workers * (stop - start))), float(stop - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=10, help="trials for each worker")
    parser.add_argument("--sleep-s", type=float, default=30.0, help="mean time of a simulated evaluation")
    parser.add_argument("--algorithm", default="lamoo")
    parser.add_argument("--executor", default="processes")
    arguments = parser.parse_args()
    os.environ[MEAN_S] = str(arguments.sleep_s)
    with tempfile.TemporaryDirectory() as scratch:
        run = drive(
            Path(scratch, "run"),
            executor=arguments.executor,
            workers=arguments.workers,
            trials=arguments.workers * arguments.rounds,
            algorithm=arguments.algorithm,
        )
        run.record.close()
        found = intervals(run.folder / "study.db")
    share, counted_s = efficiency(found, arguments.workers)
    whole_s = found[:, 1].max() - found[:, 0].min()
    whole = found[:, 2].sum() / arguments.workers / whole_s
    print(
        f"simulated work, {arguments.algorithm}, {arguments.executor}: {len(found)} trials of "
        f"{found[:, 2].mean():.1f} s on {arguments.workers} workers, which work for {100 * share:.1f} % of the "
        f"{counted_s:.0f} s in which there is work for all, and for {100 * whole:.1f} % of the {whole_s:.0f} s from "
        "the first trial to the last one's end"
    )


if __name__ == "__main__":
    main()
