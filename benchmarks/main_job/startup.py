"""Time of ``hwnas --help`` as a whole process: median of eleven runs after a warm-up."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time


def main() -> None:
    times_s = []
    for _ in range(12):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "cli", "--help"], check=True, capture_output=True)
        times_s.append(time.perf_counter() - start)
    print(f"hwnas --help: median {statistics.median(times_s[1:]):.3f} s, slowest {max(times_s[1:]):.3f} s")


if __name__ == "__main__":
    main()
