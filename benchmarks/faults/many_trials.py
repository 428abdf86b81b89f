"""Ten thousand trials in one study: seconds a trial costs beside its evaluation, and the size of the record.

The evaluation costs next to nothing (``slow_quality.py`` without sleep); the search and its record are as they are.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from kills import drive
from orchestration import intervals

_WINDOW = 200  # trials that a median is taken of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--algorithm", default="mutation")
    parser.add_argument("--at", type=int, nargs="+", default=[200, 1000, 2000, 5000, 10_000])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "run")
        run = drive(folder, executor="serial", workers=1, trials=arguments.trials, algorithm=arguments.algorithm)
        run.record.close()
        found = intervals(run.folder / "study.db")
        size_mib = sum(file.stat().st_size for file in run.folder.rglob("*") if file.is_file()) / 2**20
    begun, ended, _ = found.T
    for count in (one for one in arguments.at if one <= len(found)):
        some = slice(max(0, count - _WINDOW), count)
        evaluated, between = ended[some] - begun[some], np.diff(begun[some])
        print(
            f"{arguments.algorithm}, after {count} trials: {1e3 * np.median(between):.0f} ms a trial, "
            f"{1e3 * np.median(evaluated):.0f} ms of it from its beginning to its end on record (medians of "
            f"{len(evaluated)} trials)"
        )
    print(f"{len(found)} trials in {ended.max() - begun.min():.0f} s; the run folder has {size_mib:.1f} MiB")


if __name__ == "__main__":
    main()
