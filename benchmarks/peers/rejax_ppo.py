"""rejax's PPO: environments, policy and update in one function that JAX compiles. It has an environment of its own.

It runs in a virtual environment of its own, in which nothing of ours is but what reads the settings.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import jax
from rejax import PPO
from rejax.evaluate import evaluate

from benchmarks.comparison.settings import PPOSettings

FILE = "measurement.json"


def run(settings: PPOSettings, folder: Path) -> None:
    """One run: it is compiled, then timed as a whole, then evaluated.

    The learning rate does not fall, for which rejax has no setting: that costs it nothing.
    """
    key, evaluation_key = jax.random.split(jax.random.PRNGKey(settings.seed))
    env_steps = settings.rollouts * settings.rollout_env_steps
    algorithm = PPO.create(
        env=settings.env,
        total_timesteps=env_steps,
        eval_freq=env_steps,
        eval_callback=lambda *_: (),
        skip_initial_evaluation=True,
        num_envs=settings.num_envs,
        num_steps=settings.horizon,
        num_epochs=settings.epochs,
        num_minibatches=settings.rollout_env_steps // settings.minibatch_size,
        learning_rate=settings.learning_rate,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        clip_eps=settings.clip_range,
        ent_coef=settings.entropy_coefficient,
        vf_coef=settings.value_coefficient,
        max_grad_norm=settings.max_grad_norm,
        agent_kwargs={"hidden_layer_sizes": (64, 64), "activation": "tanh"},
    )

    def greedy(state: Any) -> jax.Array:
        params, limit = algorithm.env_params, algorithm.env_params.max_steps_in_episode
        act = algorithm.make_act(state)
        return evaluate(act, evaluation_key, algorithm.env, params, settings.evaluation_episodes, limit)[1].mean()

    if settings.solved_return is None:
        train = jax.jit(algorithm.train).lower(key).compile()
        began_at, began_s = time.time(), time.perf_counter()
        state, _ = jax.block_until_ready(train(key))
        seconds = time.perf_counter() - began_s
        final_return = float(jax.jit(greedy)(state))
    else:
        began_at, began_s = time.time(), time.perf_counter()
        env_steps, final_return = _until_solved(algorithm, settings, key, jax.jit(greedy))
        seconds = time.perf_counter() - began_s
    measured = {
        "env_steps": env_steps,
        "seconds": seconds,
        "first_row_env_steps": 0,  # it was compiled before the clock began
        "first_row_seconds": 0.0,
        "began_at": began_at,
        "final_return": final_return,
    }
    (folder / FILE).write_text(json.dumps({"peer": measured}))


def _until_solved(
    algorithm: PPO, settings: PPOSettings, key: jax.Array, greedy: Callable[[Any], jax.Array]
) -> tuple[int, float]:
    """Learns until an evaluation measures enough, as its `train` cannot; the env steps then, and what it measured."""
    between = settings.rollouts_in(settings.evaluate_every_env_steps or settings.env_steps)

    learn = jax.jit(lambda state: jax.lax.fori_loop(0, between, lambda _, now: algorithm.train_iteration(now), state))
    state, rollouts, measured = jax.jit(algorithm.init_state)(key), 0, -math.inf
    while measured < (settings.solved_return or math.inf) and rollouts < settings.rollouts:
        state = learn(state)
        rollouts += between
        measured = float(greedy(state))
    return rollouts * settings.rollout_env_steps, measured


if __name__ == "__main__":
    run(PPOSettings.from_json(sys.argv[1]), Path(sys.argv[2]))
