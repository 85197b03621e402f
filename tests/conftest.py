"""What every test shares: one thread, as in training, and no time limit on single hypothesis examples."""

from __future__ import annotations

import hypothesis
import torch

torch.set_num_threads(1)
hypothesis.settings.register_profile("regimen", deadline=None, derandomize=True)
hypothesis.settings.load_profile("regimen")
