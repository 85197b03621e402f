"""The Decision Transformer: its transformer, its sequences, acting step by step, and that it does what it is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from agents.acting.evaluation import play
from agents.acting.recording import record
from agents.decision_transformer import (
    DecisionTransformer,
    DecisionTransformerConfig,
    decision_transformer_loss,
)
from agents.policies.decision_transformer import DecisionTransformerPolicy, DecisionTransformerPolicyConfig
from agents.policies.saved import policy_of
from agents.replay.windows import Windows
from envs.config import EnvConfig
from envs.episodes.episodes import Episodes
from envs.making import make_env, make_vec
from tests.support.recorded import record_random
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.networks.transformer import Transformer, TransformerConfig
from training.optimizer import OptimizerConfig, Schedule
from training.seeding import generator

COUNTING = EnvConfig("tests.support.learning_envs:CountingEpisodes-v0")
SMALL = DecisionTransformerPolicyConfig(
    transformer=TransformerConfig(width=16, layers=2, heads=2),
    context=3,
    target_return=7.0,
    return_scale=10.0,
    max_episode_steps=20,
)


def test_the_transformer_is_torchs_own() -> None:
    """The weights of its blocks, in `nn.TransformerEncoderLayer` with a causal mask."""
    config = TransformerConfig(width=8, layers=2, heads=2)
    transformer = Transformer(config, generator(1))
    tokens = torch.randn(3, 7, 8, generator=generator(2))
    mask = nn.Transformer.generate_square_subsequent_mask(7)
    expected = tokens
    for block in transformer.blocks:
        layer = nn.TransformerEncoderLayer(8, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
        names = {
            "self_attn.in_proj_": block.attend,
            "self_attn.out_proj.": block.attended,
            "linear1.": block.widen,
            "linear2.": block.narrow,
            "norm1.": block.norm_before_attention,
            "norm2.": block.norm_before_mlp,
        }
        layer.load_state_dict(
            {name + key: value for name, module in names.items() for key, value in module.state_dict().items()}
        )
        expected = layer(expected, src_mask=mask, is_causal=True)
    torch.testing.assert_close(transformer(tokens), transformer.norm(expected))


def test_a_token_does_not_see_those_after_it() -> None:
    transformer = Transformer(TransformerConfig(width=8, layers=2, heads=1), generator(1))
    tokens = torch.randn(1, 6, 8, generator=generator(2))
    changed = tokens.clone()
    changed[:, 4, 0] += 1
    before, after = transformer(tokens), transformer(changed)
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.isclose(before[:, 4:], after[:, 4:]).all(-1).any()


def test_a_shape_that_cannot_be_is_told() -> None:
    with pytest.raises(UserError, match="heads = 3: it takes a divisor of width = 8"):
        TransformerConfig(width=8, heads=3)


def windows(episodes: Episodes, minibatch_size: int, config: DecisionTransformerPolicyConfig = SMALL) -> Windows:
    return Windows(episodes, config, minibatch_size, seed=1)


def test_sequences_are_pieces_of_episodes() -> None:
    """The environment counts: it observes (step, episode) and pays the step; its episodes have 3, 4 and 5 steps."""
    episodes = record_random(COUNTING, 30)[0].select([0, 10, 20])
    stream, begun = windows(episodes, 12), set()
    batch, after, _ = stream.next(Counters())
    assert (after.epochs, after.samples) == (1, 12)
    for i in range(12):
        step, episode = (int(value) for value in batch["obs"][i, 0])
        begun.add((episode, step))
        length = 3 + episode
        assert batch["valid"][i].tolist() == [step + k < length for k in range(3)]
        for k in range(min(3, length - step)):
            assert batch["obs"][i, k].tolist() == [step + k, episode]
            assert batch["episode_step"][i, k] == step + k
            assert batch["return_to_go"][i, k].item() == pytest.approx(sum(range(step + k, length)) / 10)
    assert begun == {(episode, step) for episode in range(3) for step in range(3 + episode)}


def test_a_sequence_continues_where_it_was() -> None:
    episodes, _ = record_random(COUNTING, 4)
    stream, again, now = windows(episodes, 5), windows(episodes, 5), Counters()
    _, now, _ = stream.next(now)
    again.load_state_dict(stream.state_dict())
    for _ in range(4):
        (batch, _, _), (same, _, _) = stream.next(now), again.next(now)
        assert all(torch.equal(batch[key], same[key]) for key in batch)


def make_policy(env: EnvConfig, config: DecisionTransformerPolicyConfig = SMALL) -> DecisionTransformerPolicy:
    made = make_env(env)
    policy = DecisionTransformerPolicy(made.observation_space, made.action_space, config, generator(1, "weights"))
    with torch.no_grad():
        for weight in policy.parameters():  # so large that every token matters to the actions
            weight.add_(0.3 * torch.randn(weight.shape, generator=generator(2)))
    return policy


def test_in_parts_of_unequal_length_it_measures_the_same() -> None:
    """Sequences that end with their episode have fewer actions than the others."""
    episodes, _ = record_random(COUNTING, 30)
    batch, _, _ = windows(episodes, 8).next(Counters())
    batch = {key: value[batch["valid"].sum(1).argsort()] for key, value in batch.items()}
    assert batch["valid"][:4].sum() < batch["valid"][4:].sum()
    measured = []
    for parts in (1, 2):
        config = DecisionTransformerConfig(optimizer=OptimizerConfig(micro_batches=parts))
        agent = DecisionTransformer(make_policy(COUNTING), config, until=Budget(10, "updates"))
        metrics, _ = agent.update(batch, Counters())
        measured.append({key: float(metric.value) for key, metric in metrics.items()})
    assert measured[0] == pytest.approx(measured[1], rel=1e-5)


@pytest.mark.parametrize(
    "env",
    [
        COUNTING,
        EnvConfig("Pendulum-v1", time_limit=9),
        EnvConfig("tests.support.learning_envs:Identity-v0", kwargs={"kind": "dict"}),
    ],
    ids=["counting", "pendulum", "dict"],
)
def test_acting_step_by_step_is_what_it_learns_on_whole_sequences(env: EnvConfig) -> None:
    """The newest three steps, with the return that is left of the one it was asked for."""
    policy = make_policy(env)
    episodes, _ = record(policy, env, 23, mode="greedy", seed=1)
    learned = replace(episodes, action=policy.learned_action(episodes.action)).samples()
    for e, (start, length) in enumerate(zip(episodes.starts, episodes.lengths, strict=True)):
        left = 7.0 - (np.cumsum(episodes.reward[start : start + length]) - episodes.reward[start : start + length])
        for t in range(length):
            begin = max(0, t - 2)
            rows = slice(start + begin, start + t + 1)
            batch: Batch = {key: value[rows].unsqueeze(0) for key, value in learned.items()}
            batch["return_to_go"] = torch.tensor(left[begin : t + 1] / 10, dtype=torch.float32).unsqueeze(0)
            batch["episode_step"] = torch.arange(begin, t + 1).unsqueeze(0)
            with torch.no_grad():
                outputs = policy.outputs(batch)[:, -1].numpy()
                log_std = {key: value.numpy() for key, value in policy.heads.log_std.items()}
                expected = policy.env_action(policy.heads.mode(policy.heads.params(outputs, None, log_std)))
            for key, value in expected.items():
                np.testing.assert_allclose(episodes.action[key][start + t], value[0], atol=1e-5, err_msg=f"{e}, {t}")


def test_it_remembers_what_the_environment_was_given() -> None:
    policy = make_policy(EnvConfig("Pendulum-v1"))
    step = {"obs": np.zeros((4, 3), np.float32), "is_first": np.ones(4, bool)}
    action, remembered = policy.acting("explore", 4)(step, {}, {"action": np.full((4, 1), 9, np.float32)})
    assert (policy.env_action(action)["action"] == 2).all()
    assert (remembered["action"][:, 0] == 1).all(), "the bound, as in the data"


def test_what_is_behind_the_end_of_an_episode_does_not_matter() -> None:
    episodes, _ = record_random(COUNTING, 3)
    policy = make_policy(COUNTING)
    batch, _, _ = windows(episodes, 9).next(Counters())
    loss = decision_transformer_loss(policy, batch)
    assert loss.count == 9 + 6 + 3
    expected = sum(
        -policy.log_prob({key: value[i : i + 1, : int(own.sum())] for key, value in batch.items()}).sum()
        for i, own in enumerate(batch["valid"])
    )
    torch.testing.assert_close(loss.sum, expected)
    changed = {**batch, "obs": torch.where(batch["valid"].unsqueeze(-1), batch["obs"], torch.tensor(50.0))}
    torch.testing.assert_close(decision_transformer_loss(policy, changed).sum, loss.sum)


class Generous(gym.Env[Any, Any]):
    """Ten steps, each of which pays its action."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Box(0, 2, (1,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return np.ones(1, np.float32), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return np.ones(1, np.float32), float(action[0]), False, False, {}


gym.register("Generous-v0", Generous, max_episode_steps=10)
GENEROUS = EnvConfig("tests.agents.test_decision_transformer:Generous-v0")


def test_it_gets_the_return_that_it_is_asked_for() -> None:
    """Data of who pays the same all the time, from nothing to 2 a step: asked for 4 or 16, it gets about that."""
    recorded, _ = record_random(GENEROUS, 60)
    each = np.repeat(np.linspace(0, 2, 60), 10).astype(np.float32)
    episodes = replace(recorded, action={"action": each[:, None]}, reward=each.astype(np.float64))
    config = replace(SMALL, normalize_observation=False)
    policy = DecisionTransformerPolicy(
        recorded.observation_space, recorded.action_space, config, generator(1, "weights")
    )
    optimizer = OptimizerConfig(kind="adamw", learning_rate=1e-2, max_grad_norm=1.0, schedule=Schedule("linear"))
    until, now = Budget(30, "epochs"), Counters()
    agent = DecisionTransformer(policy, DecisionTransformerConfig(optimizer=optimizer), until=until)
    stream = windows(replace(episodes, action=policy.learned_action(episodes.action)), 64)
    while not until.reached(now):
        batch, after, _ = stream.next(now)
        agent.update(batch, now)
        now = after.advance(updates=1)
    for asked in (4.0, 16.0):
        saved = agent.state_dict()
        saved["policy"]["config"]["target_return"] = asked
        returns, _ = play(make_vec(GENEROUS, 2, seed=1), policy_of(saved), 1, mode="greedy", rng=generator(0))
        assert returns == pytest.approx(asked, abs=2.0)


def test_a_saved_policy_acts_the_same_and_its_predictions_remember() -> None:
    env = EnvConfig("Pendulum-v1")
    policy = make_policy(env)
    agent = DecisionTransformer(policy, DecisionTransformerConfig(), until=Budget(1, "epochs"))
    loaded = policy_of(agent.state_dict())
    obs, _ = make_env(env).reset(seed=1)
    assert np.array_equal(loaded.predictor()(obs), policy.predictor()(obs))
    episodes, _ = record(policy, env, 1, mode="greedy", seed=1)
    predict, reward = policy.predictor(), 0.0
    for t in range(60):
        assert np.allclose(predict(episodes.obs["obs"][t], reward=reward), episodes.action["action"][t], atol=1e-6)
        reward = episodes.reward[t]
    with pytest.raises(UserError, match="it has a memory; use predict"):
        policy.predict(obs)
    again, _ = record(loaded, env, 1, mode="greedy", seed=1)
    assert again.sha256 == episodes.sha256
    drawn, _ = record(loaded, env, 1, mode="explore", seed=1)
    assert drawn.sha256 != episodes.sha256
