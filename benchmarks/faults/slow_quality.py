"""An evaluation for the scripts of this folder: simulated work, and an accuracy made of the architecture.

Simulated: it sleeps, ``HWNAS_FAULTS_SLEEP_S`` seconds on average.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import Any

MEAN_S = "HWNAS_FAULTS_SLEEP_S"


def quality(architecture: dict[str, Any]) -> float:
    """An accuracy between 0.2 and 1, always the same for the same architecture."""
    digest = hashlib.sha256(json.dumps(architecture, sort_keys=True).encode()).digest()
    accuracy = 0.2 + 0.8 * int.from_bytes(digest[:4], "big") / 2**32
    time.sleep(sleep_s(accuracy))
    return accuracy


def sleep_s(accuracy: float) -> float:
    """How long the evaluation that gave an accuracy slept, in seconds."""
    return float(os.environ.get(MEAN_S, "0")) * (0.5 + (accuracy - 0.2) / 0.8)
