"""Names that options have elsewhere: what is exact is understood, what is not is answered."""

from __future__ import annotations

import pytest

from commands.train import Options
from training.errors import UserError
from training.experiments import find_experiments, load_experiment
from training.familiar import FLAGS, MEANT, OTHERWISE, meant
from training.options import field_types

PPO = [*field_types(load_experiment("ppo_cartpole", "experiments").Config()), "tracker", "run_dir", "wandb.project"]
SAC = list(field_types(load_experiment("sac_pendulum", "experiments").Config()))
DQN = list(field_types(load_experiment("dqn_cartpole", "experiments").Config()))
DATA = list(field_types(load_experiment("breast_cancer_mlp", "experiments").Config()))


@pytest.mark.parametrize(
    ("known", "asked", "read"),
    [
        (PPO, "lr 1e-3", "agent.optimizer.learning_rate 1e-3"),
        (PPO, "learning_rate 1e-3", "agent.optimizer.learning_rate 1e-3"),
        (PPO, "total_timesteps 100k", "env_steps 100k"),
        (PPO, "n_steps 64", "agent.horizon 64"),
        (PPO, "n_envs 4", "num_envs 4"),
        (PPO, "batch_size 64", "agent.minibatch_size 64"),
        (PPO, "gamma 0.9", "agent.gamma 0.9"),
        (PPO, "ent_coef 0.01", "agent.entropy_coefficient 0.01"),
        (PPO, "n_epochs 10", "agent.epochs 10"),
        (PPO, "env Acrobot-v1", "env.id Acrobot-v1"),
        (PPO, "max_episode_steps 50", "env.time_limit 50"),
        (PPO, "net_arch 64 64", "policy.network.hidden 64 64"),
        (PPO, "track", "tracker online"),
        (PPO, "cuda true", "device cuda"),
        (PPO, "log_dir here", "run_dir here"),
        (PPO, "wandb_project_name mine", "wandb.project mine"),
        (SAC, "buffer_size 1e5", "replay.capacity 1e5"),
        (SAC, "learning_starts 100", "replay.warmup_env_steps 100"),
        (SAC, "batch_size 64", "replay.minibatch_size 64"),
        (SAC, "tau 0.01", "agent.tau 0.01"),
        (SAC, "q_lr 1e-3", "agent.critic_optimizer.learning_rate 1e-3"),
        (DQN, "n_steps 3", "replay.n_step 3"),
        (DQN, "exploration_fraction 0.2", "agent.epsilon.fraction 0.2"),
        (DATA, "lr 1e-3", "algorithm.optimizer.learning_rate 1e-3"),
        (DATA, "batch_size 64", "minibatch_size 64"),
        (DATA, "n_epochs 3", "epochs 3"),
    ],
)
def test_a_name_that_means_one_option_is_read_as_that_and_says_so(
    known: list[str], asked: str, read: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *tokens = asked.split()
    key, *values = read.split()
    assert meant(name, tokens, known) == (key, values)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith(f"--{name.replace('_', '-')}")
    assert f"is read as --{key.replace('_', '-')}" in told


@pytest.mark.parametrize(
    ("known", "asked", "answer"),
    [
        (SAC, "lr 1e-3", "it may be --agent.actor-optimizer.learning-rate, --agent.critic-optimizer.learning-rate"),
        (SAC, "net_arch 64", "it may be --policy.network.hidden, --agent.critic-network.hidden"),
        (SAC, "ent_coef auto", "the temperature is learned; agent.initial_temperature"),
        (PPO, "vf_coef 0.5", "agent.value_coefficient is of the whole squared error"),
        (PPO, "eval_freq 100", "evaluation.every.count counts the env steps"),
        (PPO, "steps 100", "the budget is --env-steps"),
        (PPO, "cuda false", "--device takes cpu, cuda or auto"),
        (DQN, "target_update_interval 500", "agent.target_gradient_steps counts gradient steps"),
    ],
)
def test_a_name_that_is_not_exact_is_answered_and_never_guessed(known: list[str], asked: str, answer: str) -> None:
    name, *tokens = asked.split()
    with pytest.raises(UserError) as caught:
        meant(name, tokens, known)
    assert str(caught.value).startswith(f"unknown option --{name.replace('_', '-')}: {answer}")


@pytest.mark.parametrize("name", ["unit", "count", "greedy", "keep_last", "sed"])
def test_how_a_run_is_measured_and_saved_is_never_meant_by_a_short_name(name: str) -> None:
    assert meant(name, ["1"], PPO) is None


def test_the_table_names_options_that_there_are() -> None:
    configs = [load_experiment(name, "experiments").Config() for name in find_experiments("experiments")]
    known = set(field_types(Options())).union(*map(field_types, configs))
    named = {key for keys in MEANT.values() for key in keys} | {key for key, _ in FLAGS.values()}
    assert named <= known
    assert not MEANT.keys() & known, "an option is not another name"
    assert FLAGS.keys() <= OTHERWISE.keys()
