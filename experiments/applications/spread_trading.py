"""PPO trades a spread that returns to its mean, with costs, nearly as well as the exact optimum of 200 steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agents.acting.evaluation import EvaluationConfig
from agents.policies.saved import load_policy
from agents.ppo import PPO, PPOConfig
from agents.recipes import on_policy
from envs.config import EnvConfig
from envs.making import make_vec
from envs.tasks.spread import COST, DEVIATION, STEPS, optimum, sign_rule, threshold_rule
from training.claims import Claim
from training.core import Every
from training.data.dataset import Dataset
from training.data.sources import of_arrays
from training.errors import require
from training.pictures import Line, Panel, write_pictures
from training.run.run import Run
from training.seeding import derived_seed

Floats = NDArray[np.float64]
Act = Callable[[int, NDArray[np.float32]], NDArray[np.int64]]
"""(step, what is seen [N, 2]) -> actions [N]."""
THRESHOLDS = [(enter, leave) for enter in (0.3, 0.6, 0.9, 1.2) for leave in (0.0, 0.3, 0.6)]
"""Of the threshold rule, in deviations; the best on other episodes is the baseline."""


@dataclass(frozen=True, kw_only=True)
class Config(on_policy.OnPolicyConfig):
    """PPO's default numbers; only how long it trains is chosen."""

    threads: int | Literal["auto"] = 1
    env: EnvConfig = EnvConfig("envs.tasks.spread:SpreadTrading")
    num_envs: int = 8
    env_steps: int = 200_704
    agent: PPOConfig = PPOConfig()
    evaluation: EvaluationConfig = EvaluationConfig(every=Every(50_000))
    compared_episodes: int = 500
    """Episodes on which the policy, the optimum and the rules are compared, the same for all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.compared_episodes >= 2, "compared_episodes", self.compared_episodes, "at least 2")


CLAIMS = (
    Claim("agent/part_of_optimum", ">=", 0.95),
    Claim("over_sign_rule/return", ">=", 15.0),
    Claim("over_threshold_rule/return", ">=", 0.0, margin=-1.0),
)


def data(config: Config) -> Dataset:
    """What is seen at each step while trades are drawn at random, and how the spread then moves: what `data` looks at,
    since whoever sees tomorrow's move trades well in a test and nowhere else."""
    rng = np.random.default_rng(config.seed)
    with closing(make_vec(config.env, 10, seed=config.seed)) as vec:
        seen, obs = [], vec.reset().obs["obs"]
        for _ in range(STEPS):
            seen.append(obs)
            obs = vec.step({"action": rng.integers(0, 3, 10)}).obs["obs"]
    played = np.stack(seen)
    moves = played[1:, :, 0] - played[:-1, :, 0]
    columns = ["spread", "held"] if played.shape[2] == 2 else [f"seen {place}" for place in range(played.shape[2])]
    inputs = played[:-1].reshape(-1, played.shape[2])
    return of_arrays(inputs, moves.reshape(-1), f"{config.env.id}, random trades", columns=columns)


def train(config: Config, run: Run) -> None:
    """`on_policy.train` makes environments and policy; then all trade in the same episodes."""
    learning = run.stage("ppo")
    if not learning.finished:
        on_policy.train(config, learning, PPO)
    policy = load_policy(learning.folder)
    found, test = optimum(), derived_seed(config.seed, "compared episodes")
    chosen = max(THRESHOLDS, key=lambda pair: _returns(config, test + 1, _by_threshold(*pair)).mean())
    earned = {
        "agent": _returns(config, test, _by_policy(policy, config.compared_episodes)),
        "optimum": _returns(config, test, lambda step, obs: found.act(step, obs[:, 0] * DEVIATION, obs[:, 1])),
        "threshold_rule": _returns(config, test, _by_threshold(*chosen)),
        "sign_rule": _returns(config, test, lambda _, obs: sign_rule(obs[:, 0].astype(np.float64))),
        "random": _returns(config, test, _at_random(config.seed)),
    }
    measured = {f"{name}/return": float(one.mean()) for name, one in earned.items()}
    measured |= {f"{name}/return_std_error": float(one.std() / np.sqrt(len(one))) for name, one in earned.items()}
    measured |= {f"over_{name}/return": float((earned["agent"] - one).mean()) for name, one in earned.items()
                 if name != "agent"}  # fmt: skip
    measured["agent/part_of_optimum"] = measured["agent/return"] / measured["optimum/return"]
    measured["optimum/expected_return"] = found.value
    measured["agent/losing_episodes"] = float((earned["agent"] < 0).mean())
    write_pictures(run, _panels(policy, earned))
    run.finish_as(learning, measured)


def _returns(config: Config, seed: int, act: Act) -> Floats:
    """What each of the episodes of this seed earns [episodes]."""
    count = config.compared_episodes
    with closing(make_vec(config.env, count, seed=seed % 2**31)) as vec:
        obs, earned = vec.reset().obs["obs"], np.zeros(count)
        for step in range(STEPS):
            after = vec.step({"action": act(step, obs)})
            obs, earned = after.obs["obs"], earned + after.reward
    return earned


def _by_policy(policy: Any, rows: int) -> Act:
    chooses = policy.acting("greedy", rows=rows)

    def act(_: int, obs: NDArray[np.float32]) -> NDArray[np.int64]:
        step = {"obs": obs, "is_first": np.zeros(rows, np.bool_), "reward": np.zeros(rows)}
        action, _ = chooses(step, {}, {})
        return np.asarray(policy.env_action(action)["action"])

    return act


def _by_threshold(enter: float, leave: float) -> Act:
    return lambda _, obs: threshold_rule(obs[:, 0].astype(np.float64), obs[:, 1], enter, leave)


def _at_random(seed: int) -> Act:
    rng = np.random.default_rng(seed)
    return lambda _, obs: rng.integers(0, 3, len(obs))


def _panels(policy: Any, earned: dict[str, Floats]) -> list[Panel]:
    spreads, middle = np.linspace(-2.5, 2.5, 101), STEPS // 2
    act = _by_policy(policy, len(spreads))
    panels = []
    for held, title in ((0.0, "holding nothing"), (1.0, "holding one unit")):
        seen = np.stack([spreads, np.full(len(spreads), held)], 1).astype(np.float32)
        best = optimum().act(middle, spreads * DEVIATION, seen[:, 1])
        lines = [Line("optimum", spreads, best - 1.0, "dashed"), Line("PPO", spreads, act(middle, seen) - 1.0)]
        panels.append(Panel(f"What it does, {title}", "spread, deviations", "held next", lines))
    shown = ("optimum", "agent", "threshold_rule", "sign_rule")
    bars = [Line(name.replace("_", " "), [0], [float(earned[name].mean())], "bars") for name in shown]
    panels.append(Panel(f"Earned in {STEPS} steps, {COST:g} a trade", "", "mean return", bars))
    return panels
