"""What is compared, as data: who runs with which settings, and which ratio is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.comparison.programs import Both, Ours, Peer, PeerElsewhere, Program
from benchmarks.comparison.race import RACES, Race
from benchmarks.comparison.settings import OffPolicySettings, PPOSettings, Settings

EAGER: tuple[str, ...] = ("--compile=false",)
"""Options of ours that keep it from compiling."""
COMPILED: tuple[str, ...] = ("--compile=true",)

Figure = Literal["per_second", "per_second_after_first_row", "seconds_from_process_start"]


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
    peer_may_fail: bool = False
    """A peer that ends below that counts with all of its time: the ratio is at least what it comes to."""


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
# Tuned here for the time until then, on the seeds 11 to 15, which no benchmark uses.
FASTEST_TO_SOLVE = replace(
    RL_ZOO,
    env_steps=60_000,
    num_envs=16,
    horizon=64,
    epochs=8,
    learning_rate=2e-3,
    evaluate_every_env_steps=4_096,
    solved_return=475.0,
)
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

# One pass over each rollout: what is compared is how its environments are stepped.
SLOW = PPOSettings(
    env="benchmarks.costs.slow_envs:Sleeping-v0",
    env_steps=8_192,
    horizon=64,
    epochs=1,
    learning_rate=3e-4,
    gamma=0.99,
    gae_lambda=0.95,
    workers=2,
)

# RL Zoo's for Pendulum-v1 (hyperparams/sac.yml, td3.yml), but for TD3's networks and warm-up; 20,000 env steps there.
SAC = OffPolicySettings(
    algorithm="SAC",
    env="Pendulum-v1",
    env_steps=5_000,
    buffer_size=30_000,
    warmup_env_steps=100,
    learning_rate=1e-3,
    gamma=0.99,
    log_every_env_steps=1_000,
    checkpoint_every_env_steps=2_500,
)
TD3 = replace(SAC, algorithm="TD3", warmup_env_steps=500, gamma=0.98)
# RL Zoo's for CartPole-v1 (hyperparams/dqn.yml), as they are.
DQN = OffPolicySettings(
    algorithm="DQN",
    env="CartPole-v1",
    env_steps=50_000,
    buffer_size=100_000,
    warmup_env_steps=1_000,
    horizon=256,
    gradient_steps=128,
    minibatch_size=64,
    learning_rate=2.3e-3,
    gamma=0.99,
)

# So short a run at CleanRL's rates ends anywhere from 170 to 500, on every side; a policy that learned nothing gets 22.
LEARNED = 150.0
# DQN's greedy policy swings from one update to the next, on both sides, and may end anywhere from about 90 to 500.
DQN_LEARNED = 50.0
# A pendulum that hangs or spins gets about -1,200; after so short a run one of five may still swing up only sometimes.
SWINGS = -1000.0


def _over_sb3(
    name: str,
    title: str,
    ours: Settings,
    *,
    theirs: Settings | None = None,
    compiled: bool = False,
    figure: Figure = "per_second",
    floor: float,
    aim: float,
    least_return: float = LEARNED,
    experiment: str = "ppo_cartpole",
    peer: str = "sb3",
) -> Workload:
    """Over Stable-Baselines3 with the same settings, or with its own; what is compiled counts from the first row on."""
    return Workload(
        name=name,
        title=f"{title}, compiled" if compiled else title,
        programs=(
            Ours(ours, COMPILED if compiled else EAGER, experiment),
            Peer(peer, theirs or ours, "stable_baselines3"),
        ),
        peer="Stable-Baselines3",
        figure="per_second_after_first_row" if compiled else figure,
        floor=floor,
        aim=aim,
        least_return=least_return,
    )


def _off_policy(ours: OffPolicySettings, *, floor: float, aim: float, least_return: float) -> Workload:
    """Over Stable-Baselines3's algorithm of that name with the same settings and threads; ours is compiled."""
    of_env = ours.env.split("-")[0]
    work = "256 env steps, then 128 updates" if ours.horizon > 1 else "an update each env step"
    threads = "" if ours.threads == 1 else f", {ours.threads} threads"
    return _over_sb3(
        f"{ours.algorithm}_{of_env}".lower() + ("" if ours.threads == 1 else f"_{ours.threads}_threads"),
        f"{ours.algorithm} {of_env}, {work}{threads}",
        ours,
        compiled=True,
        floor=floor,
        aim=aim,
        least_return=least_return,
        experiment=f"{ours.algorithm}_{of_env}".lower(),
        peer="sb3_off_policy",
    )


def _over_other(
    name: str, title: str, peer: str, module: str, library: str, *, floor: float | None = None, aim: float | None = None
) -> Workload:
    """Over another library with CleanRL's settings."""
    programs = (Ours(CLEANRL, EAGER), Peer(module, CLEANRL, library))
    return Workload(name=name, title=title, programs=programs, peer=peer, floor=floor, aim=aim, least_return=LEARNED)


def _over_rejax(shape: str, settings: PPOSettings, *, floor: float, aim: float, least_return: float) -> Workload:
    """Over PPO in JAX with the same settings on one thread; on both sides compiled before the clock counts."""
    return Workload(
        name=f"cartpole_rejax_{shape.replace(' ', '_')}",
        title=f"PPO CartPole, {settings.num_envs} envs x {settings.horizon}, compiled",
        programs=(Ours(settings, COMPILED), PeerElsewhere("rejax_ppo", settings, REJAX)),
        peer="rejax (JAX)",
        figure="per_second_after_first_row",
        floor=floor,
        aim=aim,
        least_return=least_return,
    )


def _raced(race: Race) -> Workload:
    """Ours is compiled where `--compile auto` says so, as the time of it counts."""
    return Workload(
        name=race.name,
        title=race.title,
        programs=(Ours(race.ours, (), race.experiment), Peer("sb3_zoo", race.theirs, "sb3_contrib")),
        peer="Stable-Baselines3",
        figure="seconds_from_process_start",
        floor=1.5,
        aim=3.0,
        least_return=race.ours.solved_return,
        peer_may_fail=True,
    )


def _workers(name: str, title: str, settings: PPOSettings, *, floor: float, aim: float) -> Workload:
    """On Ray workers over the same inference groups in the learner's process."""
    here = replace(settings, workers=0)
    groups = f"--groups={settings.workers}"
    return Workload(
        name=f"workers_{name}",
        title=title,
        programs=(Ours(settings, EAGER), Ours(here, (*EAGER, groups), side="peer")),
        peer="in process",
        floor=floor,
        aim=aim,
    )


def _ray_cost(kind: str, title: str, peer: str) -> Workload:
    return Workload(name=f"ray_{kind}", title=title, programs=(Both("ray_costs", kind),), peer=peer)


def _loop_itself(model: str, title: str, *, floor: float, aim: float) -> Workload:
    return Workload(
        name=f"overhead_{model}",
        title=f"The loop itself: {title}",
        programs=(Both("overhead", model),),
        peer="bare torch loop",
        floor=floor,
        aim=aim,
    )


def _over_trainer(
    trainer: str, library: str, model: str, title: str, *, compiled: bool = False, floor: float, aim: float
) -> Workload:
    """Over another library's loop, with the models of the rows about our loop itself."""
    kind = f"{trainer.lower().replace(' ', '_')}_{model}" + ("_compiled" if compiled else "")
    title = f"{title}, compiled" if compiled else title
    program = Both("trainers", kind, library=library)
    return Workload(
        name=f"trainer_{kind}", title=title, programs=(program,), peer=f"{trainer}'s Trainer", floor=floor, aim=aim
    )


REJAX = ("rejax==0.1.3", "gymnax==0.0.9", "jax[cpu]==0.10.2")
LONG = 1_000_000
"""Env steps of runs that take JAX some seconds."""
OF_CLEANRL = "PPO CartPole, 8 envs x 128, CleanRL's settings"
OF_RL_ZOO = "PPO CartPole, 8 envs x 32, RL Zoo's settings"
OF_MLP = "a tiny perceptron"
OF_TRANSFORMER = "a transformer of 10 million parameters"
OF_WIDE = "PPO CartPole, 64 envs x 16 over 8 envs x 128"

WORKLOADS = (
    _over_sb3("cartpole_cleanrl_eager", OF_CLEANRL, CLEANRL, floor=3.0, aim=4.0),
    _over_sb3("cartpole_cleanrl_compiled", OF_CLEANRL, CLEANRL, compiled=True, floor=5.0, aim=7.0),
    _over_sb3("cartpole_rl_zoo_eager", OF_RL_ZOO, RL_ZOO, floor=2.2, aim=3.0, least_return=400.0),
    _over_sb3("cartpole_rl_zoo_compiled", OF_RL_ZOO, RL_ZOO, compiled=True, floor=4.5, aim=6.0, least_return=400.0),
    _over_sb3("cartpole_64_envs_eager", OF_WIDE, WIDE, theirs=CLEANRL, floor=4.2, aim=6.0),
    _over_sb3("cartpole_64_envs_compiled", OF_WIDE, WIDE, theirs=CLEANRL, compiled=True, floor=8.0, aim=12.0),
    _over_sb3(
        "cartpole_1024_envs",
        "PPO CartPole, 1024 envs x 16 on two threads over 8 envs x 128 on one",
        WIDEST,
        theirs=CLEANRL,  # two threads make the peer's small minibatches slower
        compiled=True,
        floor=18.0,
        aim=25.0,
    ),
    _over_sb3(
        "half_cheetah",
        "PPO HalfCheetah, 8 envs x 256",
        HALF_CHEETAH,
        compiled=True,
        floor=1.8,
        aim=2.5,
        least_return=0.0,
        experiment="ppo_half_cheetah",
    ),
    _off_policy(SAC, floor=1.8, aim=2.2, least_return=SWINGS),
    _off_policy(replace(SAC, threads=2), floor=2.5, aim=4.0, least_return=SWINGS),
    _off_policy(TD3, floor=1.8, aim=2.2, least_return=SWINGS),
    _off_policy(replace(TD3, threads=2), floor=2.5, aim=4.0, least_return=SWINGS),
    _off_policy(DQN, floor=2.5, aim=3.5, least_return=DQN_LEARNED),
    _over_other(
        "cartpole_rllib", "PPO CartPole in process, 8 envs x 128", "RLlib", "ray_rllib", "ray", floor=5.0, aim=10.0
    ),
    _over_other("cartpole_torchrl", OF_CLEANRL, "TorchRL", "torchrl_ppo", "torchrl"),
    _over_rejax("8x128", replace(CLEANRL, env_steps=LONG), floor=0.65, aim=1.0, least_return=LEARNED),
    _over_rejax("8x32", replace(RL_ZOO, env_steps=LONG // 4), floor=0.65, aim=1.0, least_return=LEARNED),
    _over_rejax("64x16", replace(WIDE, env_steps=LONG), floor=0.65, aim=1.2, least_return=LEARNED),
    _over_rejax("1024x16", replace(WIDEST, threads=1), floor=0.9, aim=1.5, least_return=LEARNED),
    Workload(
        name="cartpole_rejax_solved",
        title="CartPole: process start to an evaluated return of 475, equal settings",
        programs=(Ours(FASTEST_TO_SOLVE), PeerElsewhere("rejax_ppo", FASTEST_TO_SOLVE, REJAX)),
        peer="rejax (JAX)",
        figure="seconds_from_process_start",
        floor=2.0,
        aim=4.0,
        least_return=475.0,
        peer_may_fail=True,
    ),
    *map(_raced, RACES),
    _over_other("cartpole_plain", OF_CLEANRL, "plain single-file PPO", "plain", "torch"),
    _workers("sleep", "Environments that sleep 2 ms a step, 2 Ray workers", SLOW, floor=1.8, aim=1.9),
    _workers(
        "busy",
        "Environments that compute 2 ms a step, 2 Ray workers",
        replace(SLOW, env="benchmarks.costs.slow_envs:Busy-v0"),
        floor=1.4,
        aim=1.8,
    ),
    _workers("one", f"{OF_CLEANRL}, 1 Ray worker", replace(CLEANRL, workers=1), floor=0.7, aim=0.9),
    Workload(
        name="workers_rllib",
        title=f"{OF_CLEANRL}, 2 Ray workers",
        programs=(
            Ours(replace(CLEANRL, workers=2), EAGER),
            Peer("ray_rllib", replace(CLEANRL, workers=2), "ray"),
        ),
        peer="RLlib",
        floor=3.0,
        aim=5.0,
        least_return=LEARNED,
    ),
    _ray_cost("broadcast", "10 MB of weights to 8 Ray workers, each of which takes a step", "a copy sent to each"),
    _ray_cost("fragment", "128 steps of 8 CartPoles on a Ray worker, there and back", "in process"),
    _loop_itself("mlp", OF_MLP, floor=1 / 1.10, aim=1 / 1.05),
    _loop_itself("transformer", OF_TRANSFORMER, floor=1 / 1.03, aim=1 / 1.01),
    _over_trainer("Lightning", "lightning", "mlp", f"Supervised: {OF_MLP}", floor=2.0, aim=2.5),
    _over_trainer("Lightning", "lightning", "mlp", f"Supervised: {OF_MLP}", compiled=True, floor=2.0, aim=2.5),
    _over_trainer("Lightning", "lightning", "transformer", f"Supervised: {OF_TRANSFORMER}", floor=1.0, aim=1.02),
    _over_trainer("Hugging Face", "transformers", "mlp", f"Supervised: {OF_MLP}", floor=2.0, aim=2.5),
    _over_trainer("Hugging Face", "transformers", "mlp", f"Supervised: {OF_MLP}", compiled=True, floor=2.0, aim=2.5),
    _over_trainer("Hugging Face", "transformers", "transformer", f"Supervised: {OF_TRANSFORMER}", floor=1.0, aim=1.02),
)
