"""The actor-critic: a row is evaluated alone as in its batch, and acting is what the modules compute."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from tests.support.actor_critics import ACTION_SPACES, SMALL, make_policy
from training.core import Batch
from training.errors import UserError
from training.seeding import generator


@pytest.mark.parametrize("squash", [False, True])
@pytest.mark.parametrize("name", ACTION_SPACES)
def test_a_row_is_evaluated_alone_as_in_its_batch(name: str, squash: bool) -> None:
    policy = make_policy(ACTION_SPACES[name], replace(SMALL, squash=squash))
    batch: Batch = {"obs": torch.randn(6, 3, generator=generator(1))}
    drawn, _ = policy.acting("explore", 6)({"obs": batch["obs"].numpy()}, {}, policy.noise((6,), generator(2)))
    action = {key: torch.from_numpy(value) for key, value in drawn.items()}
    together = policy.evaluate(batch | action)
    for row in range(6):
        alone = policy.evaluate({key: value[row : row + 1] for key, value in (batch | action).items()})
        for whole, one in zip(together, alone, strict=True):
            assert one.shape == (1,)
            torch.testing.assert_close(one[0], whole[row])


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("mode", ["explore", "greedy"])
@pytest.mark.parametrize("name", ACTION_SPACES)
def test_acting_is_what_the_modules_compute(name: str, mode: Any, normalized: bool) -> None:
    """A few rows are computed by NumPy, many by torch's modules; both follow the weights."""
    policy = make_policy(ACTION_SPACES[name], replace(SMALL, normalize_observation=normalized))
    for rows in (6, 20_000):
        obs = torch.randn(rows, 3, generator=generator(1))
        noise = policy.noise((rows,), generator(2))
        for acting in (policy, copy.deepcopy(policy)):
            action, _ = acting.acting(mode, rows)({"obs": obs.numpy()}, {}, noise)
            with torch.no_grad():
                seen = {key: normalizer(obs) for key, normalizer in policy.normalizers.items()} or {"obs": obs}
                params = policy.heads.params(policy.actor(policy.actor_encoder(seen)))
                arrays = {key: value.numpy() for key, value in params.items()}
            expected = policy.heads.sample(arrays, noise) if mode == "explore" else policy.heads.mode(arrays)
            for key, value in expected.items():
                assert action[key].dtype == value.dtype
                assert action[key].shape == value.shape
                # Of the many rows, a discrete choice may be so close that the last bit decides.
                same = np.isclose(action[key], value, rtol=1e-4, atol=1e-5)
                assert same.mean() > 0.9999 if rows > 6 else same.all(), key
        policy.update_normalizers({"obs": obs})
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.mul_(1.5)


@pytest.mark.parametrize("rows", [4, 20_000])
def test_masks_forbid_actions_in_both_ways_of_acting(rows: int) -> None:
    policy = make_policy(spaces.Discrete(3))
    step = {"obs": np.ones((rows, 3), np.float32), "action_mask": np.tile([True, False, True], (rows, 1))}
    modes: tuple[Any, ...] = ("explore", "greedy", "random")
    for mode in modes:
        action, _ = policy.acting(mode, rows)(step, {}, policy.noise((rows,), generator(2)))
        assert set(np.unique(action["action"])) <= {0, 2}


def test_a_log_std_out_of_range_is_refused() -> None:
    with pytest.raises(UserError, match="initial_log_std = nan: it takes -20 to 2"):
        ActorCriticConfig(initial_log_std=float("nan"))


@pytest.mark.parametrize(
    ("critic_only", "complaint"),
    [
        (
            ("whole",),
            r"policy.critic_only = 'whole': it takes parts of the observation, which are \['agent', 'global'\]",
        ),
        (("agent", "global"), r"policy.critic_only = .*: it takes less than all parts of the observation"),
    ],
)
def test_parts_that_a_critic_alone_cannot_see_are_refused(critic_only: tuple[str, ...], complaint: str) -> None:
    seen = spaces.Dict({"agent": spaces.Box(0, 1, (3,)), "global": spaces.Box(0, 1, (6,))})
    with pytest.raises(UserError, match=complaint):
        ActorCritic(seen, spaces.Discrete(2), ActorCriticConfig(critic_only=critic_only), generator(1))
