"""kill -9 at random moments, of searches and of their workers: which trials are lost, which are doubled?

The work is simulated (``slow_quality.py``); everything else is the search as it is. With one worker the end has to be
that of a search that nobody disturbed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from slow_quality import MEAN_S

import hwnas
from hwnas.executors import ExecutorSettings
from hwnas.study import Run, open_run
from latency_tables import resolve

QUALITY = f"{Path(__file__).parent / 'slow_quality.py'}:quality"
TABLE = "xeon-ort-mobilenet_small-fp32"
STEP = 100  # trials by which the budget grows while there are kills left


def drive(out: Path, *, executor: str, workers: int, trials: int, algorithm: str = "mutation") -> Run:
    """The search itself."""
    return hwnas.search(
        table=resolve(TABLE),
        out=out,
        algorithm=algorithm,
        evaluator=QUALITY,
        trials=trials,
        executor=ExecutorSettings(name=executor, workers=workers),
        attempts=10,
    )


def started(out: Path, arguments: argparse.Namespace, *, trials: int, workers: int, executor: str) -> psutil.Process:
    command = [sys.executable, __file__, "--drive", str(out), "--executor", executor, "--workers", str(workers)]
    environment = {**os.environ, MEAN_S: str(arguments.sleep_s)}
    return psutil.Popen([*command, "--trials", str(trials)], env=environment, stderr=subprocess.DEVNULL)


def results(out: Path) -> dict[int, tuple[str, float | None]]:
    """Every trial that ended, as far as there is a run."""
    if not (out / "run.json").exists():
        return {}
    run = open_run(out)
    found = {one.number: (one.architecture.id, one.values.get("accuracy")) for one in run.record.finished()}
    run.record.close()
    return found


def disturbed(out: Path, arguments: argparse.Namespace, *, executor: str, workers: int, kills: int) -> None:
    """A search that is killed again and again; prints what became of it."""
    rng, trials = np.random.default_rng(arguments.seed), STEP
    seen: dict[int, tuple[str, float | None]] = {}
    lost = drivers = victims = 0
    driver = started(out, arguments, trials=trials, workers=workers, executor=executor)
    while drivers + victims < kills:
        time.sleep(float(rng.uniform(0.5, arguments.longest_s)))
        if driver.poll() is not None:  # the budget is spent: it grows
            trials += STEP
            driver = started(out, arguments, trials=trials, workers=workers, executor=executor)
            continue
        if executor != "serial" and rng.random() < arguments.worker_share:
            helpers = [one for one in driver.children(recursive=True) if _is_worker(one, executor)]
            victims += _killed(helpers[int(rng.integers(len(helpers)))]) if helpers else 0
            continue
        drivers += _killed(driver)
        driver.wait()
        now = results(out)
        lost += sum(now.get(number) != what for number, what in seen.items())
        seen = now
        driver = started(out, arguments, trials=trials, workers=workers, executor=executor)
    driver.wait()
    started(out, arguments, trials=trials, workers=workers, executor=executor).wait()
    now = results(out)
    lost += sum(now.get(number) != what for number, what in seen.items())
    ids = [architecture for architecture, _ in now.values()]
    failed = sum(accuracy is None for _, accuracy in now.values())
    print(
        f"{executor}, {workers} workers: {drivers} kills of the search, {victims} of workers; {len(now)} trials of "
        f"{trials}, lost {lost + trials - len(now)}, doubled {len(ids) - len(set(ids))}, failed {failed}",
        flush=True,
    )


def _is_worker(process: psutil.Process, executor: str) -> bool:
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "ray::" in line if executor == "ray" else "spawn_main" in line


def _killed(process: psutil.Process) -> int:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return 0
    return 1


def front(run: Run) -> list[tuple[int, str, float]]:
    found = [(one.number, one.architecture.id, one.values["accuracy"]) for one in run.front()]
    run.record.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="of searches on several processes and their workers")
    parser.add_argument("--serial-kills", type=int, default=20)
    parser.add_argument("--ray-kills", type=int, default=20)
    parser.add_argument("--worker-share", type=float, default=0.6, help="share of the kills that hit a worker")
    parser.add_argument("--longest-s", type=float, default=10.0, help="longest time between two kills")
    parser.add_argument("--sleep-s", type=float, default=0.2, help="mean time of a simulated evaluation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--drive", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--executor", default="processes", help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=3, help="of the searches on several processes")
    parser.add_argument("--trials", type=int, default=STEP, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.drive:
        drive(arguments.drive, executor=arguments.executor, workers=arguments.workers, trials=arguments.trials)
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        disturbed(folder / "many", arguments, executor="processes", workers=arguments.workers, kills=arguments.kills)
        if arguments.ray_kills:
            disturbed(folder / "ray", arguments, executor="ray", workers=2, kills=arguments.ray_kills)
        if arguments.serial_kills:
            disturbed(folder / "one", arguments, executor="serial", workers=1, kills=arguments.serial_kills)
            trials = open_run(folder / "one").settings.trials
            drive(folder / "whole", executor="serial", workers=1, trials=trials)
            same = front(open_run(folder / "one")) == front(open_run(folder / "whole"))
            print(f"serial: the front is {'that' if same else 'NOT that'} of a search that nobody disturbed")


if __name__ == "__main__":
    main()
