"""kill -9 at random moments of profiling and of searching, then the same command: what is lost, what is done twice?"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hwnas.study import open_run
from latency_tables import read_table

KILLS, SPACE, TRIALS = 10, "mobilenet:tiny", 30


def run_killed(command: list[str], *, after_s: float) -> int:
    """Starts a command, kills it after a while, and gives its exit status."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return process.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        return process.wait()


def profiling(folder: Path, rng: np.random.Generator) -> None:
    table = folder / "table.jsonl"
    command = [sys.executable, "-m", "cli", "profile", "--device", "cpu", "--space", SPACE, "--out", str(table)]
    seen: dict[str, str] = {}
    lost = doubled = kills = 0
    while kills < KILLS:
        killed = run_killed(command, after_s=float(rng.uniform(1.5, 4.0))) < 0
        if not killed:
            table.unlink()
            seen.clear()
            continue
        kills += 1
        journal = table.with_name(f"{table.name}.partial")
        lines = journal.read_text().splitlines(keepends=True)[1:] if journal.exists() else []
        entries = {json.loads(line)["id"]: line for line in lines if line.endswith("\n")}
        doubled += len([line for line in lines if line.endswith("\n")]) - len(entries)
        lost += sum(entries.get(name) != line for name, line in seen.items())
        seen = entries
    subprocess.run(command, check=True, capture_output=True)
    rows = read_table(table)
    print(
        f"profiling: {KILLS} kills, measurements lost {lost}, doubled {doubled}; the finished table has "
        f"{len(rows.kernels)} kernels, {len(rows.blocks)} blocks, {len(rows.networks)} networks"
    )


def searching(folder: Path, rng: np.random.Generator) -> None:
    command = [sys.executable, "-m", "cli", "search", "--space", SPACE, "--table", str(folder / "table.jsonl"),
               "--trials", str(TRIALS)]  # fmt: skip
    seen: dict[int, str] = {}
    lost = kills = 0
    for _ in range(KILLS):
        killed = run_killed([*command, "--out", str(folder / "killed")], after_s=float(rng.uniform(3.0, 6.0))) < 0
        kills += killed
        if not (folder / "killed" / "run.json").exists():
            continue
        run = open_run(folder / "killed")
        finished = {trial.number: repr((trial.architecture.id, trial.values["accuracy"])) for trial in run.trials()}
        run.record.close()
        lost += sum(finished.get(number) != what for number, what in seen.items())
        seen = finished
    for name in ("killed", "whole"):
        subprocess.run([*command, "--out", str(folder / name)], check=False, capture_output=True)
    traces = {}
    for name in ("killed", "whole"):
        trials = open_run(folder / name).trials()
        traces[name] = [(trial.number, trial.architecture.id, trial.values["accuracy"]) for trial in trials]
    ids = [entry[1] for entry in traces["killed"]]
    print(
        f"searching: {kills} kills, trials lost {lost + TRIALS - len(ids)}, doubled {len(ids) - len(set(ids))}; "
        f"trace equal to an uninterrupted run: {traces['killed'] == traces['whole']}"
    )


def main() -> None:
    rng = np.random.default_rng(int(time.time()) if "--random" in sys.argv else 0)
    with tempfile.TemporaryDirectory(prefix="hwnas-kills-") as folder:
        profiling(Path(folder), rng)
        searching(Path(folder), rng)


if __name__ == "__main__":
    main()
