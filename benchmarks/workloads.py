"""What is compared, as data: who runs with which settings, and which ratio is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.programs import Ours, Overhead, Peer, Program
from benchmarks.settings import PPOSettings

EAGER: tuple[str, ...] = ("--compile=false",)
"""Options of ours that keep it from compiling."""
COMPILED: tuple[str, ...] = ("--compile=true",)

Figure = Literal["per_second", "per_second_after_first_row", "seconds", "seconds_from_process_start"]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One comparison."""

    name: str
    title: str
    programs: tuple[Program, ...]
    """Run in turn, each in a fresh process: ours and the peer's, or one that measures both."""
    peer: str
    figure: Figure = "per_second"
    """What is compared. The ratio says how many times as fast ours is, whichever way the figure counts."""
    floor: float | None = None
    """The ratio that must be reached."""
    aim: float | None = None
    """The ratio that is hoped for."""
    least_return: float | None = None
    """Of the greedy policy at the end, on each side: speed without learning does not count."""


# CleanRL's published settings for classic control (https://docs.cleanrl.dev/rl-algorithms/ppo/), without the clipping
# of value errors, which they list as doing nothing for the score; 500,000 env steps there, fewer here.
CLEANRL = PPOSettings(
    env_steps=150_000,
    horizon=128,
    epochs=4,
    learning_rate=2.5e-4,
    gamma=0.99,
    gae_lambda=0.95,
    entropy_coefficient=0.01,
)
# RL Baselines3 Zoo's for CartPole-v1 (hyperparams/ppo.yml), as they are.
RL_ZOO = PPOSettings(
    env_steps=100_000,
    horizon=32,
    epochs=20,
    learning_rate=1e-3,
    gamma=0.98,
    gae_lambda=0.8,
    anneal_clip_range=True,
)
WIDE = replace(CLEANRL, num_envs=64, horizon=16)
# Larger minibatches take larger steps, and more rollouts before as much is learned.
WIDEST = replace(
    CLEANRL,
    num_envs=1024,
    horizon=16,
    minibatch_size=4096,
    learning_rate=4e-3,
    env_steps=1_000_000,
    checkpoint_every_env_steps=250_000,
    log_every_env_steps=32_768,
    threads=2,
)
SOLVED = replace(RL_ZOO, evaluate_every_env_steps=4_096, solved_return=475.0)
# Tuned here for the time until then, on the seeds 11 to 15, which no benchmark uses.
FASTEST_TO_SOLVE = replace(SOLVED, env_steps=60_000, num_envs=16, horizon=64, epochs=8, learning_rate=2e-3)
# CleanRL's for MuJoCo over eight environments; a short run learns to move forward and no more.
HALF_CHEETAH = PPOSettings(
    env="HalfCheetah-v5",
    env_steps=50_000,
    horizon=256,
    minibatch_size=64,
    epochs=10,
    learning_rate=3e-4,
    gamma=0.99,
    gae_lambda=0.95,
    normalize=True,
    initial_log_std=-1.0,
    checkpoint_every_env_steps=25_000,
)


# So short a run at CleanRL's rates ends anywhere from 170 to 500, on every side; a policy that learned nothing gets 22.
LEARNED = 150.0


def _sb3(settings: PPOSettings) -> Peer:
    return Peer("sb3", settings, "stable_baselines3")


SB3 = "Stable-Baselines3"

WORKLOADS = (
    Workload(
        name="cartpole_cleanrl_eager",
        title="PPO CartPole, 8 envs x 128, CleanRL's settings",
        programs=(Ours(CLEANRL, EAGER), _sb3(CLEANRL)),
        peer=SB3,
        floor=3.0,
        aim=4.0,
        least_return=LEARNED,
    ),
    Workload(
        name="cartpole_cleanrl_compiled",
        title="PPO CartPole, 8 envs x 128, CleanRL's settings, compiled",
        programs=(Ours(CLEANRL, COMPILED), _sb3(CLEANRL)),
        peer=SB3,
        figure="per_second_after_first_row",
        floor=5.0,
        aim=7.0,
        least_return=LEARNED,
    ),
    Workload(
        name="cartpole_rl_zoo_eager",
        title="PPO CartPole, 8 envs x 32, RL Zoo's settings",
        programs=(Ours(RL_ZOO, EAGER), _sb3(RL_ZOO)),
        peer=SB3,
        floor=2.2,
        aim=3.0,
        least_return=400.0,
    ),
    Workload(
        name="cartpole_rl_zoo_compiled",
        title="PPO CartPole, 8 envs x 32, RL Zoo's settings, compiled",
        programs=(Ours(RL_ZOO, COMPILED), _sb3(RL_ZOO)),
        peer=SB3,
        figure="per_second_after_first_row",
        floor=4.5,
        aim=6.0,
        least_return=400.0,
    ),
    Workload(
        name="cartpole_64_envs_eager",
        title="PPO CartPole, 64 envs x 16 over 8 envs x 128",
        programs=(Ours(WIDE, EAGER), _sb3(CLEANRL)),
        peer=SB3,
        floor=4.2,
        aim=6.0,
        least_return=LEARNED,
    ),
    Workload(
        name="cartpole_64_envs_compiled",
        title="PPO CartPole, 64 envs x 16 over 8 envs x 128, compiled",
        programs=(Ours(WIDE, COMPILED), _sb3(CLEANRL)),
        peer=SB3,
        figure="per_second_after_first_row",
        floor=8.0,
        aim=12.0,
        least_return=LEARNED,
    ),
    Workload(
        name="cartpole_1024_envs",
        title="PPO CartPole, 1024 envs x 16 on two threads over 8 envs x 128 on one, compiled",
        # Two threads make the peer's small minibatches slower.
        programs=(Ours(WIDEST, COMPILED), _sb3(CLEANRL)),
        peer=SB3,
        figure="per_second_after_first_row",
        floor=18.0,
        aim=25.0,
        least_return=LEARNED,
    ),
    Workload(
        name="cartpole_solved",
        title="CartPole: first env step to an evaluated return of 475",
        programs=(Ours(FASTEST_TO_SOLVE, EAGER), _sb3(SOLVED)),
        peer=SB3,
        figure="seconds",
        floor=3.0,
        aim=5.0,
        least_return=475.0,
    ),
    Workload(
        name="cartpole_solved_from_process_start",
        title="CartPole: process start to an evaluated return of 475",
        programs=(Ours(FASTEST_TO_SOLVE, EAGER), _sb3(SOLVED)),
        peer=SB3,
        figure="seconds_from_process_start",
        floor=1.3,
        aim=1.5,
        least_return=475.0,
    ),
    Workload(
        name="half_cheetah",
        title="PPO HalfCheetah, 8 envs x 256, compiled",
        programs=(Ours(HALF_CHEETAH, COMPILED, "ppo_half_cheetah"), _sb3(HALF_CHEETAH)),
        peer=SB3,
        figure="per_second_after_first_row",
        floor=1.8,
        aim=2.5,
        least_return=0.0,
    ),
    Workload(
        name="cartpole_rllib",
        title="PPO CartPole in process, 8 envs x 128",
        programs=(Ours(CLEANRL, EAGER), Peer("ray_rllib", CLEANRL, "ray")),
        peer="RLlib",
        floor=5.0,
        aim=10.0,
        least_return=LEARNED,
    ),
    Workload(
        name="cartpole_torchrl",
        title="PPO CartPole, 8 envs x 128, CleanRL's settings",
        programs=(Ours(CLEANRL, EAGER), Peer("torchrl_ppo", CLEANRL, "torchrl")),
        peer="TorchRL",
        least_return=LEARNED,
    ),
    Workload(
        name="cartpole_plain",
        title="PPO CartPole, 8 envs x 128, CleanRL's settings",
        programs=(Ours(CLEANRL, EAGER), Peer("plain", CLEANRL, "torch")),
        peer="plain single-file PPO",
        least_return=LEARNED,
    ),
    Workload(
        name="overhead_mlp",
        title="The loop itself: a tiny perceptron",
        programs=(Overhead("mlp"),),
        peer="bare torch loop",
        floor=1 / 1.10,
        aim=1 / 1.05,
    ),
    Workload(
        name="overhead_transformer",
        title="The loop itself: a transformer of 10 million parameters",
        programs=(Overhead("transformer"),),
        peer="bare torch loop",
        floor=1 / 1.03,
        aim=1 / 1.01,
    ),
)
