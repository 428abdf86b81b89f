"""From an architecture to its network: blocks, the torch module, the ONNX graph, and the counts of both."""

from hwnas.networks.blocks import Block, flops_m, macs_m, params_m
from hwnas.networks.catalog import SPACES, network_family
from hwnas.networks.costs import NetworkCosts
from hwnas.networks.family import ImageShape, NetworkFamily, Workload
from hwnas.networks.mixed import MixedFamily

__all__ = [
    "SPACES",
    "Block",
    "ImageShape",
    "MixedFamily",
    "NetworkCosts",
    "NetworkFamily",
    "Workload",
    "flops_m",
    "macs_m",
    "network_family",
    "params_m",
]
