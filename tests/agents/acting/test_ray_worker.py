"""The rollout worker without Ray: it gives the data of its own groups, and continues or begins another life."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from agents.acting.collector import LocalCollector, make_group
from agents.acting.ray_worker import Published, RolloutWorker, named_tensors
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.updates.rollout_samples import acted_on
from envs.config import EnvConfig
from training.seeding import generator

WALK = EnvConfig("tests.support.toy_envs:RandomWalk-v0")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """A worker computes with one thread in a process of its own, which here is that of the tests."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def make_worker() -> RolloutWorker:
    """Of a run's four groups of two environments it has the last two."""
    return RolloutWorker(WALK, 2, seed=1, groups=range(2, 4))


def published(policy: ActorCritic) -> Published:
    description = {key: value for key, value in policy.save().items() if key != "weights"}
    tensors = {key: tensor.detach().numpy().copy() for key, tensor in named_tensors(policy).items()}
    return Published(description, tensors, has_kernels=policy.has_kernels)


def make_policy(worker: RolloutWorker) -> ActorCritic:
    begun = worker.begin(0, None)
    config = ActorCriticConfig(normalize_observation=True)
    return ActorCritic(begun.observation_space, begun.action_space, config, generator(1, "weights"))


def test_it_gives_the_data_of_its_groups_with_the_weights_that_it_was_sent() -> None:
    worker = make_worker()
    policy = make_policy(worker)
    here = LocalCollector(lambda index: make_group(WALK, 2, seed=1, index=2 + index), 2)
    here.publish(policy, 0)
    for _ in range(2):
        expected, ended = here.collect_episodes(24, "explore")
        with torch.no_grad():
            log_prob = policy.log_prob(acted_on(expected))
        got, episodes = worker.collect(published(policy), 24, "explore", with_log_prob=True)
        assert torch.equal(torch.from_numpy(got.pop("log_prob")), log_prob)
        assert got.keys() == expected.keys()
        assert all(torch.equal(torch.from_numpy(got[key]), value) for key, value in expected.items())
        assert episodes == ended
        policy.update_normalizers({"obs": expected["obs"].flatten(0, 1)})
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.mul_(1.5)


def test_a_saved_life_goes_on_and_another_life_has_other_episodes() -> None:
    first, second = make_worker(), make_worker()
    weights = published(make_policy(first))
    first.collect(weights, 5, "explore", with_log_prob=False)
    assert second.begin(0, first.save()).inexact == []
    expected, _ = first.collect(weights, 5, "explore", with_log_prob=False)
    got, _ = second.collect(weights, 5, "explore", with_log_prob=False)
    assert all((got[key] == expected[key]).all() for key in expected)
    beginnings = []
    for life in (0, 1):
        worker = make_worker()
        worker.begin(life, None)
        beginnings.append(worker.collect(weights, 5, "explore", with_log_prob=False)[0]["obs"][0])
    assert (beginnings[0] != beginnings[1]).any()
