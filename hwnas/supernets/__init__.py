"""Weights that all networks of a family share, and how they are trained."""

from hwnas.supernets.calibration import fixed_part, recalibrate
from hwnas.supernets.learning import Learning, learn
from hwnas.supernets.matching import gradient_match, halves_of_least_match
from hwnas.supernets.recipe import SupernetProgress, SupernetRecipe
from hwnas.supernets.shared import FewShot, OneShot
from hwnas.supernets.splitting import owner, split, split_all, splittable
from hwnas.supernets.supernet import Supernet

__all__ = [
    "FewShot",
    "Learning",
    "OneShot",
    "Supernet",
    "SupernetProgress",
    "SupernetRecipe",
    "fixed_part",
    "gradient_match",
    "halves_of_least_match",
    "learn",
    "owner",
    "recalibrate",
    "split",
    "split_all",
    "splittable",
]
