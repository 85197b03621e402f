"""Recurrent PPO and its policy: the memory while acting, in rollouts, in training and alone, step by step by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from agents.acting.collector import Group, LocalCollector
from agents.acting.evaluation import play
from agents.acting.rollouts import Rollouts
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.recurrent_actor_critic import RecurrentActorCritic, RecurrentActorCriticConfig
from agents.policies.saved import policy_of
from agents.ppo import PPO, PPOConfig
from agents.recipes.on_policy import OnPolicyConfig
from agents.recurrent_ppo import RecurrentPPO, RecurrentPPOConfig
from envs.config import EnvConfig
from envs.making import make_vec
from envs.single import make_env
from envs.vectors.vector import episode_seed
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig, Schedule
from training.optimizer.config import all_can_compile, with_compile
from training.seeding import generator

UNTIL = Budget(1_000)
SHAPES: dict[str, dict[str, Any]] = {
    "lstm": {},
    "gru": {"cell": "gru"},
    "shared": {"shared_memory": True},
    "normalized": {"normalize_observation": True},
}
RECALL = EnvConfig("tests.support.learning_envs:Recall-v0")


def make_policy(env: EnvConfig, shape: str = "lstm", **changes: Any) -> RecurrentActorCritic:
    """Its biases are not zero and its actions far from uniform, so that everything matters."""
    config = RecurrentActorCriticConfig(network=NetworkConfig(hidden=(8,)), rescale_action=False, memory_size=5)
    made = make_env(env)
    policy = RecurrentActorCritic(
        made.observation_space, made.action_space, replace(config, **SHAPES[shape], **changes), generator(1, "weights")
    )
    rng = generator(5)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=rng))
    if shape == "normalized":
        policy.update_normalizers({"obs": torch.randn(50, *made.observation_space.shape, generator=rng)})  # type: ignore[misc]
    return policy


def make_collector(env: EnvConfig, num_envs: int = 3, groups: int = 1) -> LocalCollector:
    size = num_envs // groups
    return LocalCollector(
        lambda index: Group(make_vec(env, size, seed=3, first_env=index * size), seed=1, index=index), groups
    )


class ByHand:
    """The policy once more: torch's cells, one environment and one step at a time."""

    def __init__(self, policy: RecurrentActorCritic, *, trainable: bool = False) -> None:
        self.weights = {key: value.detach().clone() for key, value in policy.named_parameters()}
        if trainable:
            self.weights = {key: value.requires_grad_() for key, value in self.weights.items()}
        self.shared, self.normalizers = policy.config.shared_memory, policy.normalizers
        self.lstm = policy.config.cell == "lstm"
        self.names = ["actor"] if self.shared else ["actor", "critic"]

    def remember(self, name: str, obs: Tensor, state: Tensor) -> Tensor:
        """obs [F], state [P, H] -> [P, H]."""
        if self.normalizers:
            obs = self.normalizers["obs"](obs)
        key = f"{name}_memory.cell"
        weights = [self.weights[f"{key}.{kind}_l0"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        if self.lstm:
            return torch.stack(torch.lstm_cell(obs[None], (state[:1], state[1:]), *weights))[:, 0]
        return torch.gru_cell(obs[None], state, *weights)

    def step(self, obs: Tensor, is_first: Any, state: dict[str, Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Logits or means [A], the value [] and the next state."""
        if is_first:
            state = {name: torch.zeros_like(value) for name, value in state.items()}
        state = {name: self.remember(name, obs, state[name]) for name in self.names}
        outputs = self.tower("actor", state["actor"][0])
        return outputs, self.tower("critic", state["actor" if self.shared else "critic"][0])[0], state

    def tower(self, name: str, x: Tensor) -> Tensor:
        x = (self.weights[f"{name}.0.weight"] @ x + self.weights[f"{name}.0.bias"]).tanh()
        return self.weights[f"{name}.2.weight"] @ x + self.weights[f"{name}.2.bias"]

    def empty(self) -> dict[str, Tensor]:
        return {name: torch.zeros(2 if self.lstm else 1, 5) for name in self.names}

    def distribution(self, outputs: Tensor) -> Any:
        if "heads.log_std.action" in self.weights:
            normal = torch.distributions.Normal(outputs, self.weights["heads.log_std.action"].exp())
            return torch.distributions.Independent(normal, 1)
        return torch.distributions.Categorical(logits=outputs)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_what_was_remembered_while_acting_is_what_training_computes(env_id: str, shape: str, groups: int) -> None:
    """Over rollouts with ends inside: states at their begin and before every reset, log-probabilities, values."""
    env = EnvConfig(env_id, time_limit=7)
    policy = make_policy(env, shape)
    by_hand = ByHand(policy)
    rollouts = Rollouts(make_collector(env, 3, groups), policy, horizon=10)
    states = [by_hand.empty() for _ in range(3)]
    for _ in range(3):
        batch, _, _ = rollouts.next(Counters())
        assert len(batch["final_index"]) >= 3
        for name in by_hand.names:
            expected = torch.stack([state[name] for state in states])
            first = batch["is_first"][0]
            torch.testing.assert_close(batch[f"state/{name}"][~first], expected[~first])
        log_prob, value = torch.zeros(10, 3), torch.zeros(11, 3)
        before_reset: dict[tuple[int, int], dict[str, Tensor]] = {}
        for t in range(10):
            for n in range(3):
                outputs, value[t, n], states[n] = by_hand.step(batch["obs"][t, n], batch["is_first"][t, n], states[n])
                log_prob[t, n] = by_hand.distribution(outputs).log_prob(batch["action"][t, n])
                before_reset[t, n] = states[n]
        for k, (t, n) in enumerate(batch["final_index"].tolist()):
            for name in by_hand.names:
                torch.testing.assert_close(batch[f"final_state/{name}"][k], before_reset[t, n][name])
        steps = {key: rows[:10] for key, rows in batch.items() if key in ("obs", "action", "is_first")}
        state = {key: rows for key, rows in batch.items() if key.startswith("state/")}
        ours = policy.evaluate(steps | state)
        torch.testing.assert_close(ours[0], log_prob)
        torch.testing.assert_close(ours[2], value[:10])
        for name in by_hand.names:
            torch.testing.assert_close(ours[3][f"state/{name}"], torch.stack([state[name] for state in states]))


@pytest.mark.parametrize("sequence_length", [None, 4])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_the_first_update_is_that_of_plain_torch(env_id: str, shape: str, sequence_length: int | None) -> None:
    """The second rollout of three environments, in which episodes end in both ways, written out step by step."""
    env = EnvConfig(env_id, time_limit=7)
    policy = make_policy(env, shape)
    rollouts = Rollouts(make_collector(env), policy, horizon=8)
    rollouts.next(Counters())
    batch, _, _ = rollouts.next(Counters())
    t, n = batch["final_index"][0]
    batch["terminated"][t, n], batch["truncated"][t, n] = True, False
    assert batch["truncated"].any()
    config = RecurrentPPOConfig(
        horizon=8,
        sequence_length=sequence_length,
        minibatch_size=8,
        epochs=2,
        gamma=0.9,
        gae_lambda=0.8,
        entropy_coefficient=0.01,
        optimizer=OptimizerConfig(learning_rate=1e-2, eps=1e-5, max_grad_norm=0.5),
    )
    by_hand = ByHand(policy, trainable=True)
    before = {key: value.detach().clone() for key, value in policy.named_parameters()}
    kept = {key: value.clone() for key, value in batch.items()}
    RecurrentPPO(policy, config, until=UNTIL, seed=1).update(batch, Counters())
    if policy.normalizers:
        by_hand.normalizers = make_policy(env, shape).normalizers  # those before the update
    _plain_update(by_hand, batch, config)
    for key, value in policy.named_parameters():
        assert not torch.equal(value, before[key]), f"{key} has not moved"
        torch.testing.assert_close(value.detach(), by_hand.weights[key].detach(), rtol=1e-3, atol=2e-5)
    for key, rows in batch.items():
        assert torch.equal(rows, kept[key]), key


def _plain_update(by_hand: ByHand, batch: Batch, config: RecurrentPPOConfig) -> None:
    horizon, num_envs = batch["reward"].shape
    length = config.sequence_length or horizon
    state = {}
    log_prob, value = torch.zeros(horizon, num_envs), torch.zeros(horizon, num_envs)
    advantage = torch.zeros(horizon, num_envs)
    final = {(int(t), int(n)): obs for (t, n), obs in zip(batch["final_index"], batch["final_obs"], strict=True)}
    with torch.no_grad():
        for n in range(num_envs):
            now = {name: batch[f"state/{name}"][n] for name in by_hand.names}
            next_value = torch.zeros(horizon)
            for t in range(horizon):
                state[t, n] = now
                outputs, value[t, n], now = by_hand.step(batch["obs"][t, n], batch["is_first"][t, n], now)
                log_prob[t, n] = by_hand.distribution(outputs).log_prob(batch["action"][t, n])
                following = final.get((t, n), batch["obs"][t + 1, n])
                next_value[t] = by_hand.step(following, False, now)[1]  # noqa: FBT003 - before any reset
            total = torch.tensor(0.0)
            for t in reversed(range(horizon)):
                goes_on = 0.0 if batch["terminated"][t, n] else 1.0
                delta = batch["reward"][t, n] + config.gamma * goes_on * next_value[t] - value[t, n]
                total = delta + (0.0 if (t, n) in final else config.gamma * config.gae_lambda * total)
                advantage[t, n] = total
    target = advantage + value
    sequences = [(t, n) for t in range(0, horizon, length) for n in range(num_envs)]
    adam = torch.optim.Adam(by_hand.weights.values(), lr=config.optimizer.learning_rate, eps=1e-5)
    rng = generator(1, "minibatches")
    for _ in range(config.epochs):
        for rows in torch.randperm(len(sequences), generator=rng).split(config.minibatch_size // length):
            terms = []
            for t0, n in [sequences[row] for row in rows]:
                now = state[t0, n]
                for t in range(t0, t0 + length):
                    outputs, v, now = by_hand.step(batch["obs"][t, n], batch["is_first"][t, n], now)
                    chosen = by_hand.distribution(outputs)
                    ratio = (chosen.log_prob(batch["action"][t, n]) - log_prob[t, n]).exp()
                    terms.append((ratio, advantage[t, n], (v - target[t, n]).square(), chosen.entropy()))
            ratio, a, error, entropy = (torch.stack(parts) for parts in zip(*terms, strict=True))
            a = (a - a.mean()) / (a.std() + 1e-8)
            surrogate = torch.min(ratio * a, ratio.clamp(1 - config.clip_range, 1 + config.clip_range) * a)
            loss = -surrogate.mean() + config.value_coefficient * error.mean() - 0.01 * entropy.mean()
            adam.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(by_hand.weights.values(), 0.5)
            adam.step()


@pytest.mark.parametrize("shape", SHAPES)
def test_many_rows_act_as_few(shape: str) -> None:
    """Many are computed by torch's modules, few in NumPy."""
    policy = make_policy(EnvConfig("Pendulum-v1"), shape)
    obs, first = np.random.default_rng(1).normal(size=(4, 5, 3)).astype(np.float32), np.array([[1, 1, 1, 1, 1]] * 4)
    first[1:] = [[0, 0, 0, 0, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]]
    times = 4000
    few, many = policy.acting("greedy", 5), policy.acting("greedy", 5 * times)
    state: Any = {}
    states: Any = {}
    for t in range(4):
        action, state = few({"obs": obs[t], "is_first": first[t].astype(bool)}, state, {})
        rows = {"obs": np.tile(obs[t], (times, 1)), "is_first": np.tile(first[t].astype(bool), times)}
        actions, states = many(rows, states, {})
        np.testing.assert_allclose(actions["action"][-5:], action["action"], rtol=1e-4, atol=1e-5)
        assert states.keys() == state.keys()
        for name, value in state.items():
            assert states[name].dtype == value.dtype == np.float32
            np.testing.assert_allclose(states[name][:5], value, rtol=1e-4, atol=1e-5)


def learned(algorithm: Any, policy: Any, config: Any, env_steps: int) -> float:
    """The mean return in the task of remembering."""
    until = Budget(env_steps)
    agent = algorithm(policy, config, until=until, seed=1)
    rollouts = Rollouts(make_collector(RECALL, 16), policy, config.horizon)
    now = Counters()
    while not until.reached(now):
        batch, after, _ = rollouts.next(now)
        agent.update(batch, now)
        now = after.advance(updates=1)
    returns, _ = play(make_vec(RECALL, 20, seed=99), policy, 10, mode="greedy", rng=generator(0))
    return float(returns.mean())


ADAM = OptimizerConfig(learning_rate=1e-2, schedule=Schedule("linear"), max_grad_norm=0.5)


@pytest.mark.parametrize("shape", ["lstm", "gru", "shared"])
def test_it_learns_to_remember(shape: str) -> None:
    """The sequences of 8 steps begin anywhere in the episodes of 5."""
    env = make_env(RECALL)
    config = RecurrentActorCriticConfig(network=NetworkConfig(hidden=(16,)), memory_size=16, **SHAPES[shape])
    policy = RecurrentActorCritic(env.observation_space, env.action_space, config, generator(1))
    agent = RecurrentPPOConfig(horizon=16, sequence_length=8, minibatch_size=128, epochs=6, optimizer=ADAM)
    assert learned(RecurrentPPO, policy, agent, 12_000) > 0.98


def test_without_a_memory_the_same_cannot_be_learned() -> None:
    env = make_env(RECALL)
    config = ActorCriticConfig(network=NetworkConfig(hidden=(16,)))
    policy = ActorCritic(env.observation_space, env.action_space, config, generator(1))
    agent = PPOConfig(horizon=16, minibatch_size=128, epochs=6, optimizer=ADAM)
    assert 0.4 < learned(PPO, policy, agent, 12_000) < 0.6


@pytest.mark.parametrize("shape", SHAPES)
def test_evaluation_plays_each_episode_as_a_predictor_of_its_own_does(shape: str) -> None:
    """Returns of a loaded policy in three environments with resets between two episodes of each."""
    env = EnvConfig("CartPole-v1", observation_indices=(0, 2))
    trained = RecurrentPPO(make_policy(env, shape), RecurrentPPOConfig(), until=UNTIL, seed=1)
    policy = policy_of(trained.state_dict())
    returns, lengths = play(make_vec(env, 3, seed=7), policy, 2, mode="greedy", rng=generator(0))
    alone = []
    single = make_env(env)
    for n in range(3):
        for episode in range(2):
            predict, total, done = policy.predictor(), 0.0, False
            obs, _ = single.reset(seed=episode_seed(7, n, episode))
            while not done:
                obs, reward, terminated, truncated, _ = single.step(predict(obs))
                total, done = total + float(reward), terminated or truncated
            alone.append(total)
    assert sorted(returns.tolist()) == sorted(lengths.tolist()) == sorted(alone)
    assert len(set(alone)) > 1


def test_a_single_prediction_is_refused_and_a_predictor_remembers() -> None:
    policy = make_policy(EnvConfig("Pendulum-v1"))
    obs = np.array([0.5, -0.5, 0.1], np.float32)
    with pytest.raises(UserError, match=r"RecurrentActorCritic\.predict: it has a memory; use predict = policy\.pred"):
        policy.predict(obs)
    predict, another = policy.predictor(), policy.predictor()
    actions = [predict(obs) for _ in range(3)]
    assert not np.allclose(actions[0], actions[1])
    np.testing.assert_array_equal(another(obs), actions[0])
    torch.manual_seed(0)
    drawn = policy.predictor(greedy=False)
    assert not np.allclose(drawn(obs), actions[0])


def test_masks_are_obeyed_with_a_memory() -> None:
    env = EnvConfig("tests.support.toy_envs:Masked-v0")
    policy = make_policy(env)
    batch, _, _ = Rollouts(make_collector(env), policy, 16).next(Counters())
    assert batch["action_mask"][:-1].gather(-1, batch["action"].unsqueeze(-1)).all()
    RecurrentPPO(policy, RecurrentPPOConfig(horizon=16, minibatch_size=48), until=UNTIL, seed=1).update(
        batch, Counters()
    )
    single = make_env(env)
    obs, info = single.reset(seed=1)
    predict = policy.predictor()
    for _ in range(6):  # it raises for what is forbidden
        obs, _, _, _, info = single.step(predict(obs, action_mask=info["action_mask"]))


def test_pictures_nested_spaces_and_separate_encoders_are_learned_from() -> None:
    env = EnvConfig("tests.support.learning_envs:Picture-v0")
    policy = make_policy(env, network=NetworkConfig(hidden=(8,), cnn="small"), shared_encoder=False)
    before = {key: value.detach().clone() for key, value in policy.named_parameters()}
    batch, _, _ = Rollouts(make_collector(env), policy, 12).next(Counters())
    config = RecurrentPPOConfig(horizon=12, sequence_length=6, minibatch_size=18)
    RecurrentPPO(policy, config, until=UNTIL, seed=1).update(batch, Counters())
    for key, value in policy.named_parameters():
        assert not torch.equal(value, before[key]), key


def test_reset_transitions_of_a_next_step_env_are_left_out() -> None:
    env = EnvConfig("CartPole-v1", backend="vector-entry-point", time_limit=5)
    batch, after, _ = Rollouts(make_collector(env), make_policy(env), 16).next(Counters())
    resets = ~batch["valid"]
    assert resets.sum() >= 6
    assert after.env_steps == 48 - resets.sum()
    poisoned = {key: value.clone() for key, value in batch.items()}
    poisoned["action"][resets] = 1 - poisoned["action"][resets]
    poisoned["reward"][resets] = 100.0
    weights = []
    for data in (batch, poisoned):
        policy = make_policy(env, "normalized")
        agent = RecurrentPPO(policy, RecurrentPPOConfig(horizon=16, minibatch_size=16), until=UNTIL, seed=1)
        metrics, _ = agent.update(data, Counters())
        weights.append(torch.cat([p.flatten() for p in policy.parameters()]).detach())
        assert policy.normalizers["obs"].count == 50 + after.env_steps
    assert torch.equal(weights[0], weights[1])
    assert np.isfinite(float(metrics["value/loss"].value))


def test_the_kl_limit_ends_an_update_early_and_the_clip_range_follows_its_schedule() -> None:
    env = EnvConfig("CartPole-v1")
    batch, _, _ = Rollouts(make_collector(env), make_policy(env), 16).next(Counters())

    def update(env_steps: int = 0, **changes: Any) -> tuple[float, Tensor]:
        policy = make_policy(env)
        config = RecurrentPPOConfig(
            horizon=16, minibatch_size=16, epochs=10, optimizer=replace(ADAM, schedule=Schedule())
        )
        agent = RecurrentPPO(policy, replace(config, **changes), until=UNTIL, seed=1)
        metrics, _ = agent.update(batch, Counters(env_steps=env_steps))
        weights = torch.cat([p.flatten() for p in policy.parameters()])
        return float(metrics["policy/clip_range"].value), weights.detach()

    start = torch.cat([p.flatten() for p in make_policy(env).parameters()]).detach()
    assert (update(target_kl=1e-6)[1] - start).norm() < (update()[1] - start).norm() / 2
    measured, half = update(500, clip_schedule=Schedule("linear"))
    assert measured == pytest.approx(0.1)
    assert torch.equal(half, update(clip_range=0.1)[1])
    assert not torch.equal(half, update()[1])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sequence_length": 3}, "sequence_length = 3: it takes a divisor of horizon = 8, or None"),
        ({"sequence_length": 0}, "sequence_length = 0: it takes a divisor"),
        ({"minibatch_size": 12}, "minibatch_size = 12: it takes at least 2 samples, and whole sequences of 8 steps"),
        ({"clip_range": 0.0}, "clip_range = 0.0: it takes a positive number"),
    ],
)
def test_impossible_numbers_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(RecurrentPPOConfig(horizon=8, minibatch_size=16), **wrong)


def test_impossible_shapes_are_named() -> None:
    with pytest.raises(UserError, match="memory_size = 0: it takes at least 1 unit"):
        RecurrentActorCriticConfig(memory_size=0)
    with pytest.raises(UserError, match="shared_memory = True: it takes False, or shared_encoder = True"):
        RecurrentActorCriticConfig(shared_memory=True, shared_encoder=False)
    agent = RecurrentPPOConfig(horizon=8, minibatch_size=16)
    with pytest.raises(UserError, match=r"minibatch_size = 16: it takes a divisor .* 8 steps of 3 environments"):
        OnPolicyConfig(env=EnvConfig("CartPole-v1"), agent=agent, policy=RecurrentActorCriticConfig(), num_envs=3)


def test_a_policy_that_the_algorithm_cannot_learn_with_is_named() -> None:
    env = EnvConfig("CartPole-v1")
    with pytest.raises(UserError, match="policy = 'ActorCriticConfig': it takes a RecurrentActorCriticConfig: Recurr"):
        OnPolicyConfig(env=env, agent=RecurrentPPOConfig())
    with pytest.raises(UserError, match="policy = 'RecurrentActorCriticConfig': it takes an ActorCriticConfig: PPOCon"):
        OnPolicyConfig(env=env, agent=PPOConfig(), policy=RecurrentActorCriticConfig())


@pytest.mark.parametrize("shape", SHAPES)
def test_it_learns_in_low_precision(shape: str) -> None:
    env = EnvConfig("CartPole-v1", time_limit=5)
    batch, _, _ = Rollouts(make_collector(env), make_policy(env, shape), 16).next(Counters())
    moved = []
    for precision in ("float32", "bf16"):
        policy = make_policy(env, shape)
        config = RecurrentPPOConfig(
            horizon=16, minibatch_size=48, epochs=1, optimizer=replace(ADAM, precision=precision)
        )
        RecurrentPPO(policy, config, until=UNTIL, seed=1).update(batch, Counters())
        moved.append(torch.cat([p.flatten() for p in policy.parameters()]).detach())
    start = torch.cat([p.flatten() for p in make_policy(env, shape).parameters()]).detach()
    similarity = torch.cosine_similarity(moved[0] - start, moved[1] - start, dim=0)
    assert similarity > 0.8
    assert not torch.equal(moved[0], moved[1])


def test_it_is_never_compiled_and_says_so() -> None:
    assert not all_can_compile(RecurrentPPOConfig())
    with pytest.raises(UserError, match="compile = True: it takes False: recurrent PPO's sequences are cut where"):
        with_compile(RecurrentPPOConfig(), True)  # noqa: FBT003
