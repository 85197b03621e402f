"""What Stable-Baselines3 has trained goes on as a policy of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agents.libraries.sb3 import SB3Policy, SB3PolicyConfig
from agents.libraries.sb3_weights import load_weights
from agents.policies.actor import Actor, ActorConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.policy import NetworkPolicy
from agents.policies.q_network import QNetwork, QNetworkConfig
from envs.config import EnvConfig
from envs.making import make_vec
from training.errors import UserError
from training.networks import NetworkConfig
from training.seeding import generator

SMALL = {"net_arch": [16, 16]}
OFF_POLICY = {"buffer_size": 160, "learning_starts": 60, "batch_size": 16, "train_freq": 4}
ON_POLICY = {"n_steps": 16, "batch_size": 16, "n_epochs": 2}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("PPO", lambda *spaces: ActorCritic(*spaces, ActorCriticConfig(rescale_action=False), generator(1, "w"))),
        ("PPO-gauss", lambda *spaces: ActorCritic(*spaces, ActorCriticConfig(rescale_action=False), generator(1, "w"))),
        ("SAC", lambda *spaces: Actor(*spaces, ActorConfig(NetworkConfig((16, 16), "relu")), generator(1, "w"))),
        (
            "TD3",
            lambda *spaces: Actor(
                *spaces, ActorConfig(NetworkConfig((16, 16), "relu"), distribution="deterministic"), generator(1, "w")
            ),
        ),
        ("DQN", lambda *spaces: QNetwork(*spaces, QNetworkConfig(NetworkConfig((64, 64), "relu")), generator(1, "w"))),
    ],
)
def test_our_policies_take_the_weights_and_act_alike(theirs: str, ours: Callable[..., NetworkPolicy]) -> None:
    env_id = "CartPole-v1" if theirs in ("PPO", "DQN") else "Pendulum-v1"
    arguments = {"PPO": ON_POLICY, "PPO-gauss": ON_POLICY}.get(theirs, OFF_POLICY)
    kwargs = SMALL if theirs in ("SAC", "TD3") else {}
    vec = make_vec(EnvConfig(env_id), 6, seed=2)
    config = SB3PolicyConfig(theirs.partition("-")[0], "MlpPolicy", arguments, kwargs)
    trained = SB3Policy(vec.observation_space, vec.action_space, config, generator(4, "other"))
    policy = ours(vec.observation_space, vec.action_space)
    obs = np.asarray(generator_of_obs(vec.observation_space.shape))
    before = policy.acting("greedy", 6)({"obs": obs}, {}, {})[0]
    load_weights(policy, trained)
    after = policy.env_action(policy.acting("greedy", 6)({"obs": obs}, {}, {})[0])["action"]
    expected = trained.acting("greedy", 6)({"obs": obs}, {}, {})[0]["action"]
    np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-5)
    assert not np.array_equal(before["action"], after)


def generator_of_obs(shape: tuple[int, ...] | None) -> Any:
    return np.random.default_rng(0).normal(0, 1, (6, *(shape or ()))).astype(np.float32)


def test_weights_of_another_architecture_are_refused() -> None:
    vec = make_vec(EnvConfig("Pendulum-v1"), 1, seed=2)
    spaces = vec.observation_space, vec.action_space
    trained = SB3Policy(*spaces, SB3PolicyConfig("PPO"), generator(1, "w"))
    wide = ActorCriticConfig(NetworkConfig((128, 64)), rescale_action=False)
    with pytest.raises(UserError, match=r"shape of PPO's actor\.0\.weight = \(64, 3\): it takes \(128, 3\)"):
        load_weights(ActorCritic(*spaces, wide, generator(1, "w")), trained)
    other = ActorCriticConfig(NetworkConfig((64, 64), "relu"), rescale_action=False)
    with pytest.raises(UserError, match=r"policy\.network\.activation = 'relu': it takes 'tanh', as PPO has"):
        load_weights(ActorCritic(*spaces, other, generator(1, "w")), trained)
    with pytest.raises(UserError, match=r"policy\.rescale_action = True: it takes False"):
        load_weights(ActorCritic(*spaces, ActorCriticConfig(), generator(1, "w")), trained)
