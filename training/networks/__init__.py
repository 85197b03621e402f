"""Networks: their layers, their initialization, and their NumPy versions for acting."""

from training.networks.config import NetworkConfig
from training.networks.encoder import Encoder
from training.networks.normalizer import Normalizer
from training.networks.perceptrons import MLP, Dueling, EnsembleMLP, NoisyLinear

__all__ = ["MLP", "Dueling", "Encoder", "EnsembleMLP", "NetworkConfig", "NoisyLinear", "Normalizer"]
