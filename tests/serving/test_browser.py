"""The page: one file that plays CartPole as Gymnasium does, with the actions that the policy has here."""

from __future__ import annotations

import json
import os
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from serving.browser import RUNTIME, WASM, page_for
from serving.exported import export
from tests.support.browser import CHROMIUM, asked_of_page
from tests.support.exported import balancing, write_policy_run
from training.errors import UserError

WEB = Path(os.environ.get("ONNXRUNTIME_WEB", "node_modules/onnxruntime-web"))
CARTPOLE = {"config": {"env": {"id": "CartPole-v1"}}}


def test_the_page_is_for_cartpole_with_an_installed_package(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the page has CartPole-v0 and CartPole-v1 in it, not Pendulum-v1"):
        page_for({"config": {"env": {"id": "Pendulum-v1"}}}, tmp_path, "onnx")
    with pytest.raises(UserError, match="in it, not data"):
        page_for({"config": {}}, tmp_path, "onnx")
    with pytest.raises(UserError, match="format = 'pt2': it takes 'onnx' with --web"):
        page_for(CARTPOLE, tmp_path, "pt2")
    with pytest.raises(UserError, match="that `npm install onnxruntime-web` makes"):
        page_for(CARTPOLE, tmp_path, "onnx")
    (tmp_path / "dist").mkdir()
    for name in (RUNTIME, WASM):
        (tmp_path / "dist" / name).touch()
    assert page_for(CARTPOLE, tmp_path, "onnx").env == "CartPole-v1"


@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
@pytest.mark.skipif(not WEB.is_dir(), reason="ONNXRUNTIME_WEB names no folder of npm's onnxruntime-web")
def test_a_browser_plays_the_episodes_that_gymnasium_plays(tmp_path: Path) -> None:
    policy = balancing()
    run = write_policy_run(tmp_path / "run", policy)
    settings = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**settings, **CARTPOLE}))
    made = export(run, tmp_path / "out", web=WEB)
    rows = "[...document.querySelectorAll('#episodes tr')].map((row) => [row.dataset.start, row.cells[1].textContent])"
    (played, error), complaints = asked_of_page(
        f"{(made.folder / 'index.html').as_uri()}#seed=7&speed=20",
        [rows, "document.getElementById('error').textContent"],
        tmp_path / "profile",
        until="document.querySelectorAll('#episodes tr').length >= 3 || document.getElementById('error').textContent",
    )
    assert (error, complaints) == ("", [])
    for start, steps in played:
        env = gym.make("CartPole-v1")
        env.reset()
        env.unwrapped.state = np.array(json.loads(start))  # type: ignore[attr-defined]
        obs, done, count = np.array(json.loads(start), np.float32), False, 0
        while not done:
            obs, _, terminated, truncated, _ = env.step(policy.predict(obs))
            done, count = terminated or truncated, count + 1
        assert count == int(steps)
    assert any(int(steps) > 100 for _, steps in played)
