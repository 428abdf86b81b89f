"""From a trial to a file that can be deployed."""

from hwnas.conversion import PRECISIONS, Parity
from hwnas.exports.exporting import FULL_TRAINING, Exported, export, export_as, read_card
from hwnas.exports.promises import LATENCY_TOLERANCE, LatencyCheck
from hwnas.exports.settings import MAX_DROP, ExportSettings
from hwnas.exports.verification import Verification, verify
from hwnas.exports.weights import ExportStep

__all__ = [
    "FULL_TRAINING",
    "LATENCY_TOLERANCE",
    "MAX_DROP",
    "PRECISIONS",
    "ExportSettings",
    "ExportStep",
    "Exported",
    "LatencyCheck",
    "Parity",
    "Verification",
    "export",
    "export_as",
    "read_card",
    "verify",
]
