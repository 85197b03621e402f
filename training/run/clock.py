"""What a run spent over all its segments: how long it has taken and trained, and its energy."""

from __future__ import annotations

import time
from collections.abc import Sequence

from training.energy.meter import EnergyMeter
from training.state import State


class Clock:
    """The times of a run over all its segments; a segment counts up to the checkpoint from which the next one went on.

    It is the run's own part of a checkpoint (`progress`), so it also says why the run is `inexact`.
    """

    def __init__(self, inexact: Sequence[str] = (), meter: EnergyMeter | None = None) -> None:
        self.inexact = list(inexact)
        self.meter = meter or EnergyMeter()
        self.training_time_s = 0.0
        self._wall_time_before_s = 0.0
        self._training_time_before_s = 0.0
        self._began_s = self._training_began_s = time.monotonic()

    @property
    def wall_time_s(self) -> float:
        """Seconds since the run was made or opened, after those of the earlier segments."""
        return self._wall_time_before_s + time.monotonic() - self._began_s

    @property
    def trained_s(self) -> float:
        """Seconds of training until now, with those of the earlier segments."""
        return self._training_time_before_s + time.monotonic() - self._training_began_s

    def start_training(self) -> None:
        self._training_began_s = time.monotonic()

    def state_dict(self) -> State:
        # Training lasts from the making of the checkpoints to the last save: evaluation after it is not training.
        self.training_time_s = self.trained_s
        times = {"wall_time_s": self.wall_time_s, "training_time_s": self.training_time_s}
        return {**times, "energy": self.meter.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self._wall_time_before_s = state["wall_time_s"]
        self._training_time_before_s = self.training_time_s = state["training_time_s"]
        if "energy" in state:  # it was not metered before
            self.meter.load_state_dict(state["energy"])
