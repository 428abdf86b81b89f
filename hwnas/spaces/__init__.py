"""What may vary: choices, search spaces and their encodings. Nothing here knows of torch."""

from hwnas.spaces.benchmarks import MACRO_OPERATIONS, accel_space, macro_space
from hwnas.spaces.codes import ArchitectureCodes, Codes
from hwnas.spaces.encoding import Encoding
from hwnas.spaces.features import Features
from hwnas.spaces.gpunet import GPUNET_PRESETS, GpuNetDesign, gpunet_space
from hwnas.spaces.interval import Interval
from hwnas.spaces.mobilenet import MOBILENET_PRESETS, MobileNetDesign, mobilenet_space, quarter
from hwnas.spaces.nasbench201 import architecture_string, from_string, nasbench201_space
from hwnas.spaces.paths import PathFeatures
from hwnas.spaces.precision import PRECISION, precision_of, with_precision, without_precision
from hwnas.spaces.reading import read_architecture
from hwnas.spaces.recurrent import RECURRENT_PRESETS, RecurrentDesign, recurrent_space
from hwnas.spaces.shares import Share, ShareTable
from hwnas.spaces.space import Choice, SearchSpace

__all__ = [
    "GPUNET_PRESETS",
    "MACRO_OPERATIONS",
    "MOBILENET_PRESETS",
    "PRECISION",
    "RECURRENT_PRESETS",
    "ArchitectureCodes",
    "Choice",
    "Codes",
    "Encoding",
    "Features",
    "GpuNetDesign",
    "Interval",
    "MobileNetDesign",
    "PathFeatures",
    "RecurrentDesign",
    "SearchSpace",
    "Share",
    "ShareTable",
    "accel_space",
    "architecture_string",
    "from_string",
    "gpunet_space",
    "macro_space",
    "mobilenet_space",
    "nasbench201_space",
    "precision_of",
    "quarter",
    "read_architecture",
    "recurrent_space",
    "with_precision",
    "without_precision",
]
