"""AlphaZero: its loss by torch's own functions, and results as who is to move has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, mse_loss

from agents.acting.collector import Group, LocalCollector
from agents.acting.searcher import Searcher
from agents.acting.tree_search import SearchConfig
from agents.alphazero import AlphaZero, AlphaZeroConfig, alphazero_loss
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from envs.config import EnvConfig
from envs.making import make_vec
from envs.tasks.board_games import TIC_TAC_TOE, game
from training.core import Batch, Budget, Counters
from training.errors import UserError
from training.networks import NetworkConfig
from training.optimizer import OptimizerConfig
from training.seeding import generator

ELSEWHERE = "it learns from what a search found in a game of two: what the suites ask of the others is asked here"
RESUMED = {"alphazero_tic_tac_toe": ["--search.simulations", "4"]}

RULES = game(TIC_TAC_TOE)


def make_policy() -> ActorCritic:
    spaces = RULES.observation_space, RULES.action_space
    return ActorCritic(*spaces, ActorCriticConfig(network=NetworkConfig((32,))), generator(1))


def make_agent(policy: ActorCritic, **changes: Any) -> AlphaZero:
    given: dict[str, Any] = {"minibatch_size": 32, "optimizer": OptimizerConfig(learning_rate=1e-2), **changes}
    return AlphaZero(policy, AlphaZeroConfig(**given), until=Budget(10_000), seed=1)


def played(policy: ActorCritic, horizon: int = 16) -> Batch:
    vec = make_vec(EnvConfig("envs.tasks:TicTacToe-v0"), 8, seed=3)
    collector = LocalCollector(lambda index: Group(vec, seed=1, index=index))
    collector.publish(Searcher(policy, RULES, TIC_TAC_TOE.state_of, SearchConfig(8)), 0)
    batch, _ = collector.collect(horizon)
    return batch


def results_of(agent: AlphaZero, batch: Batch) -> Batch:
    """What an update would learn from."""
    seen: list[Batch] = []
    step = agent._optimizer.step
    agent._optimizer.step = lambda loss, data, *rest: (seen.append(data), step(loss, data, *rest))[1]  # type: ignore[method-assign,func-returns-value]
    agent.update(batch, Counters())
    return seen[0]


def test_the_loss_is_the_papers() -> None:
    policy = make_policy()
    batch = {
        "obs": torch.from_numpy(RULES.observe(RULES.initial_state(np.random.default_rng(0))[:, None].repeat(4, 1))),
        "action_mask": torch.ones(4, 9, dtype=torch.bool),
        "search_policy": torch.rand(4, 9, generator=generator(2)).softmax(-1),
        "return": torch.tensor([1.0, -1.0, 0.0, 1.0]),
    }
    loss = alphazero_loss(policy, batch, 1.0)
    logits = policy.actor(policy.actor_encoder(batch))
    expected = cross_entropy(logits, batch["search_policy"]) + mse_loss(policy.value(batch), batch["return"])
    assert (loss.sum / 4).item() == pytest.approx(expected.item())


def test_a_result_is_seen_by_who_was_to_move_and_a_game_that_goes_on_is_worth_what_the_network_says() -> None:
    policy = make_policy()
    batch = played(policy)
    learned = results_of(make_agent(policy, epochs=1), batch)
    # A search that always wins has signs that alternate back from the end; a draw is 0 for everybody.
    result, ended = learned["return"].reshape(16, 8).numpy(), batch["terminated"].numpy()
    value = make_policy().value({"obs": batch["obs"][16]}).detach().numpy()
    for n in range(8):
        following = -value[n]
        for t in reversed(range(16)):
            expected = batch["reward"][t, n].item() if ended[t, n] else following
            assert result[t, n] == pytest.approx(expected, abs=1e-6)
            following = -result[t, n]
    assert set(np.unique(result[ended])) <= {0.0, 1.0}


def test_it_learns_what_the_search_found_and_how_the_games_ended() -> None:
    policy = make_policy()
    agent, batch = make_agent(policy, epochs=20), played(policy)
    before, _ = make_agent(make_policy(), epochs=1).update(batch, Counters())
    for _ in range(5):
        after, _ = agent.update(batch, Counters())
    assert float(after["policy/kl_to_search"].value) < 0.5 * float(before["policy/kl_to_search"].value)
    assert float(after["value/loss"].value) < 0.5 * float(before["value/loss"].value)


@pytest.mark.parametrize("wrong", [{"value_lambda": 1.5}, {"value_coefficient": -1.0}, {"epochs": 0}])
def test_impossible_numbers_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        AlphaZeroConfig(**wrong)
