"""Options by the names that they have elsewhere: in Stable-Baselines3, CleanRL, RLlib and papers.

A name is understood where it means exactly one option of the config, and it is said what it was read as. Where the
other library's number is another quantity, the answer is what to ask for instead.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from types import MappingProxyType

from training.errors import UserError

_SAME: dict[str, str] = {
    "env_steps": "total_timesteps timesteps n_timesteps num_timesteps max_timesteps total_steps num_env_steps",
    "num_envs": "n_envs num_environments n_environments",
    "env.id": "env env_id env_name environment gym_id",
    "env.time_limit": "max_episode_steps max_ep_len",
    "env.frame_stack": "n_stack",
    "workers": "num_workers n_workers num_env_runners",
    "agent.optimizer.learning_rate algorithm.optimizer.learning_rate": "lr learning_rate step_size",
    "agent.actor_optimizer.learning_rate agent.policy_optimizer.learning_rate": "actor_lr policy_lr pi_lr",
    "agent.critic_optimizer.learning_rate": "critic_lr q_lr",
    "agent.optimizer.max_grad_norm": "grad_clip gradient_clip clip_grad_norm max_gradient_norm",
    "agent.horizon replay.n_step": "n_steps num_steps rollout_length rollout_steps rollout_fragment_length",
    "agent.minibatch_size replay.minibatch_size minibatch_size": "batch_size mini_batch_size sgd_minibatch_size",
    "agent.epochs epochs": "n_epochs num_epochs update_epochs ppo_epochs num_sgd_iter",
    "agent.entropy_coefficient": "ent_coef ent_coeff entropy_coef entropy_coeff",
    "agent.clip_range": "clip_coef clip_eps clip_epsilon clip_param clip_ratio",
    "agent.gae_lambda": "lam gae",
    "agent.normalize_advantage": "norm_adv normalize_advantages",
    "agent.policy_delay": "policy_frequency",
    "agent.smoothing_std": "target_policy_noise policy_noise",
    "agent.smoothing_clip": "target_noise_clip noise_clip",
    "agent.epsilon.initial": "exploration_initial_eps start_e eps_start",
    "agent.epsilon.final": "exploration_final_eps end_e eps_end",
    "agent.epsilon.fraction": "exploration_fraction",
    "replay.capacity": "buffer_size replay_size replay_buffer_size buffer_capacity memory_size",
    "replay.warmup_env_steps": "learning_starts start_steps random_steps",
    "replay.horizon": "train_freq train_frequency",
    "policy.network.hidden": "net_arch hidden_sizes hidden_dims",
    "evaluation.episodes": "n_eval_episodes eval_episodes num_eval_episodes",
    "run_dir": "log_dir logdir output_dir save_dir",
    "tracker": "wandb_mode",
    "wandb.project": "wandb_project wandb_project_name",
    "wandb.entity": "wandb_entity wandb_team",
    "wandb.group": "wandb_group wandb_run_group",
    "wandb.name": "wandb_name wandb_run_name",
    "wandb.job_type": "wandb_job_type",
    "wandb.tags": "wandb_tags",
    "wandb.notes": "wandb_notes",
}
"""The options that mean the same, by those that may be meant: the one that the config has."""
MEANT = MappingProxyType({name: tuple(keys.split()) for keys, names in _SAME.items() for name in names.split()})
FLAGS = MappingProxyType(
    {
        "track": ("tracker", "online"),
        "cuda": ("device", "cuda"),
        "no_cuda": ("device", "cpu"),
        "anneal_lr": ("agent.optimizer.schedule.kind", "linear"),
    }
)
"""What is asked for by a name alone: the option, and its value."""
OTHERWISE = MappingProxyType(
    {
        "vf_coef": "agent.value_coefficient is of the whole squared error, as in Stable-Baselines3, not of half of it",
        "value_coef": "agent.value_coefficient is of the whole squared error, not of half of it",
        "ent_coef": "the temperature is learned; agent.initial_temperature is what it begins with",
        "alpha": "the temperature is learned; agent.initial_temperature is what it begins with",
        "polyak": "agent.tau is 1 - polyak",
        "target_update_interval": "agent.target_gradient_steps counts gradient steps, not env steps",
        "target_network_frequency": "agent.target_gradient_steps counts gradient steps, not env steps",
        "eval_freq": "evaluation.every.count counts the env steps of all environments together",
        "save_freq": "checkpoint.every.count counts the env steps of all environments together",
        "checkpoint_freq": "checkpoint.every.count counts the env steps of all environments together",
        "log_interval": "log_every.count counts env steps, not updates",
        "steps": "the budget is --env-steps, over all environments together",
        "activation_fn": "policy.network.activation is tanh, relu, silu or gelu",
        "n_updates": "the budget is --env-steps, over all environments together",
        "train_batch_size": "a rollout has agent.horizon steps of each of num_envs environments",
        "anneal_lr": "the schedule is agent.optimizer.schedule.kind: linear, or constant for none",
        "track": "--tracker takes online, offline, tensorboard or none",
        "cuda": "--device takes cpu, cuda or auto",
        "no_cuda": "--device takes cpu, cuda or auto",
        "exp_name": "--run-dir names the folder of the run, --wandb.name its copy",
        "run_name": "--run-dir names the folder of the run, --wandb.name its copy",
        "capture_video": "`evaluate RUN --video 1` records an episode of a run",
        "verbose": "the progress is always shown, on stderr",
        "progress_bar": "the progress is always shown, on stderr",
    }
)
"""What has no option of the same meaning, and what comes near."""
_BESIDE = ("evaluation.", "checkpoint.", "log_every.")
"""How a run is measured and saved: a short name means what trains, never these."""


def spelled(name: str) -> str:
    """An option as it is written: with dashes."""
    return "--" + name.replace("_", "-")


def meant(name: str, tokens: Sequence[str], known: Collection[str]) -> tuple[str, list[str]] | None:
    """The option that an unknown name and its words stand for, which is said on stderr; None where there is none.

    Args:
        name: as the config would spell it.
        tokens: the words after it.
        known: the options that there are.

    Raises:
        UserError: the name stands for several options, or for something that is asked for otherwise.
    """
    if name in FLAGS and not [token for token in tokens if token.lower() != "true"] and FLAGS[name][0] in known:
        key, value = FLAGS[name]
        return _read_as(name, tokens, key, [value])
    found = [key for key in MEANT.get(name, ()) if key in known][:1] or _by_end(MEANT.get(name, (name,)), known)
    if name in ("net_arch", "hidden_sizes", "hidden_dims"):  # elsewhere of the policy and the critics alike
        found += [key for key in known if key == "agent.critic_network.hidden"]
    if len(found) == 1 and found[0] in known:
        return _read_as(name, tokens, found[0], list(tokens))
    if found and name not in OTHERWISE:
        raise UserError(f"unknown option {spelled(name)}: it may be {', '.join(map(spelled, found))}")
    if name in OTHERWISE:
        raise UserError(f"unknown option {spelled(name)}: {OTHERWISE[name]}")
    return None


def _by_end(names: Iterable[str], known: Collection[str]) -> list[str]:
    """The options whose last word is that of one of the names."""
    ends = {f".{name.rpartition('.')[2]}" for name in names}
    found = [key for key in known if key.endswith(tuple(ends)) and not key.startswith(_BESIDE)]
    return [key for key in found if "schedule." not in key]


def _read_as(name: str, tokens: Sequence[str], key: str, values: list[str]) -> tuple[str, list[str]]:
    asked, read = " ".join([spelled(name), *tokens]), " ".join([spelled(key), *values])
    print(f"{asked} is read as {read}", file=sys.stderr)
    return key, values
