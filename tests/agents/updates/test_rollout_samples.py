"""What is read from a rollout: values across its cuts, V-trace of an older policy, and samples."""

from __future__ import annotations

import pytest
import torch

from agents.acting.rollouts import Rollouts
from agents.impala import IMPALAConfig
from agents.policies.actor_critic import ActorCritic
from agents.updates.rollout_samples import (
    acted_on,
    continues,
    discount,
    explained_variance,
    next_obs,
    normalized,
    to_samples,
    values,
    with_vtrace,
)
from envs.config import EnvConfig
from tests.support.collectors import make_collector
from tests.support.on_policy import SMALL
from tests.support.rollouts import make_rollout, random_walk
from training.core import Counters
from training.seeding import generator


def test_values_across_a_cut_come_from_the_final_observation() -> None:
    collector = make_collector(EnvConfig("tests.support.learning_envs:CountingEpisodes-v0"), 2)
    policy = ActorCritic(collector.observation_space, collector.action_space, SMALL, generator(1))
    batch, _, _ = Rollouts(collector, policy, 12).next(Counters())
    value, next_value = values(policy, batch)
    counted = batch["obs"][:-1].clone()
    counted[..., 0] += 1  # what follows each step if nothing resets
    torch.testing.assert_close(next_value, policy.value({"obs": counted}).detach())
    torch.testing.assert_close(value, policy.value({"obs": batch["obs"][:-1]}).detach())
    ended = batch["terminated"] | batch["truncated"]
    assert torch.equal(continues(batch), (~ended).float())
    assert torch.equal(discount(batch, 0.9), torch.where(batch["terminated"], 0.0, 0.9))


def test_what_an_older_policy_did_is_weighed_by_the_ratio_and_no_more_than_clipped() -> None:
    policy, batch = random_walk()
    now = policy.log_prob(acted_on(batch)).detach()
    config = IMPALAConfig(gamma=0.9)
    shift = torch.linspace(-1, 1, now.numel()).reshape(now.shape)
    old = batch | {"log_prob": now - shift}
    told = with_vtrace(policy, old, config)
    torch.testing.assert_close(told["ratio"], shift.exp())
    torch.testing.assert_close(told["log_prob"], now - shift)
    on_policy = with_vtrace(policy, batch, config)
    torch.testing.assert_close(on_policy["ratio"], torch.ones_like(now))
    # Where every ratio is at least 1 all are clipped to 1: the targets are those of the policy that acted.
    likelier = with_vtrace(policy, batch | {"log_prob": now - 0.5}, config)
    torch.testing.assert_close(likelier["return"], on_policy["return"])
    # What would never be done any more teaches nothing: its targets are the values.
    never = with_vtrace(policy, batch | {"log_prob": now + 50}, config)
    torch.testing.assert_close(never["return"], never["value"])


def test_the_next_observation_is_the_final_one_where_an_episode_ended() -> None:
    _, batch = make_rollout("CartPole-v1", 16, 2)
    final = {(int(t), int(n)): obs for (t, n), obs in zip(batch["final_index"], batch["final_obs"], strict=True)}
    found = next_obs(batch)["obs"]
    for t in range(16):
        for n in range(2):
            assert torch.equal(found[t, n], final.get((t, n), batch["obs"][t + 1, n]))


def test_samples_are_the_steps_that_are_valid() -> None:
    _, batch = make_rollout("CartPole-v1", 16, 2)
    flat = to_samples(batch, {"reward": batch["reward"]})
    assert torch.equal(flat["obs"], batch["obs"][:16].flatten(0, 1))
    assert flat.keys() == {"obs", "action", "reward"}
    batch["valid"] = torch.ones(16, 2, dtype=torch.bool)
    batch["valid"][3, 1] = False
    kept = [row for row in range(32) if row != 3 * 2 + 1]
    assert torch.equal(to_samples(batch, {})["obs"], flat["obs"][kept])


def test_advantages_are_normalized_and_variance_explained() -> None:
    found = normalized(torch.tensor([1.0, 2.0, 3.0]))
    torch.testing.assert_close(found, torch.tensor([-1.0, 0.0, 1.0]))
    assert normalized(torch.tensor([5.0])).tolist() == [0.0]
    target = torch.tensor([1.0, 2.0, 4.0])
    assert float(explained_variance(target + 3, target)) == pytest.approx(1.0)
    assert float(explained_variance(torch.zeros(3), target)) == pytest.approx(0.0)
    assert float(explained_variance(2 * target, target)) == pytest.approx(0.0)
