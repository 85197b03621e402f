"""Random network distillation: the whole first update against plain torch, its statistics, what is frozen and saved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from agents.policies.actor_critic import ActorCriticConfig
from agents.rnd import RND, RNDConfig
from agents.updates.rollout_samples import next_obs
from envs.config import EnvConfig
from tests.support.cases import OnPolicyCase
from tests.support.on_policy import FAST, Training
from tests.support.rollouts import UNTIL, make_rollout
from training.core import Batch, Counters
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Rule
from training.seeding import generator
from training.state import State

CASES = {
    "rnd": OnPolicyCase(
        algorithm=RND,
        config=RNDConfig(
            horizon=32,
            minibatch_size=64,
            epochs=6,
            gamma=0.5,
            warmup_env_steps=0,
            embedding_size=16,
            target_network=NetworkConfig(hidden=(16,)),
            predictor_network=NetworkConfig(hidden=(16, 16)),
            optimizer=FAST,
        ),
        env_steps=16_384,
        waits="the running deviation of its rewards is kept on the CPU",
    )
}
RESUMED = {  # statistics of observations twice and of two rewards, a frozen network, two optimizers
    "rnd_deep_sea": [
        *("--agent.horizon", "32", "--agent.minibatch-size", "128", "--agent.epochs", "2"),
        *("--agent.warmup-env-steps", "600", "--policy.normalize-observation", "true", "--scale-reward", "true"),
    ],
}
CONFIG = RNDConfig(
    minibatch_size=8,
    epochs=2,
    gamma=0.9,
    intrinsic_gamma=0.7,
    gae_lambda=0.8,
    entropy_coefficient=0.01,
    warmup_env_steps=0,
    predictor_fraction=0.5,
    embedding_size=4,
    target_network=NetworkConfig(hidden=(8,), activation="relu"),
    predictor_network=NetworkConfig(hidden=(8, 8), activation="relu"),
    optimizer=OptimizerConfig(learning_rate=1e-2, eps=1e-5, max_grad_norm=0.5),
    predictor_optimizer=OptimizerConfig(learning_rate=1e-2, eps=1e-5),
)


def make_agent(config: RNDConfig = CONFIG, horizon: int = 16) -> tuple[RND, Batch]:
    """Some statistics of observations are known before, so that normalization and clipping matter."""
    policy, batch = make_rollout("CartPole-v1", horizon, 2)
    agent = RND(policy, config, until=UNTIL, seed=1)
    state = copied(agent.state_dict())
    state["novelty"]["normalizers.obs.mean"] += 0.01
    state["novelty"]["normalizers.obs.variance"].copy_(torch.tensor([1e-6, 0.02, 0.01, 0.1]))
    state["novelty"]["normalizers.obs.count"] += 10
    agent.load_state_dict(state)
    return agent, batch


def copied(state: State) -> State:
    return {
        key: copied(value)
        if isinstance(value, dict)
        else value.detach().clone()
        if isinstance(value, Tensor)
        else value
        for key, value in state.items()
    }


def reached_rows(batch: Batch) -> Tensor:
    """The observation that each step led to [T, N, 4], by a loop."""
    final = {(int(t), int(n)): obs for (t, n), obs in zip(batch["final_index"], batch["final_obs"], strict=True)}
    horizon, num_envs = batch["reward"].shape
    return torch.stack(
        [torch.stack([final.get((t, n), batch["obs"][t + 1, n]) for n in range(num_envs)]) for t in range(horizon)]
    )


def test_what_a_step_has_reached_is_the_final_observation_where_it_ended_the_episode() -> None:
    _, batch = make_rollout("CartPole-v1", 16, 2)
    assert torch.equal(next_obs(batch)["obs"], reached_rows(batch))
    assert not torch.equal(reached_rows(batch), batch["obs"][1:])


class Plain:
    """RND written out: weights by name, loops over steps, torch.optim."""

    def __init__(self, state: State, config: RNDConfig) -> None:
        self.config = config
        self.weights = {key: value.clone().requires_grad_() for key, value in state["policy"]["weights"].items()}
        critic = {f"intrinsic.{key}": value for key, value in state["intrinsic_critic"].items()}
        self.weights |= {key: value.clone().requires_grad_() for key, value in critic.items()}
        novelty = state["novelty"]
        self.target = {key: value for key, value in novelty.items() if key.startswith("target")}
        predictor = {key: value for key, value in novelty.items() if key.startswith("predictor")}
        self.predictor = {key: value.clone().requires_grad_() for key, value in predictor.items()}
        self.mean, self.variance = novelty["normalizers.obs.mean"], novelty["normalizers.obs.variance"]
        self.count = novelty["normalizers.obs.count"]

    def tower(self, name: str, obs: Tensor) -> Tensor:
        w, x = self.weights, obs
        for layer in (0, 2):
            x = (x @ w[f"{name}.{layer}.weight"].T + w[f"{name}.{layer}.bias"]).tanh()
        return x @ w[f"{name}.4.weight"].T + w[f"{name}.4.bias"]

    def error(self, normalized: Tensor) -> Tensor:
        def through(weights: dict[str, Tensor], name: str, layers: tuple[int, ...]) -> Tensor:
            x = normalized
            for layer in layers[:-1]:
                x = (x @ weights[f"{name}.1.{layer}.weight"].T + weights[f"{name}.1.{layer}.bias"]).relu()
            return x @ weights[f"{name}.1.{layers[-1]}.weight"].T + weights[f"{name}.1.{layers[-1]}.bias"]

        target, predicted = through(self.target, "target", (0, 2)), through(self.predictor, "predictor", (0, 2, 4))
        return (predicted - target).pow(2).mean(-1)

    def normalized(self, obs: Tensor) -> Tensor:
        return ((obs.double() - self.mean) / (self.variance + 1e-8).sqrt()).clamp(-5, 5).float()

    def intrinsic_reward(self, reached: Tensor) -> Tensor:
        """Divided by the deviation of the discounted sums over the past, which run on through every end."""
        with torch.no_grad():
            error = self.error(self.normalized(reached))
        sums, total = [], torch.zeros(error.shape[1], dtype=torch.float64)
        for row in error:
            total = total * self.config.intrinsic_gamma + row
            sums.append(total)
        return error / torch.stack(sums).std(correction=0)

    def update(self, batch: Batch) -> None:
        config, (horizon, num_envs) = self.config, batch["reward"].shape
        reached = reached_rows(batch)
        bonus = self.intrinsic_reward(reached)
        with torch.no_grad():
            value, final_value = self.tower("critic", batch["obs"])[..., 0], self.tower("critic", reached)[..., 0]
            intrinsic_value = self.tower("intrinsic", batch["obs"])[..., 0]
            advantage, target, intrinsic_target = (torch.zeros(horizon, num_envs) for _ in range(3))
            for n in range(num_envs):
                following = intrinsic_following = 0.0
                for t in reversed(range(horizon)):
                    terminated, truncated = bool(batch["terminated"][t, n]), bool(batch["truncated"][t, n])
                    next_value = 0.0 if terminated else final_value[t, n]
                    delta = batch["reward"][t, n] + config.gamma * next_value - value[t, n]
                    ended = terminated or truncated
                    following = delta + (0.0 if ended else config.gamma * config.gae_lambda * following)
                    # No end: the value of the row after, be it the first of the next episode.
                    intrinsic_delta = bonus[t, n] + config.intrinsic_gamma * intrinsic_value[t + 1, n]
                    intrinsic_delta = intrinsic_delta - intrinsic_value[t, n]
                    decay = config.intrinsic_gamma * config.gae_lambda
                    intrinsic_following = intrinsic_delta + decay * intrinsic_following
                    advantage[t, n] = 2 * following + 1 * intrinsic_following
                    target[t, n] = following + value[t, n]
                    intrinsic_target[t, n] = intrinsic_following + intrinsic_value[t, n]
        obs, action = batch["obs"][:-1].flatten(0, 1), batch["action"].flatten()
        advantage, target, intrinsic_target = advantage.flatten(), target.flatten(), intrinsic_target.flatten()
        old = torch.distributions.Categorical(logits=self.tower("actor", obs).detach()).log_prob(action)
        # The predictor learns with the statistics that this rollout is in.
        rows = reached.flatten(0, 1).double()
        count = self.count + len(rows)
        mean = (self.mean * self.count + rows.sum(0)) / count
        squares = (self.variance + self.mean.square()) * self.count + rows.square().sum(0)
        self.mean, self.variance = mean, squares / count - mean.square()
        seen = self.normalized(rows)
        adam = torch.optim.Adam(self.weights.values(), lr=1e-2, eps=1e-5)
        predictor_adam = torch.optim.Adam(self.predictor.values(), lr=1e-2, eps=1e-5)
        rng = generator(1, "minibatches")
        for _ in range(config.epochs):
            for rows in torch.randperm(len(advantage), generator=rng).split(config.minibatch_size):
                a = (advantage[rows] - advantage[rows].mean()) / (advantage[rows].std() + 1e-8)
                now = torch.distributions.Categorical(logits=self.tower("actor", obs[rows]))
                ratio = (now.log_prob(action[rows]) - old[rows]).exp()
                clipped = ratio.clamp(1 - config.clip_range, 1 + config.clip_range)
                loss = -torch.min(ratio * a, clipped * a).mean() - config.entropy_coefficient * now.entropy().mean()
                loss = loss + 0.5 * (self.tower("critic", obs[rows])[:, 0] - target[rows]).pow(2).mean()
                loss = loss + 0.5 * (self.tower("intrinsic", obs[rows])[:, 0] - intrinsic_target[rows]).pow(2).mean()
                adam.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(self.weights.values(), 0.5)
                adam.step()
                predictor_adam.zero_grad()
                self.error(seen[rows[:4]]).mean().backward()  # type: ignore[no-untyped-call]
                predictor_adam.step()


def test_the_first_update_is_that_of_plain_torch() -> None:
    agent, batch = make_agent()
    before = copied(agent.state_dict())
    plain = Plain(before, CONFIG)
    plain.update(batch)
    agent.update(batch, Counters())
    after = agent.state_dict()
    own = dict(after["policy"]["weights"])
    own |= {f"intrinsic.{key}": value for key, value in after["intrinsic_critic"].items()}
    own |= {key: value for key, value in after["novelty"].items() if key.startswith("predictor")}
    old = before["policy"]["weights"] | {f"intrinsic.{k}": v for k, v in before["intrinsic_critic"].items()}
    old |= before["novelty"]
    assert own.keys() == (plain.weights | plain.predictor).keys()
    for key, value in (plain.weights | plain.predictor).items():
        assert not torch.equal(own[key], old[key]), f"{key} has not moved"
        torch.testing.assert_close(own[key], value.detach(), rtol=1e-4, atol=1e-5)
    for key, value in plain.target.items():
        assert torch.equal(after["novelty"][key], value), f"{key} has moved"
    torch.testing.assert_close(after["novelty"]["normalizers.obs.mean"], plain.mean)
    torch.testing.assert_close(after["novelty"]["normalizers.obs.variance"], plain.variance)


def test_the_intrinsic_reward_by_hand_over_two_rollouts() -> None:
    """Observations are clipped to five deviations; the scale is of all discounted sums so far."""
    agent, batch = make_agent()
    plain = Plain(copied(agent.state_dict()), CONFIG)
    reached = reached_rows(batch)
    normalized = plain.normalized(reached)
    assert (normalized.abs() == 5).any()
    assert (normalized.abs() < 5).any()
    with torch.no_grad():
        error = plain.error(normalized).double()
    total, sums = torch.zeros(2, dtype=torch.float64), []
    for _ in range(2):
        for row in error:
            total = 0.7 * total + row
            sums.append(total)
        reward, metrics = agent.intrinsic_reward(batch, {"obs": reached})
        std = torch.stack(sums).std(correction=0)
        torch.testing.assert_close(reward.double(), error / std, rtol=1e-5, atol=1e-7)
        assert metrics["exploration/intrinsic_return_std"].value == pytest.approx(float(std), rel=1e-5)
        assert float(metrics["exploration/prediction_error"].value) == pytest.approx(float(error.mean()), rel=1e-5)


def test_what_has_been_seen_loses_its_novelty() -> None:
    policy, batch = make_rollout("Pendulum-v1", 16, 2)
    agent = RND(policy, replace(CONFIG, predictor_fraction=1.0), until=UNTIL, seed=1)
    errors = []
    for update in range(40):
        _, metrics = agent.intrinsic_reward(batch, next_obs(batch))
        errors.append(float(metrics["exploration/prediction_error"].value))
        agent.update(batch, Counters(updates=update))
    assert errors[-1] < 0.1 * errors[1]


def test_the_first_env_steps_only_teach_what_observations_look_like() -> None:
    agent, batch = make_agent(replace(CONFIG, warmup_env_steps=64))
    before = copied(agent.state_dict())
    assert agent.update(batch, Counters(env_steps=63)) == ({}, {})
    after = agent.state_dict()
    for part in ("policy", "intrinsic_critic"):
        old, new = before[part], after[part]
        for key, value in (old["weights"] if part == "policy" else old).items():
            assert torch.equal(value, (new["weights"] if part == "policy" else new)[key]), key
    assert after["novelty"]["normalizers.obs.count"] == 10 + 32
    assert not torch.equal(after["novelty"]["normalizers.obs.mean"], before["novelty"]["normalizers.obs.mean"])
    agent.update(batch, Counters(env_steps=64))
    assert not torch.equal(agent.state_dict()["intrinsic_critic"]["4.weight"], before["intrinsic_critic"]["4.weight"])


def test_an_environment_in_the_place_of_a_lost_one_has_no_intrinsic_return_yet() -> None:
    agent, batch = make_agent()
    agent.update(batch, Counters())
    assert (agent.state_dict()["reward_scale"]["returns"] != 0).all()
    batch["valid"] = torch.tensor([True, False]).expand(16, 2)
    agent.update(batch, Counters(updates=1))
    assert (agent.state_dict()["reward_scale"]["returns"] != 0).tolist() == [True, False]


def test_reset_transitions_of_a_next_step_env_are_left_out() -> None:
    results = []
    for poisons in (False, True):
        agent, batch = make_agent()
        batch["valid"] = torch.ones(16, 2, dtype=torch.bool)
        batch["valid"][3, 1] = False
        if poisons:
            batch["action"][3, 1] = 1 - batch["action"][3, 1]
        agent.update(batch, Counters())
        assert agent.state_dict()["novelty"]["normalizers.obs.count"] == 10 + 31
        results.append(agent.state_dict())
    for part in ("novelty", "intrinsic_critic"):
        for key, value in results[0][part].items():
            assert torch.equal(value, results[1][part][key]), key


@pytest.mark.full
def test_compiled_and_not_it_learns_the_same() -> None:
    states = []
    for compiles in (False, True):
        agent, batch = make_agent(
            replace(
                CONFIG,
                optimizer=replace(CONFIG.optimizer, compile=compiles),
                predictor_optimizer=replace(CONFIG.predictor_optimizer, compile=compiles),
            )
        )
        agent.update(batch, Counters())
        states.append(agent.state_dict())
    eager, compiled = states
    for part in ("novelty", "intrinsic_critic"):
        torch.testing.assert_close(dict(compiled[part]), dict(eager[part]), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        dict(compiled["policy"]["weights"]), dict(eager["policy"]["weights"]), rtol=1e-4, atol=1e-6
    )


def test_pictures_and_nested_observations_are_new_too() -> None:
    policy = ActorCriticConfig(network=NetworkConfig(hidden=(16,), cnn="small"))
    networks = {"target_network": policy.network, "predictor_network": policy.network}
    training = Training(CASES["rnd"], EnvConfig("tests.support.learning_envs:Picture-v0"), policy, **networks)
    for _ in range(3):
        training.update()
    novelty = training.agent.state_dict()["novelty"]
    assert novelty["normalizers.obs/picture.count"] == 3 * 32 * 8
    assert 0 < novelty["normalizers.obs/picture.mean"].mean() < 255


def test_optimizer_rules_of_the_user_apply_to_the_predictor_and_never_thaw_the_target() -> None:
    rules = (Rule("predictor.1.0.*", frozen=True), Rule("*"))
    agent, batch = make_agent(replace(CONFIG, predictor_optimizer=replace(CONFIG.predictor_optimizer, rules=rules)))
    before = copied(agent.state_dict())["novelty"]
    agent.update(batch, Counters())
    moved = {key for key, value in agent.state_dict()["novelty"].items() if not torch.equal(value, before[key])}
    assert {key for key in moved if "normalizers" not in key} == {
        f"predictor.1.{layer}.{part}" for layer in (2, 4) for part in ("weight", "bias")
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"intrinsic_gamma": 1.1}, "intrinsic_gamma = 1.1: it takes a number from 0 to 1"),
        ({"predictor_fraction": 0.001}, "predictor_fraction = 0.001: it takes a number from 1 / minibatch_size"),
        ({"intrinsic_coefficient": -1.0}, "intrinsic_coefficient = -1.0: it takes a number of at least 0"),
        ({"embedding_size": 0}, "embedding_size = 0: it takes at least 1"),
        ({"warmup_env_steps": -1}, "warmup_env_steps = -1: it takes at least 0"),
    ],
)
def test_impossible_numbers_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        replace(CONFIG, **changes)
    assert str(error.value).startswith(message)


def test_the_baseline_of_the_experiment_has_its_settings() -> None:
    from experiments.baselines import ppo_deep_sea
    from experiments.exploration import rnd_deep_sea

    ours, theirs = vars(rnd_deep_sea.Config()), vars(ppo_deep_sea.Config())
    same = ("env", "num_envs", "groups", "policy", "scale_reward")
    assert {key: ours[key] for key in same} == {key: theirs[key] for key in same}
    shared = (vars(ours["agent"]).keys() & vars(theirs["agent"]).keys()) - {"entropy_coefficient"}
    assert shared >= {"horizon", "epochs", "minibatch_size", "optimizer", "clip_range"}
    assert {key: vars(ours["agent"])[key] for key in shared} == {key: vars(theirs["agent"])[key] for key in shared}
