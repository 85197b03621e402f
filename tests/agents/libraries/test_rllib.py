"""RLlib's algorithms as experiments: the same weights as without us, and what a checkpoint holds of them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents.acting.evaluation import play
from agents.libraries.rllib import (
    Iterations,
    RLlibAgent,
    RLlibPolicy,
    RLlibPolicyConfig,
    RLlibRunConfig,
    from_plain,
    make_algorithm,
    require_replay_memory,
    settings,
    spaces_of,
    to_plain,
)
from agents.policies.saved import load_policy
from envs.config import EnvConfig
from envs.making import make_vec
from envs.vectors.vector import EnvFault
from experiments.__main__ import main
from experiments.libraries.rllib_ppo_cartpole import Config
from tests.support.memory import machine_of
from training.cluster.ray_session import connected
from training.core import Counters
from training.errors import UserError
from training.run.serialization import load_state, write_state
from training.seeding import generator

pytestmark = pytest.mark.xdist_group("ray")
SMALL: dict[str, Any] = {"train_batch_size_per_learner": 128, "minibatch_size": 64, "num_epochs": 2, "lr": 1e-3}
MODEL = {"fcnet_hiddens": [16]}
CARTPOLE = RLlibRunConfig(
    env=EnvConfig("CartPole-v1"),
    agent=RLlibPolicyConfig("PPO", SMALL, MODEL),
    num_envs=2,
    iteration_env_steps=128,
    seed=3,
)
PENDULUM = replace(
    CARTPOLE,
    env=EnvConfig("Pendulum-v1"),
    num_envs=1,
    agent=RLlibPolicyConfig(
        "SAC", {"num_steps_sampled_before_learning_starts": 64, "train_batch_size_per_learner": 16}, MODEL
    ),
)


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """One small Ray for all tests here."""
    with connected(None, cpus=2):
        yield


def parts(config: RLlibRunConfig) -> tuple[Any, RLlibAgent, Iterations]:
    algorithm = make_algorithm(config)
    env = gym.make(config.env.id)
    policy = RLlibPolicy(env.observation_space, env.action_space, config.agent, torch.Generator())
    return algorithm, RLlibAgent(algorithm, policy), Iterations(algorithm)


def weights_of(algorithm: Any) -> dict[str, torch.Tensor]:
    weights = algorithm.learner_group.get_weights()["default_policy"]
    return {name: torch.as_tensor(value) for name, value in weights.items()}


def assert_same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


@pytest.mark.full
def test_it_learns_what_the_library_learns_when_it_is_called_directly(local_ray: None) -> None:
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

    direct = (
        PPOConfig()
        .environment("CartPole-v1")
        .env_runners(num_env_runners=0, num_envs_per_env_runner=2)
        .training(**SMALL)
        .rl_module(model_config=DefaultModelConfig(fcnet_hiddens=[16]))
        .debugging(seed=3, log_level="ERROR")
        .build_algo()
    )
    theirs = [direct.train()["env_runners"]["episode_return_mean"] for _ in range(3)]
    expected = weights_of(direct)
    direct.stop()

    algorithm, agent, stream = parts(CARTPOLE)
    now, ours = Counters(), []
    for _ in range(3):
        batch, after, metrics = stream.next(now)
        agent.update(batch, now)
        agent.state_dict()  # saving and evaluating between two iterations change nothing
        ours.append(metrics["rollout/return_mean"].value)
        now = after
    assert ours == theirs
    assert now.env_steps >= 3 * 128
    assert_same_weights(weights_of(algorithm), expected)
    algorithm.stop()


@pytest.mark.parametrize("config", [CARTPOLE, pytest.param(PENDULUM, marks=pytest.mark.full)])
def test_a_checkpoint_holds_weights_optimizer_and_counts_and_says_what_it_lacks(
    config: RLlibRunConfig, local_ray: None, tmp_path: Path
) -> None:
    algorithm, agent, stream = parts(config)
    _, now, _ = stream.next(Counters())
    for name, part in (("agent", agent), ("stream", stream)):
        write_state(tmp_path, name, part.state_dict())
    expected = to_plain(algorithm.get_state(components=["learner_group"]))
    weights = weights_of(algorithm)
    algorithm.stop()

    again, agent, stream = parts(replace(config, seed=4))
    agent.load_state_dict(load_state(tmp_path, "agent"))
    stream.load_state_dict(load_state(tmp_path, "stream"))
    assert_same_weights(weights_of(again), weights)
    optimizer = to_plain(again.get_state(components=["learner_group"]))["learner_group"]["learner"]["optimizer"]
    np.testing.assert_equal(optimizer, expected["learner_group"]["learner"]["optimizer"])
    _, after, _ = stream.next(now)
    assert now.env_steps < after.env_steps < 3 * now.env_steps
    assert stream.inexact[0] == "RLlib cannot continue its episodes and random numbers: both begin anew"
    replay = ["RLlib's replay buffer is not saved: it starts empty"] if config.agent.algorithm == "SAC" else []
    assert stream.inexact[1:] == replay
    again.stop()


def test_a_loaded_state_overrides_nothing_that_is_asked_for(local_ray: None) -> None:
    first, agent, stream = parts(CARTPOLE)
    stream.next(Counters())
    state, weights = agent.state_dict(), weights_of(first)
    first.stop()
    asked = {**SMALL, "lr": 5e-4, "gamma": 0.5, "num_epochs": 3, "clip_param": 0.1, "minibatch_size": 32}
    config = replace(CARTPOLE, agent=replace(CARTPOLE.agent, arguments=asked))
    other, child, again = parts(config)
    child.load_state_dict(state)
    assert {name: getattr(other.config, name) for name in asked} == asked
    saved = other.get_state(components=["learner_group"])["learner_group"]["learner"]["optimizer"]
    assert [group["lr"] for own in saved.values() for group in own["state"]["param_groups"]] == [5e-4]
    assert_same_weights(weights_of(other), weights)
    again.next(Counters())
    saved = other.get_state(components=["learner_group"])["learner_group"]["learner"]["optimizer"]
    assert [group["lr"] for own in saved.values() for group in own["state"]["param_groups"]] == [5e-4]
    other.stop()
    smaller = replace(CARTPOLE, agent=replace(CARTPOLE.agent, model={"fcnet_hiddens": [8]}))
    third, unfit, _ = parts(smaller)
    with pytest.raises(RuntimeError, match="size mismatch"):
        unfit.load_state_dict(state)
    third.stop()


def test_a_policy_acts_as_rllib_does(local_ray: None) -> None:
    algorithm, agent, stream = parts(CARTPOLE)
    stream.next(Counters())
    agent.state_dict()
    obs = np.random.default_rng(1).normal(size=(64, 4)).astype(np.float32)
    module = algorithm.get_module()
    logits = module.forward_inference({"obs": torch.from_numpy(obs)})["action_dist_inputs"]
    act = agent.policy.acting("greedy", rows=64)
    np.testing.assert_array_equal(act({"obs": obs}, {}, {})[0]["action"], logits.argmax(-1).numpy())
    drawn = agent.policy.acting("explore", rows=64)
    before = torch.get_rng_state()
    first, second = ({"seed": np.array([seed])} for seed in (1, 2))
    same = [drawn({"obs": obs}, {}, noise)[0]["action"] for noise in (first, first, second)]
    np.testing.assert_array_equal(same[0], same[1])
    assert (same[0] != same[2]).any()
    assert torch.equal(torch.get_rng_state(), before)
    algorithm.stop()


def test_bounded_actions_reach_the_bounds_of_the_environment() -> None:
    env = gym.make("Pendulum-v1")
    policy = RLlibPolicy(env.observation_space, env.action_space, PENDULUM.agent, torch.Generator())
    actions = policy.env_action({"action": np.array([[-1.0], [0.5], [3.0]], np.float32)})["action"]
    np.testing.assert_allclose(actions, [[-2.0], [1.0], [2.0]])


def test_a_box_that_is_partly_without_bounds_is_not_rescaled_as_in_rllib() -> None:
    space = gym.spaces.Box(np.array([-np.inf, -3]), np.array([np.inf, 3]), dtype=np.float64)
    policy = RLlibPolicy(gym.spaces.Box(0, 1, (3,)), space, CARTPOLE.agent, torch.Generator())
    actions = policy.env_action({"action": np.array([[7.0, 0.5], [0.0, 4.0]], np.float32)})["action"]
    np.testing.assert_allclose(actions, [[7.0, 0.5], [0.0, 3.0]])


@pytest.mark.parametrize("actions", ["discrete", "multi_discrete"])
def test_the_environment_gets_actions_of_its_own_numbers(actions: str, local_ray: None) -> None:
    """It raises for any other."""
    env = EnvConfig("tests.support.toy_envs:Started-v0", kwargs={"actions": actions})
    config = replace(CARTPOLE, env=env)
    algorithm = make_algorithm(config)
    agent = RLlibAgent(algorithm, RLlibPolicy(*spaces_of(config), config.agent, torch.Generator()))
    _, _, metrics = Iterations(algorithm).next(Counters())
    assert metrics["rollout/return_mean"].value > 1, "of ten steps with three answers each"
    agent.state_dict()
    with closing(make_vec(env, 2, seed=1)) as vec:
        modes: tuple[Any, ...] = ("greedy", "explore")
        for mode in modes:
            play(vec, agent.policy, 2, mode=mode, rng=generator(0))
    algorithm.stop()


@pytest.mark.parametrize(
    ("name", "kwargs", "message"),
    [
        ("Masked", {}, "agent.algorithm = 'PPO': it takes none of RLlib's where actions are masked"),
        ("MaskedPair", {}, "agent.algorithm = 'PPO': it takes none of RLlib's where actions are masked"),
        ("Started", {"actions": "dict"}, "env = Dict('a': Discrete(3, start=5), 'b': Discrete(2)): it takes actions"),
        ("Pictures", {"actions": "bits"}, "env = MultiBinary(4): it takes actions that are a Box of floats, Discrete"),
    ],
)
def test_where_it_would_not_act_as_it_should_it_is_refused_before_the_run(
    name: str, kwargs: dict[str, Any], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--env.kwargs", json.dumps(kwargs)] if kwargs else []
    asked = ["train", "rllib_ppo_cartpole", "--env.id", f"tests.support.toy_envs:{name}-v0", *options]
    assert main([*asked, "--tracker", "none", "--run-dir", str(tmp_path / "run")]) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(error) == 1
    assert error[0].startswith(f"error: {message}")
    assert not list((tmp_path / "run").rglob("checkpoints/*"))


def test_a_loaded_policy_refuses_masks() -> None:
    policy = RLlibPolicy(gym.spaces.Box(0, 1, (3,)), gym.spaces.Discrete(2), CARTPOLE.agent, torch.Generator())
    with pytest.raises(UserError, match="none of RLlib's where actions are masked"):
        policy.predict(np.zeros(3, np.float32), action_mask=np.array([1, 0]))


def test_an_environment_in_the_old_manner_is_named() -> None:
    env = EnvConfig("tests.support.toy_envs:Started-v0", kwargs={"breaks": "reset"})
    with pytest.raises(EnvFault, match=r"Started-v0\), episode 0, at its reset: its reset returned an array of shape"):
        spaces_of(replace(CARTPOLE, env=env))


@pytest.mark.parametrize(("breaks", "what"), [("info", "its info is None: it takes"), ("raises", "it raised KeyError")])
def test_an_environment_that_fails_in_training_is_named(breaks: str, what: str, local_ray: None) -> None:
    env = EnvConfig("tests.support.toy_envs:Started-v0", kwargs={"breaks": breaks})
    algorithm = make_algorithm(replace(CARTPOLE, env=env))
    with pytest.raises(EnvFault, match=f"tests.support.toy_envs:Started-v0: {what}"):
        Iterations(algorithm).next(Counters())
    algorithm.stop()


def test_a_run_is_evaluated_saved_loaded_and_resumed(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = json.dumps({**SMALL, "lr": 1e-3})
    asked = "train rllib_ppo_cartpole --tracker none --env-steps 384 --iteration-env-steps 128 --num-envs 2"
    asked += f" --agent.arguments '{small}' --agent.model '{json.dumps(MODEL)}' --evaluation.final-episodes 10"
    asked += " --evaluation.every.count 128 --evaluation.episodes 10 --run-dir run --log-every.count 128"
    assert main(shlex.split(asked)) == 0
    result = json.loads(Path("run/result.json").read_text())
    assert (result["status"], result["exact"]) == ("completed", True)
    policy = load_policy("run")
    assert isinstance(policy, RLlibPolicy)
    env = gym.make("CartPole-v1")
    assert policy.predict(env.reset(seed=1)[0]) in (0, 1)
    assert main(shlex.split("resume run --env-steps 640 --run-dir child")) == 0
    child = json.loads(Path("child/result.json").read_text())
    assert (child["parent"], child["exact"], child["counters"]["env_steps"] >= 640) == ("run", False, True)
    assert child["inexact"] == ["RLlib cannot continue its episodes and random numbers: both begin anew"]
    rows = [json.loads(row) for row in Path("child/metrics.jsonl").read_text().splitlines()]
    assert [row["env_steps"] for row in rows] == sorted({row["env_steps"] for row in rows})
    assert {"rollout/return_mean", "rllib/policy_loss", "evaluation/return_mean"} <= set(rows[-2]) | set(rows[-1])


def test_the_state_is_plain_and_comes_back() -> None:
    state = {"a": [1, (2.0, None)], 3: {"b": np.arange(3)}, "c": {0: "zero", 1: np.float64(0.5)}, "d": True}
    plain = to_plain(state)
    assert plain["<keys>"] == ["a", 3, "c", "d"]
    np.testing.assert_equal(from_plain(plain), {**state, "c": {0: "zero", 1: 0.5}})
    with pytest.raises(TypeError, match=r"rllib\.deep\[0\] is a set: no checkpoint can hold it"):
        to_plain({"deep": [{1}]})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (RLlibPolicyConfig("PPOO"), "agent.algorithm = 'PPOO': did you mean PPO?"),
        (
            RLlibPolicyConfig("PPO", {"learning_rate": 1}),
            "agent.arguments.learning_rate = 1: it takes no such argument",
        ),
        (RLlibPolicyConfig("PPO", model={"hiddens": 1}), "agent.model.hiddens = 1: it takes no such field"),
    ],
)
def test_what_rllib_does_not_know_is_one_line(config: RLlibPolicyConfig, message: str) -> None:
    with pytest.raises(UserError) as error:
        settings(config)
    assert str(error.value).startswith(message)


def test_what_is_not_adapted_is_said() -> None:
    with pytest.raises(UserError, match="use_lstm = True: it takes False"):
        RLlibPolicyConfig(model={"use_lstm": True})
    with pytest.raises(UserError, match="compile = True: it takes False"):
        replace(Config(), compile=True)
    with pytest.raises(UserError, match="groups = 2: it takes 'auto'"):
        replace(Config(), groups=2)
    with pytest.raises(UserError, match="observations that are one Box"):
        RLlibPolicy(gym.spaces.Discrete(3), gym.spaces.Discrete(2), RLlibPolicyConfig(), torch.Generator())


def test_a_replay_memory_that_does_not_fit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    env = gym.make("CartPole-v1")
    config = RLlibPolicyConfig("DQN", {"replay_buffer_config": {"type": "EpisodeReplayBuffer", "capacity": 1_000}})
    row = 4 * 4 + 8 + 8  # observation, action, reward
    machine_of(1_000 * row, 1_000 * row, monkeypatch)
    own = env.observation_space, env.action_space
    require_replay_memory(config, *own)
    require_replay_memory(RLlibPolicyConfig("PPO"), *own)
    machine_of(1_000 * row - 1, 0, monkeypatch)
    with pytest.raises(UserError, match="replay_buffer_config with a capacity of 1,000 takes"):
        require_replay_memory(config, *own)
