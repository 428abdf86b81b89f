"""FAKE of SLURM: its commands as scripts that run jobs on this machine, and say of them what a test wants.

``sbatch`` begins the script at once, ``srun`` runs what it is given, ``scancel`` kills, and ``sacct`` tells the state
that was written beside a job, else whether it runs.
"""

from __future__ import annotations

import itertools
import os
import signal
from contextlib import suppress
from pathlib import Path

_SBATCH = """#!/bin/bash
grep -q "partition=closed" "$1" && { echo "sbatch: error: invalid partition specified: closed" >&2; exit 1; }
id=$FIRST; while ! mkdir "$JOBS/$id" 2>/dev/null; do id=$((id + 1)); done
cp "$1" "$JOBS/$id/script"
SLURM_JOB_ID=$id setsid bash "$JOBS/$id/script" >/dev/null 2>&1 </dev/null &
echo $! > "$JOBS/$id/pid"
echo "Submitted batch job $id"
"""
_SRUN = """#!/bin/bash
while [[ "$1" == --* ]]; do [[ "$1" == --output ]] && { out="$2"; shift; }; shift; done
out="${out//%j/$SLURM_JOB_ID}"
for _ in {1..600}; do [[ -d "$(dirname "$out")" ]] && break; sleep 0.1; done  # submitit makes it after submitting
exec "$@" >> "${out//%t/0}" 2>&1
"""
_SCANCEL = """#!/bin/bash
for id in "$@"; do
  echo "$id" >> "$JOBS/cancelled"
  [[ -d "$JOBS/$id" ]] && { kill -9 -- "-$(cat "$JOBS/$id/pid")"; echo "CANCELLED by 0" > "$JOBS/$id/state"; }
done
"""
_SACCT = """#!/bin/bash
echo "JobID|State|NodeList"
for job in "$JOBS"/*/; do
  state=COMPLETED
  kill -0 "$(cat "$job/pid")" 2>/dev/null && state=RUNNING
  [[ -f "$job/state" ]] && state=$(cat "$job/state")
  echo "$(basename "$job")|$state|node1"
done
"""


_HUNDREDS = itertools.count(1)


class FakeSlurm:
    """The commands, in a folder to be put first on the path, and what became of the jobs.

    Numbers of jobs are never given twice: submitit remembers those that ended.

    Args:
        folder: An empty one.

    Attributes:
        commands: Folder of the scripts.
        first: Number of the first job.
    """

    def __init__(self, folder: Path) -> None:
        self.commands, self._jobs = folder / "bin", folder / "jobs"
        self.first = 100 * next(_HUNDREDS)
        self.commands.mkdir()
        self._jobs.mkdir()
        for name, text in {"sbatch": _SBATCH, "srun": _SRUN, "scancel": _SCANCEL, "sacct": _SACCT}.items():
            (self.commands / name).write_text(text.replace("$JOBS", str(self._jobs)).replace("$FIRST", str(self.first)))
            (self.commands / name).chmod(0o755)

    def script(self, job: int) -> str:
        """What was submitted."""
        return (self._jobs / str(job) / "script").read_text()

    def lose(self, job: int, state: str) -> None:
        """Ends a job as SLURM would, in a state."""
        place = self._jobs / str(job)
        (place / "state").write_text(state)
        with suppress(ProcessLookupError):
            os.killpg(int((place / "pid").read_text()), signal.SIGKILL)

    def cancelled(self) -> list[str]:
        """Jobs that were cancelled, in order."""
        file = self._jobs / "cancelled"
        return file.read_text().split() if file.exists() else []
