"""What may vary: choices, search spaces and their encodings. Nothing here knows of torch."""

from hwnas.spaces.codes import ArchitectureCodes, Codes
from hwnas.spaces.encoding import Encoding
from hwnas.spaces.features import Features
from hwnas.spaces.mobilenet import MOBILENET_PRESETS, MobileNetDesign, mobilenet_space
from hwnas.spaces.nasbench201 import architecture_string, from_string, nasbench201_space
from hwnas.spaces.paths import PathFeatures
from hwnas.spaces.reading import read_architecture
from hwnas.spaces.shares import Share, ShareTable
from hwnas.spaces.space import Choice, SearchSpace

__all__ = [
    "MOBILENET_PRESETS",
    "ArchitectureCodes",
    "Choice",
    "Codes",
    "Encoding",
    "Features",
    "MobileNetDesign",
    "PathFeatures",
    "SearchSpace",
    "Share",
    "ShareTable",
    "architecture_string",
    "from_string",
    "mobilenet_space",
    "nasbench201_space",
    "read_architecture",
]
