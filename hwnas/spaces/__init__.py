"""What may vary: choices, search spaces and their encodings. Nothing here knows of torch."""

from hwnas.spaces.encoding import Encoding
from hwnas.spaces.mobilenet import MOBILENET_PRESETS, MobileNetDesign, mobilenet_space
from hwnas.spaces.space import Choice, SearchSpace

__all__ = ["MOBILENET_PRESETS", "Choice", "Encoding", "MobileNetDesign", "SearchSpace", "mobilenet_space"]
