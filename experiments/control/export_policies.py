"""Exported policies choose what they chose here, in 10,000 of 10,000 inputs, and answer twice as fast as torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from agents.dqn import DQN
from agents.ppo import PPO
from agents.recipes import off_policy, on_policy
from agents.recurrent_ppo import RecurrentPPO
from agents.sac import SAC
from experiments.control import dqn_cartpole, ppo_cartpole, recurrent_ppo_cartpole, sac_pendulum
from serving.comparison import Compared, compare, inputs_for
from serving.exported import export
from serving.loaded import module_of
from serving.model_file import as_call, load_model
from training.claims import Claim
from training.run.folder import find_checkpoint
from training.run.run import Run

INPUTS, ROUNDS, CALLS = 10_000, 31, 300


@dataclass(frozen=True, kw_only=True)
class Config(ppo_cartpole.Config):
    """The numbers of four experiments, each for a short while: what is exported need not be good, but trained."""

    env_steps: int = 20_000
    sac: sac_pendulum.Config = field(default_factory=lambda: sac_pendulum.Config(env_steps=2_000))
    dqn: dqn_cartpole.Config = field(default_factory=lambda: dqn_cartpole.Config(env_steps=5_000))
    recurrent: recurrent_ppo_cartpole.Config = field(
        default_factory=lambda: recurrent_ppo_cartpole.Config(env_steps=10_240)
    )


# Seeds that all come to 0 do not vary: then what is known is that so many of so many do, and nine say 70 %.
CLAIMS = (
    Claim("export/choices_that_differ", "<=", 0.0, of="success", seeds=9),
    Claim("export/largest_difference", "<=", 1e-5, of="success", seeds=9),
    Claim("export/speed_over_torch", ">=", 2.0, of="success", seeds=9),
)


def train(config: Config, run: Run) -> None:
    """A stage for each kind of policy; then all of them are exported and asked."""
    ppo, sac, dqn, recurrent = (run.stage(name) for name in ("ppo", "sac", "dqn", "recurrent"))
    stages: dict[Run, Callable[[], None]] = {
        ppo: lambda: on_policy.train(config, ppo, PPO),
        sac: lambda: off_policy.train(replace(config.sac, seed=config.seed), sac, SAC),
        dqn: lambda: off_policy.train(replace(config.dqn, seed=config.seed), dqn, DQN),
        recurrent: lambda: on_policy.train(replace(config.recurrent, seed=config.seed), recurrent, RecurrentPPO),
    }
    for stage, learn in stages.items():
        if not stage.finished:
            learn()
    found = [exported(stage.folder) for stage in stages]
    measured = {
        "export/choices_that_differ": float(sum(one.choices_that_differ for one in found)),
        "export/largest_difference": max(one.largest_difference for one in found),
        "export/speed_over_torch": speed(ppo.folder),
    }
    run.finish_as(recurrent, measured)


def exported(stage: Path) -> Compared:
    """How a policy's file compares with what the policy itself chooses."""
    made = export(stage, stage / "exported")
    module, here = module_of(find_checkpoint(stage, "last"), action_mask=False)
    return compare(here, load_model(made.model, module.signature), module.signature, rows=INPUTS, seed=1)


def speed(stage: Path) -> float:
    """How many times as fast as torch the file answers one row, on one thread: the median of alternating rounds."""
    module, _ = module_of(find_checkpoint(stage, "last"), action_mask=False)
    row = inputs_for(module.signature, 1)
    calls = as_call(module), load_model(stage / "exported" / "model.onnx", module.signature)
    ratios = []
    for _ in range(ROUNDS):
        took_s = []
        for call in calls:
            began = time.perf_counter()
            for _ in range(CALLS):
                call(row)
            took_s.append(time.perf_counter() - began)
        ratios.append(took_s[0] / took_s[1])
    return float(np.median(ratios))
