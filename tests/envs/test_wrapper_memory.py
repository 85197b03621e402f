"""A wrapper that remembers earlier episodes is named when a run begins."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agents.recipes import acting
from envs.config import EnvConfig
from envs.making import make_vec
from envs.wrapper_memory import wrapper_memory
from tests.support.vectors import TOY, play

DRIFTING = "tests.support.toy_wrappers:Drifting"
CARRIES = "carries something from one episode into the next, which no resume restores"


@pytest.mark.parametrize(
    ("env", "told"),
    [
        (
            EnvConfig("CartPole-v1", wrappers=("TimeAwareObservation", "NormalizeObservation")),
            f"CartPole-v1: the wrapper 'NormalizeObservation' {CARRIES}; use policy.normalize_observation instead",
        ),
        (
            EnvConfig(TOY + "Sparse", wrappers=("NormalizeReward(gamma=0.9)",)),
            f"{TOY}Sparse: the wrapper 'NormalizeReward' {CARRIES}; use scale_reward instead",
        ),
        (
            EnvConfig(TOY + "make_normalized"),
            f"{TOY}make_normalized: the wrapper 'NormalizeReward' {CARRIES}; use scale_reward instead",
        ),
        (
            EnvConfig("Pendulum-v1", wrappers=("TimeAwareObservation", f"{DRIFTING}(by=0.5)", "ClipAction")),
            f"Pendulum-v1: the wrapper '{DRIFTING}(by=0.5)' {CARRIES} (the same episode, begun again, gives another "
            "reward at step 1); its reset must forget, and statistics are for the policy to keep",
        ),
        (
            EnvConfig(TOY + "Spoken", wrappers=(DRIFTING, "tests.envs.test_dropping:count_letters")),
            f"{TOY}Spoken: the wrapper '{DRIFTING}' {CARRIES} (the same episode, begun again, gives another "
            "reward at step 1); its reset must forget, and statistics are for the policy to keep",
        ),
    ],
    ids=["known", "known, and nothing is seen of it", "inside of a function", "own", "own, where text is left"],
)
def test_it_is_named_with_what_to_use_instead(env: EnvConfig, told: str) -> None:
    assert wrapper_memory(env, seed=1) == told


@pytest.mark.parametrize(
    "env",
    [
        EnvConfig("CartPole-v1"),
        EnvConfig("Pendulum-v1", wrappers=("TimeAwareObservation", "ClipAction", f"{DRIFTING}(forgets=True)")),
        EnvConfig("Pendulum-v1", wrappers=("StickyAction(repeat_action_probability=0.5)",)),
        EnvConfig("Pendulum-v1", wrappers=(DRIFTING,), fresh_instance=True),
        EnvConfig("CartPole-v1", wrappers=("ClipAction",)),  # which does not fit: that is told where it is made
        EnvConfig(TOY + "Counting", wrappers=("ClipReward(min_reward=-1.0)",)),  # the environment itself does
        EnvConfig(TOY + "Counting-v0", backend="vector-entry-point"),
    ],
    ids=str,
)
def test_nothing_is_said_of_a_wrapper_whose_reset_forgets(env: EnvConfig) -> None:
    assert wrapper_memory(env, seed=1) is None


def test_the_run_says_that_it_is_not_exact(capsys: pytest.CaptureFixture[str]) -> None:
    reasons: list[str] = []
    run: Any = SimpleNamespace(seed=1, not_exact=reasons.append)
    acting.note_what_no_resume_restores(EnvConfig("Pendulum-v1", wrappers=(DRIFTING,)), run)
    assert len(reasons) == 1
    assert f"warning: this run is not exact: {reasons[0]}" in capsys.readouterr().err


def test_what_it_says_is_so(tmp_path: Path) -> None:
    """The rewards after a resume are others, though each observation is restored."""
    config = EnvConfig("Pendulum-v1", wrappers=(DRIFTING,), time_limit=5)
    vec = make_vec(config, 1, seed=1)
    play(vec, 12, np.random.default_rng(0))
    other = make_vec(config, 1, seed=1)
    other.load_state_dict(vec.state_dict())
    assert other.inexact == []
    action = {"action": np.zeros((1, 1), np.float32)}
    assert vec.step(action).reward[0] == pytest.approx(other.step(action).reward[0] + 10)
