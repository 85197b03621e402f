"""The one optimizer layer: rules by parameter name, schedules, clipping, accumulation, compiled updates, anchors."""

from training.optimizer.config import OptimizerConfig, Rule
from training.optimizer.optimizer import Gradient, Loss, Optimizer
from training.optimizer.schedules import Schedule

__all__ = ["Gradient", "Loss", "Optimizer", "OptimizerConfig", "Rule", "Schedule"]
