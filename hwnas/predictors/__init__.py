"""Costs that are known before anything is trained."""

from hwnas.predictors.latency import Calibration, LatencyPredictor

__all__ = ["Calibration", "LatencyPredictor"]
