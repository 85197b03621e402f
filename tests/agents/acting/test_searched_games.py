"""Boards seen from another side: the same game by the same rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from agents.acting.collector import Group, LocalCollector
from agents.acting.searched_games import turned
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from envs.config import EnvConfig
from envs.making import make_vec
from envs.tasks.board_games import BOARDS
from training.seeding import generator


@pytest.mark.parametrize(("game", "sides"), [("envs.tasks:TicTacToe-v0", 8), ("envs.tasks:ConnectFour-v0", 2)])
def test_a_turned_rollout_is_one_of_the_same_game(game: str, sides: int) -> None:
    board, games = BOARDS[game], 2 * sides
    symmetries = board.symmetries()
    assert len(np.unique(symmetries[0], axis=0)) == sides
    vec = make_vec(EnvConfig(game), games, seed=3)
    collector = LocalCollector(lambda index: Group(vec, seed=1, index=index))
    policy = ActorCritic(collector.observation_space, collector.action_space, ActorCriticConfig(), generator(1))
    collector.publish(policy, 0)
    batch, _ = collector.collect(60)
    batch["search_policy"] = torch.nn.functional.one_hot(batch["action"].long(), board.num_actions).float()
    seen = turned(batch, symmetries, 3)
    ended = (batch["terminated"] | batch["truncated"]).numpy()
    changed = 0
    for t in range(60):
        state, action = board.state_of(seen["obs"][t].numpy()), seen["action"][t].numpy()
        assert np.array_equal(board.legal(state), seen["action_mask"][t].numpy())
        assert np.array_equal(seen["search_policy"][t].numpy().argmax(1), action)
        after, reward, is_over = board.transition(state, action)
        assert np.array_equal(reward, batch["reward"][t].numpy())
        assert np.array_equal(is_over, batch["terminated"][t].numpy())
        following = board.state_of(seen["obs"][t + 1].numpy())
        assert np.array_equal(after[:, ~ended[t]], following[:, ~ended[t]])
        changed += int((state != board.state_of(batch["obs"][t].numpy())).any(0).sum())
    assert changed > 0.3 * 60 * games
    t, n = seen["final_index"].T.numpy()
    after, _, _ = board.transition(board.state_of(seen["obs"].numpy()[t, n]), seen["action"].numpy()[t, n])
    assert np.array_equal(board.observe(after), seen["final_obs"].numpy())
