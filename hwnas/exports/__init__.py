"""From a trial to a file that can be deployed."""

from hwnas.exports.exporting import Exported, export, export_as, read_card
from hwnas.exports.verify import LATENCY_TOLERANCE, LatencyCheck, Parity

__all__ = ["LATENCY_TOLERANCE", "Exported", "LatencyCheck", "Parity", "export", "export_as", "read_card"]
