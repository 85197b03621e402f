"""Memory for policies: an LSTM or a GRU over sequences in which episodes begin and end."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import Generator, Tensor, nn
from torch.random import fork_rng

from training.networks.initialization import initialize_orthogonal

CellName = Literal["lstm", "gru"]


class Memory(nn.Module):
    """Features [T, N, inputs] -> what is remembered at each step [T, N, size]; it is empty where an episode begins.

    Its state is [N, P, size], P parts of which the first is what it puts out: (h, c) of the LSTM (Hochreiter and
    Schmidhuber 1997, as torch.nn.LSTM), h of the GRU (Cho et al. 2014, as torch.nn.GRU). An empty memory is zero.
    Weights are orthogonal, biases zero (Huang et al. 2022, The 37 implementation details of PPO, LSTM detail 2).
    """

    def __init__(self, cell: CellName, inputs: int, size: int, generator: Generator) -> None:
        super().__init__()
        with fork_rng(devices=[]):  # its own initialization draws from the global generator
            self.cell: nn.LSTM | nn.GRU = nn.LSTM(inputs, size) if cell == "lstm" else nn.GRU(inputs, size)
        for name, parameter in self.cell.named_parameters():
            if name.startswith("weight"):
                initialize_orthogonal(parameter, 1.0, generator)
            else:
                nn.init.zeros_(parameter)
        self.parts, self.out_features = 2 if cell == "lstm" else 1, size
        self.state_shape = (self.parts, size)

    def forward(self, features: Tensor, is_first: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """What is remembered at each step [T, N, size], and the state after the last.

        `is_first` [T, N] says where an episode begins and `state` [N, P, size] is the one before the first step.
        """
        # Rows at which any episode begins cut the sequences into pieces, each of which is one call of torch's cell. A
        # loop over steps, forward and back on one core, takes 9 times as long for 1,024 steps of 2 environments whose
        # episodes last 100, twice for 128 of 8 that last 50, and three quarters for 128 of 64.
        begins = (is_first[1:].any(1).nonzero().flatten() + 1).tolist()
        outputs = []
        for begin, end in pairwise((0, *begins, len(features))):
            state = state.masked_fill(is_first[begin, :, None, None], 0.0)
            remembered, state = self._piece(features[begin:end], state)
            outputs.append(remembered)
        return (outputs[0] if len(outputs) == 1 else torch.cat(outputs)), state

    def _piece(self, features: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Steps at which no episode begins."""
        parts = [part.contiguous() for part in state.transpose(0, 1).split(1)]
        if isinstance(self.cell, nn.LSTM):
            if features.is_cpu and torch.is_autocast_enabled("cpu"):
                # In low precision oneDNN's LSTM needs AVX-512, which not every processor has.
                with torch.autocast("cpu", enabled=False):
                    remembered, after = self.cell(features.float(), (parts[0], parts[1]))
            else:
                remembered, after = self.cell(features, (parts[0], parts[1]))
            return remembered, torch.cat(after).transpose(0, 1).float()
        remembered, hidden = self.cell(features, parts[0])
        return remembered, hidden.transpose(0, 1).float()
