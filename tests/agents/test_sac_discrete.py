"""SAC for discrete actions: its target is an expectation over the policy."""

from __future__ import annotations

import torch
from gymnasium import spaces
from torch.distributions import Categorical

from agents.sac_discrete import SACDiscrete, SACDiscreteConfig, discrete_soft_target
from agents.updates.critics import DiscreteCritics
from tests.support.cases import OffPolicyCase
from tests.support.off_policy import ACTOR, BOTH, FAST, REPLAY, SHORT_REPLAY
from tests.support.transitions import NETWORK, make_actor, make_batch, spread
from training.seeding import generator

CASES = {
    "sac_discrete": OffPolicyCase(
        algorithm=SACDiscrete,
        config=SACDiscreteConfig(tau=0.05, target_entropy_fraction=0.1, **BOTH),
        policy=ACTOR,
        replay=REPLAY,
        continuous=False,
        endless={"initial_temperature": 1e-4, "target_entropy_fraction": 0.0},
        tabular={"initial_temperature": 1e-3, "target_entropy_fraction": 0.0, "critic_optimizer": FAST},
    ),
}
RESUMED = {"sac_discrete_cartpole": SHORT_REPLAY}


def test_the_discrete_soft_target_is_an_expectation_over_the_policy() -> None:
    policy, batch = make_actor(space=spaces.Discrete(3)), make_batch(discrete=True)
    critics = spread(DiscreteCritics(policy, NETWORK, generator(6), members=2))
    found = discrete_soft_target(policy, critics, torch.tensor(0.3), batch)
    distribution = Categorical(logits=policy.params(batch, "next_"))
    value = critics({"obs": batch["next_obs"]}).amin(0)
    soft = (distribution.probs * value).sum(-1) + 0.3 * distribution.entropy()
    torch.testing.assert_close(found, batch["reward"] + batch["discount"] * soft)
