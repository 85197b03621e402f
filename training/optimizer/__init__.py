"""The one optimizer layer: rules by parameter name, schedules, clipping, accumulation, compiled updates, anchors."""

from training.optimizer.config import OptimizerConfig, Rule
from training.optimizer.gradient import Gradient, Loss
from training.optimizer.optimizer import Optimizer
from training.optimizer.schedules import Schedule

__all__ = ["Gradient", "Loss", "Optimizer", "OptimizerConfig", "Rule", "Schedule"]
