"""From a trial to a file that can be deployed."""

from hwnas.exports.exporting import FULL_TRAINING, Exported, ExportStep, export, export_as, read_card
from hwnas.exports.verify import LATENCY_TOLERANCE, LatencyCheck, Parity

__all__ = [
    "FULL_TRAINING",
    "LATENCY_TOLERANCE",
    "ExportStep",
    "Exported",
    "LatencyCheck",
    "Parity",
    "export",
    "export_as",
    "read_card",
]
