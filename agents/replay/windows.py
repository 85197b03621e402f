"""The stream for sequence models: windows of a dataset's episodes."""

from __future__ import annotations

import numpy as np
import torch

from agents.policies.decision_transformer import DecisionTransformerPolicyConfig
from envs.episodes.episodes import Episodes
from training.core import Batch, Counters
from training.data.streams import Shuffled
from training.metrics import Metrics
from training.state import State


class Windows:
    """Sequences [B, context, ...] from episodes; in each epoch every step begins one.

    They hold what the policy reads (see `DecisionTransformerPolicy.outputs`) and `valid` [B, context], which is False
    behind the end of an episode.
    """

    def __init__(
        self, episodes: Episodes, config: DecisionTransformerPolicyConfig, minibatch_size: int, seed: int
    ) -> None:
        starts, lengths = episodes.starts, episodes.lengths
        self._data = episodes.samples()
        self._data["return_to_go"] = torch.from_numpy((episodes.returns_to_go / config.return_scale).astype(np.float32))
        self._data["episode_step"] = torch.from_numpy(np.arange(episodes.steps) - np.repeat(starts, lengths))
        self._last = torch.from_numpy(np.repeat(starts + lengths - 1, lengths))  # [S] the last step of its episode
        self._offsets = torch.arange(config.context)
        self._begins = Shuffled({"step": torch.arange(episodes.steps)}, minibatch_size, seed=seed)

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        begins, after, metrics = self._begins.next(now)
        steps = begins["step"].unsqueeze(1) + self._offsets
        last = self._last[begins["step"]].unsqueeze(1)
        rows = torch.minimum(steps, last)
        return {**{key: value[rows] for key, value in self._data.items()}, "valid": steps <= last}, after, metrics

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back: no sequence is preferred."""

    def state_dict(self) -> State:
        return self._begins.state_dict()

    def load_state_dict(self, state: State) -> None:
        self._begins.load_state_dict(state)
