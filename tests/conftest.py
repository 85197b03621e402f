"""What every test shares: one thread, as in training, and no time limit on single hypothesis examples."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest
import torch

torch.set_num_threads(1)
hypothesis.settings.register_profile("regimen", deadline=None, derandomize=True)
hypothesis.settings.load_profile("regimen")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where datasets lie, in an empty folder that is also the working directory."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "datasets"
