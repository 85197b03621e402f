"""Algorithms of Stable-Baselines3 and sb3-contrib under our loop do what they do alone."""

from __future__ import annotations

import inspect
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import unwrap_vec_normalize

from agents.acting.evaluation import EvaluationConfig, play
from agents.libraries.sb3 import Learning, SB3Agent, SB3Policy, SB3PolicyConfig, SB3RunConfig, make_model, train
from agents.libraries.sb3_vec_env import SB3VecEnv
from agents.policies.saved import load_policy, policy_of
from envs.config import EnvConfig
from envs.making import make_vec
from envs.vectors.vector import EnvFault, VectorEnv
from tests.support.marks import full_but
from tests.support.memory import machine_of
from training.core import Budget, Counters, Every
from training.errors import UserError
from training.run.checkpoint import CheckpointConfig
from training.run.run import Run
from training.run.serialization import load_state, write_state
from training.seeding import generator

SMALL = {"net_arch": [16, 16]}
OFF_POLICY = {"buffer_size": 160, "learning_starts": 60, "batch_size": 16, "train_freq": 4}
ON_POLICY = {"n_steps": 16, "batch_size": 16, "n_epochs": 2}
NO_TIMEOUTS = {"handle_timeout_termination": False}
ENV_STEPS = 240
RESUMED = {  # in a thread: its optimizers, its replay, the global generators
    "sac_half_cheetah_sb3": [
        *("--env.id", "Pendulum-v1", "--iteration-env-steps", "50", "--agent.policy-kwargs", '{"net_arch": [16]}'),
        *("--agent.arguments", '{"learning_starts": 200, "batch_size": 16, "train_freq": 8}'),
    ],
}


def _sb3(algorithm: str, arguments: dict[str, Any], policy: str = "MlpPolicy", **more: Any) -> SB3PolicyConfig:
    small: dict[str, Any] = {"features_extractor_kwargs": {"features_dim": 8}} if policy == "CnnPolicy" else SMALL
    small = {} if policy == "MultiInputPolicy" else small
    return SB3PolicyConfig(algorithm, policy, arguments, **{"policy_kwargs": small, **more})


MODELS: dict[str, tuple[str, SB3PolicyConfig]] = {
    "PPO": ("CartPole-v1", _sb3("PPO", {**ON_POLICY, "learning_rate": "lin_0.001", "clip_range": "lin_0.2"})),
    "PPO-gsde": ("Pendulum-v1", _sb3("PPO", {**ON_POLICY, "use_sde": True, "sde_sample_freq": 7})),
    "A2C": ("Pendulum-v1", _sb3("A2C", {}, policy_kwargs={**SMALL, "activation_fn": "ReLU"})),
    "DQN": ("CartPole-v1", _sb3("DQN", {**OFF_POLICY, "exploration_fraction": 0.5})),
    "SAC": ("Pendulum-v1", _sb3("SAC", OFF_POLICY)),
    "SAC-gsde": ("Pendulum-v1", _sb3("SAC", {**OFF_POLICY, "use_sde": True, "sde_sample_freq": 5})),
    "TD3-episodes": (
        "Pendulum-v1",
        _sb3("TD3", {**OFF_POLICY, "train_freq": [1, "episode"]}, action_noise="ornstein_uhlenbeck"),
    ),
    "DDPG-memory": (
        "Pendulum-v1",
        _sb3(
            "DDPG",
            {
                **OFF_POLICY,
                "optimize_memory_usage": True,
                "replay_buffer_kwargs": NO_TIMEOUTS,
            },
            action_noise="normal",
        ),
    ),
    "TQC": ("Pendulum-v1", _sb3("TQC", OFF_POLICY)),
    "QRDQN": ("CartPole-v1", _sb3("QRDQN", OFF_POLICY, policy_kwargs={**SMALL, "n_quantiles": 10})),
    "CrossQ": ("Pendulum-v1", _sb3("CrossQ", OFF_POLICY)),
    "RecurrentPPO": (
        "CartPole-v1",
        _sb3("RecurrentPPO", ON_POLICY, "MlpLstmPolicy", policy_kwargs={**SMALL, "lstm_hidden_size": 16}),
    ),
    "TRPO": ("CartPole-v1", _sb3("TRPO", {"n_steps": 32, "batch_size": 32})),
    "MaskablePPO": ("tests.support.toy_envs:Masked-v0", _sb3("MaskablePPO", ON_POLICY)),
    "MaskablePPO-pair": ("tests.support.toy_envs:MaskedPair-v0", _sb3("MaskablePPO", ON_POLICY)),
    "dict": ("envs.tasks:Reach-v0", _sb3("PPO", ON_POLICY, "MultiInputPolicy")),
    "n-step": ("Pendulum-v1", _sb3("SAC", {**OFF_POLICY, "n_steps": 3})),
    "PPO-normalized": (
        "Pendulum-v1",
        _sb3("PPO", {**ON_POLICY, "gamma": 0.9}, normalize_observation=True, normalize_reward=True),
    ),
    "SAC-normalized": ("Pendulum-v1", _sb3("SAC", OFF_POLICY, normalize_observation=True)),
    "dict-normalized": (
        "envs.tasks:Reach-v0",
        _sb3("PPO", ON_POLICY, "MultiInputPolicy", normalize_observation=True),
    ),
    "images": ("tests.support.toy_envs:Pictures-v0?bits", _sb3("PPO", ON_POLICY, "CnnPolicy")),
    "start": ("tests.support.toy_envs:Pictures-v0?discrete", _sb3("DQN", OFF_POLICY, "CnnPolicy")),
    "matrix": (
        "tests.support.toy_envs:Pictures-v0?matrix",
        _sb3("TD3", OFF_POLICY, "CnnPolicy", action_noise="normal"),
    ),
}
"""After the question mark: which actions. Episodes are short, so that some end."""


def make_envs(name: str, num_envs: int) -> tuple[VectorEnv, SB3VecEnv]:
    env_id, _, actions = MODELS[name][0].partition("?")
    env = EnvConfig(env_id, time_limit=25, kwargs={"actions": actions} if actions else {})
    vec = make_vec(env, num_envs, seed=3)
    return vec, SB3VecEnv(vec, vec.observation_space, vec.action_space)


class Training:
    """A model, its stream and its agent, without a run folder."""

    def __init__(self, name: str, env_steps: int = ENV_STEPS, **arguments: Any) -> None:
        _, config = MODELS[name]
        noise_std = arguments.pop("action_noise_std", config.action_noise_std)
        config = replace(config, arguments=config.arguments | arguments, action_noise_std=noise_std)
        vec, envs = make_envs(name, num_envs_of(name))
        self.model = make_model(config, envs, seed=5)
        self.stream = Learning(self.model, vec, 50, Budget(env_steps))
        self.agent = SB3Agent(self.model, config)
        self.now = Counters()

    def learn(self, env_steps: int) -> None:
        while self.now.env_steps < env_steps:
            batch, self.now, _ = self.stream.next(self.now)
            self.agent.update(batch, self.now)

    def state(self) -> dict[str, Any]:
        return {"agent": self.agent.state_dict(), "stream": self.stream.state_dict()}

    def weights(self) -> dict[str, torch.Tensor]:
        return {name: value.clone() for name, value in self.model.policy.state_dict().items()}


def assert_same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@pytest.mark.parametrize("name", ["PPO-gsde", "A2C", "SAC-gsde", "SAC"])
def test_a_run_that_is_extended_is_the_longer_run(name: str, tmp_path: Path) -> None:
    """Where no schedule depends on the budget. The shorter one ends before the next rollout begins."""
    whole = Training(name)
    whole.learn(ENV_STEPS)
    part = Training(name, ENV_STEPS // 2)
    part.learn(ENV_STEPS // 2)
    write_state(tmp_path, "part", part.state())
    state = load_state(tmp_path, "part")
    rest = Training(name)
    rest.agent.load_state_dict(state["agent"])
    rest.stream.load_state_dict(state["stream"])
    rest.now = part.now
    rest.learn(ENV_STEPS)
    assert rest.now == whole.now
    assert_same(rest.weights(), whole.weights())
    for training in (whole, part, rest):
        training.stream.close()


def num_envs_of(name: str) -> int:
    return 1 if name == "TD3-episodes" else 2


@pytest.mark.parametrize("name", full_but(["PPO", "PPO-gsde", "DQN", "SAC", "TD3-episodes"], MODELS))
def test_it_learns_what_one_direct_call_of_learn_does_and_resumes_to_the_bit(name: str, tmp_path: Path) -> None:
    """With its schedules: learning in chunks would end them at every chunk."""
    _, envs = make_envs(name, num_envs_of(name))
    direct = make_model(MODELS[name][1], envs, seed=5)
    untrained = {key: value.clone() for key, value in direct.policy.state_dict().items()}
    direct.learn(ENV_STEPS)
    first = Training(name)
    first.learn(ENV_STEPS // 2)
    write_state(tmp_path, "part", first.state())
    middle = first.now
    first.learn(ENV_STEPS)
    assert_same(first.weights(), direct.policy.state_dict())
    assert any(not torch.equal(value, untrained[key]) for key, value in first.weights().items())
    assert first.now.env_steps == direct.num_timesteps

    second = Training(name)
    second.learn(60)  # a state that the loaded one must replace
    saved = load_state(tmp_path, "part")
    second.agent.load_state_dict(saved["agent"])
    second.stream.load_state_dict(saved["stream"])
    second.now = middle
    second.learn(ENV_STEPS)
    assert_same(second.weights(), first.weights())
    assert second.stream.inexact == []


ASKED: dict[str, dict[str, Any]] = {
    "PPO": {
        "n_steps": 32,
        "batch_size": 32,
        "n_epochs": 3,
        "learning_rate": 0.02,
        "clip_range": 0.4,
        "target_kl": 0.3,
        "gamma": 0.5,
        "gae_lambda": 0.6,
        "ent_coef": 0.02,
        "vf_coef": 0.3,
        "max_grad_norm": 0.1,
    },
    "A2C": {"rms_prop_eps": 1e-3, "learning_rate": 0.02, "n_steps": 9},
    "DQN": {
        "gradient_steps": 8,
        "gamma": 0.5,
        "batch_size": 24,
        "learning_rate": 0.02,
        "buffer_size": 300,
        "tau": 0.5,
        "target_update_interval": 7,
        "exploration_final_eps": 0.5,
        "learning_starts": 70,
        "train_freq": 8,
    },
    "SAC": {"ent_coef": 0.3, "target_entropy": -3.0, "learning_rate": 0.02, "buffer_size": 40},
    "TD3-episodes": {"policy_delay": 3, "target_policy_noise": 0.1, "target_noise_clip": 0.3, "action_noise_std": 0.7},
    "DDPG-memory": {"buffer_size": 60, "action_noise_std": 0.7},
    "TQC": {"top_quantiles_to_drop_per_net": 1, "ent_coef": "auto_0.5"},
    "TRPO": {"target_kl": 0.1, "sub_sampling_factor": 2, "n_critic_updates": 3, "line_search_max_iter": 4},
}


@pytest.mark.parametrize("name", ASKED)
def test_a_loaded_state_overrides_nothing_that_is_asked_for(name: str, tmp_path: Path) -> None:
    """What was learned comes from the state, all else from the config, whichever attributes of a model hold it."""
    parent = Training(name, 120)
    parent.learn(120)
    write_state(tmp_path, "parent", parent.state())
    saved = load_state(tmp_path, "parent")
    child = Training(name, **ASKED[name])
    asked = _asked_of(child.model)
    child.agent.load_state_dict(saved["agent"])
    child.stream.load_state_dict(saved["stream"])
    assert _asked_of(child.model) == asked
    assert_same(child.weights(), parent.weights())
    assert child.model._n_updates == parent.model._n_updates > 0
    child.now = parent.now
    child.learn(ENV_STEPS)
    for training in (parent, child):
        training.stream.close()


def _asked_of(model: Any) -> dict[str, Any]:
    """All of it that an argument decides: the attributes of its name, what they are made into, and the optimizers."""
    named = {*inspect.signature(type(model)).parameters, "ent_coef_tensor"} - {"policy", "env"}
    own = {name: getattr(model, name, None) for name in sorted(named)}
    options = [
        {key: value for key, value in group.items() if key not in ("params", "lr")}
        for state in model.get_parameters().values()
        for group in state.get("param_groups", [])
    ]
    noise = [vars(part)["_sigma"] for part in getattr(model.action_noise, "noises", [model.action_noise]) if part]
    schedules = [model.lr_schedule(0.5), model.clip_range(0.5) if hasattr(model, "clip_range") else None]
    return {"own": repr(own), "options": options, "noise": repr(noise), "schedules": schedules}


def test_the_rate_of_exploration_is_that_of_the_schedule_that_is_asked_for() -> None:
    parent, child = Training("DQN", 120), Training("DQN", exploration_final_eps=0.5, exploration_fraction=1.0)
    parent.learn(120)
    child.agent.load_state_dict(parent.agent.state_dict())
    assert child.model.exploration_rate == pytest.approx(0.75)
    for training in (parent, child):
        training.stream.close()


def test_another_kind_of_optimizer_is_refused() -> None:
    vec, envs = make_envs("PPO", 2)
    models = [
        make_model(_sb3("PPO", ON_POLICY, policy_kwargs={**SMALL, "optimizer_class": kind}), envs, seed=1)
        for kind in ("Adam", "SGD")
    ]
    first, second = (SB3Agent(model, MODELS["PPO"][1]) for model in models)
    with pytest.raises(UserError, match=r"policy\.optimizer is of another kind of optimizer .* has .*betas"):
        second.load_state_dict(first.state_dict())
    vec.close()


@pytest.mark.parametrize(
    "name",
    [
        "PPO",
        "PPO-normalized",
        "SAC-normalized",
        "dict-normalized",
        "SAC",
        "RecurrentPPO",
        "MaskablePPO",
        "MaskablePPO-pair",
        "dict",
        "TQC",
        "images",
        "start",
    ],
)
def test_the_saved_policy_acts_as_the_model_does(name: str) -> None:
    training = Training(name)
    training.learn(100)
    drawn = torch.get_rng_state()
    policy = policy_of(training.agent.state_dict())
    assert torch.equal(drawn, torch.get_rng_state()), "nothing of the training is moved"
    assert isinstance(policy, SB3Policy)
    vec, _ = make_envs(name, 2)
    step = vec.reset()
    state: Any = {}
    theirs: Any = None
    act = policy.acting("greedy", 2)
    for t in range(15):
        first = vec.episode_steps == 0
        seen = {**step.obs, "is_first": first}
        masks = {} if step.action_mask is None else {"action_masks": step.action_mask}
        seen |= {} if step.action_mask is None else {"action_mask": step.action_mask}
        obs = step.obs["obs"] if "obs" in step.obs else {key[4:]: value for key, value in step.obs.items()}
        normalized = unwrap_vec_normalize(training.model.env)
        obs = obs if normalized is None else normalized.normalize_obs(obs)
        action, state = act(seen, state, {})
        memory = {"state": theirs, "episode_start": first} if name == "RecurrentPPO" else {}
        expected, theirs = training.model.predict(obs, deterministic=True, **masks, **memory)
        np.testing.assert_array_equal(policy.env_action(action)["action"], expected, err_msg=str(t))
        step = vec.step(policy.env_action(action))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (_sb3("PPPO", {}), r"agent\.algorithm = 'PPPO': it takes A2C, DDPG"),
        (_sb3("PPO", {"n_step": 5}), r"agent\.arguments\.n_step = 5: it takes no such argument: it knows"),
        (_sb3("PPO", {}, "CnnPolicy"), r"agent: PPO of Stable-Baselines3 refuses this: "),
        (_sb3("SAC", {}), r"agent: SAC of Stable-Baselines3 refuses this: .*Discrete"),
        (
            _sb3("DQN", {"n_steps": 3, "optimize_memory_usage": True, "replay_buffer_kwargs": NO_TIMEOUTS}),
            r"agent: DQN of Stable-Baselines3 refuses this: NStepReplayBuffer doesn't support",
        ),
        (
            _sb3("PPO", {}, policy_kwargs={"activation_fn": "Relu"}),
            r"activation_fn = 'Relu': it takes the name of a class",
        ),
    ],
)
def test_what_it_does_not_know_is_one_line(config: SB3PolicyConfig, message: str) -> None:
    vec = make_vec(EnvConfig("CartPole-v1"), 1, seed=0)
    with pytest.raises(UserError, match=message):
        make_model(config, SB3VecEnv(vec, vec.observation_space, vec.action_space), seed=1)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (_sb3("MaskablePPO", ON_POLICY), "MaskablePPO of Stable-Baselines3 refuses this: .* action masking"),
        (_sb3("DQN", {**OFF_POLICY, "train_freq": [1, "episode"]}), "DQN of Stable-Baselines3 refuses .* only one env"),
    ],
)
def test_what_it_refuses_when_it_begins_is_one_line(config: SB3PolicyConfig, message: str) -> None:
    vec, envs = make_envs("PPO", 2)
    with pytest.raises(UserError, match=message):
        Learning(make_model(config, envs, seed=1), vec, 50, Budget(ENV_STEPS))


@pytest.mark.parametrize(("algorithm", "arguments"), [("DQN", {"buffer_size": 30_000}), ("PPO", {"n_steps": 4_096})])
def test_a_memory_that_does_not_fit_is_told_before_it_is_filled(
    algorithm: str, arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SB3RunConfig(agent=SB3PolicyConfig(algorithm, arguments=arguments), env=EnvConfig("CartPole-v1"))
    machine_of(2**15, 2**15, monkeypatch)
    with (
        Run.create("example", config, folder=tmp_path / "run", tracker="none") as run,
        pytest.raises(UserError) as told,
    ):
        train(config, run)
    assert str(told.value).startswith(f"agent: the memory of {algorithm} takes ")
    assert "and this machine has 0.0 MiB" in str(told.value)
    assert "a smaller agent.arguments.buffer_size, or n_steps" in str(told.value)


def test_so_is_one_that_cannot_even_be_promised() -> None:
    vec = make_vec(EnvConfig("CartPole-v1"), 1, seed=0)
    with pytest.raises(UserError, match=r"agent: the memory of DQN: .*allocate.*this machine has .* GiB; a smaller"):
        make_model(_sb3("DQN", {"buffer_size": 2**50}), SB3VecEnv(vec, vec.observation_space, vec.action_space), seed=1)


@pytest.mark.parametrize(("env", "name"), [("Masked-v0", "DQN"), ("MaskedPair-v0", "PPO")])
def test_masks_that_it_would_not_heed_are_refused(env: str, name: str, tmp_path: Path) -> None:
    agent = _sb3(name, OFF_POLICY if name == "DQN" else ON_POLICY)
    config, refused = (
        SB3RunConfig(env=EnvConfig(f"tests.support.toy_envs:{env}"), agent=agent),
        pytest.raises(UserError, match=rf"agent\.algorithm = '{name}': it takes MaskablePPO where actions are masked"),
    )
    with refused, Run.create("sb3", config, folder=tmp_path / "run", tracker="none") as run:
        train(config, run)
    with closing(make_vec(config.env, 2, seed=0)) as vec:
        policy = SB3Policy(vec.observation_space, vec.action_space, agent, torch.Generator())
        with refused:
            play(vec, policy, 1, mode="greedy", rng=generator(0))


def test_the_config_stays_as_it_is() -> None:
    given = {"handle_timeout_termination": True}
    _, envs = make_envs("DQN", 1)
    make_model(_sb3("DQN", {**OFF_POLICY, "n_steps": 3, "replay_buffer_kwargs": given}), envs, seed=1)
    assert given == {"handle_timeout_termination": True}


def test_a_row_has_what_its_iteration_measured() -> None:
    """TD3 updates its actor every other time; a resumed run could not know the loss of the time before."""
    training = Training("SAC")
    for _ in range(2):
        training.stream.next(training.now)
    assert "stable_baselines3/actor_loss" in training.agent.update({}, training.now)[0]
    assert training.agent.update({}, training.now)[0] == {}


def test_an_episode_that_cannot_be_continued_ends_where_it_was() -> None:
    """And what is learned from next is the new episode from its first observation."""
    vec = make_vec(EnvConfig("Counting-v0", kwargs={"length": 30}), 2, seed=0)
    config = _sb3("DQN", {**OFF_POLICY, "n_steps": 3, "train_freq": 5})
    envs = SB3VecEnv(vec, vec.observation_space, vec.action_space)
    model = make_model(config, envs, seed=1)
    with closing(Learning(model, vec, 20, Budget(ENV_STEPS))) as stream:
        stream.next(Counters())
        state = stream.state_dict()
        stream.load_state_dict(state)
        assert stream.inexact, "the environment observes what no seed decides"
        np.testing.assert_array_equal(np.asarray(model._last_obs)[:, 1], 0)
        assert model.replay_buffer is not None
        np.testing.assert_array_equal(model.replay_buffer.timeouts[:11].sum(0), 1)
        assert model.replay_buffer.timeouts[9].all()


def test_random_search_goes_on_around_the_weights_that_it_had() -> None:
    """It keeps what it is about to try to itself; and each try is an episode of its own."""
    vec, envs = make_envs("PPO", 1)
    config = _sb3("ARS", {"n_delta": 2}, "LinearPolicy", policy_kwargs={})

    def begin(vec: VectorEnv, envs: SB3VecEnv) -> tuple[Any, SB3Agent, Learning]:
        model = make_model(config, envs, seed=5)
        return model, SB3Agent(model, config), Learning(model, vec, 50, Budget(500))

    _, agent, stream = begin(vec, envs)
    now = stream.next(Counters())[1]
    assert now.env_steps > 50
    assert vec.state_dict()["episode"] == 4  # tries: two deltas, forwards and backwards
    resumed, other, again = begin(*make_envs("PPO", 1))
    other.load_state_dict(agent.state_dict())
    again.load_state_dict(stream.state_dict())
    tried: list[torch.Tensor] = []
    evaluate = resumed.evaluate_candidates

    def listens(candidates: torch.Tensor, *more: Any) -> torch.Tensor:
        tried.append(candidates.mean(0) - resumed.weights)
        return evaluate(candidates, *more)

    resumed.evaluate_candidates = listens
    again.next(now)
    assert tried[0].abs().max() < 1e-6
    assert len(again.inexact) == 1
    for each in (stream, again):
        each.close()


def test_random_search_takes_one_environment() -> None:
    with pytest.raises(UserError, match="num_envs = 2: it takes 1 for ARS"):
        SB3RunConfig(env=EnvConfig("CartPole-v1"), agent=_sb3("ARS", {}), num_envs=2)


def test_a_policy_seeds_no_generator_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("a training draws from it"))
    vec, _ = make_envs("SAC", 2)
    policy = SB3Policy(vec.observation_space, vec.action_space, MODELS["SAC"][1], generator(1, "w"))
    obs = {"obs": np.zeros((2, 3), np.float32)}
    noise = policy.noise((2,), generator(2, "noise"))
    first, second = (policy.acting("explore", 2)(obs, {}, noise)[0]["action"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_arguments_that_are_the_runs_are_refused() -> None:
    with pytest.raises(UserError, match=r"arguments\.seed = 3: it takes no such argument: the run sets it"):
        SB3PolicyConfig("PPO", arguments={"seed": 3})


def test_an_error_inside_it_ends_the_run(tmp_path: Path) -> None:
    vec = make_vec(EnvConfig("tests.support.toy_envs:Faulty-v0", kwargs={"how": "raises"}), 1, seed=0)
    model = make_model(
        _sb3("PPO", ON_POLICY, "MultiInputPolicy"), SB3VecEnv(vec, vec.observation_space, vec.action_space), seed=1
    )
    stream = Learning(model, vec, 300, Budget(ENV_STEPS))
    with pytest.raises(EnvFault):
        stream.next(Counters())


def test_a_run_has_its_result_and_its_policy_can_be_loaded(tmp_path: Path) -> None:
    config = SB3RunConfig(
        env=EnvConfig("CartPole-v1"),
        env_steps=256,
        num_envs=2,
        agent=_sb3("PPO", ON_POLICY),
        iteration_env_steps=64,
        evaluation=EvaluationConfig(every=Every(128), episodes=2, final_episodes=2, num_envs=2),
        checkpoint=CheckpointConfig(every=Every(128)),
    )
    with Run.create("sb3", config, folder=tmp_path / "run", tracker="none") as run:
        train(config, run)
    assert run.result["status"] == "completed"
    assert run.result["exact"] is True
    assert run.result["counters"]["env_steps"] == 256
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert any("stable_baselines3/loss" in row for row in rows)
    assert any("rollout/return_mean" in row for row in rows)
    assert load_policy(tmp_path / "run").predict(np.zeros(4, np.float32)) in (0, 1)
