"""The network of action values: acting is what the modules compute, and epsilon is the share of random actions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from agents.policies.q_network import QNetwork, QNetworkConfig
from tests.support.transitions import BOX, KINDS, OBS, Q, make_q
from training.errors import UserError
from training.seeding import generator


@pytest.mark.parametrize("name", KINDS)
def test_acting_is_what_the_modules_compute(name: str) -> None:
    """A few rows are computed by NumPy, many by torch's modules."""
    policy = make_q(KINDS[name])
    policy.update_normalizers({"obs": torch.randn(50, 3, generator=generator(8)) * 3})
    policy.epsilon.fill_(0.0)
    for rows in (5, 40_000):
        obs = torch.randn(rows, 3, generator=generator(1))
        noise = policy.noise((rows,), generator(2))
        for draws in (False, True):
            if draws:
                policy.draw_noise(generator(9))
            action, _ = policy.acting("explore", rows)({"obs": obs.numpy()}, {}, noise)
            with torch.no_grad():
                expected = policy.values(policy({"obs": obs})).argmax(-1).numpy()
            assert (action["action"] == expected).mean() > 0.999
        if "noisy" in name:
            greedy, _ = policy.acting("greedy", rows)({"obs": obs.numpy()}, {}, {})
            quiet = make_q(KINDS[name])  # the same weights, whose noise was never drawn
            with torch.no_grad():
                expected = quiet.values(quiet({"obs": obs})).argmax(-1).numpy()
            assert (greedy["action"] == expected).mean() > 0.999
            assert rows == 5 or (greedy["action"] != action["action"]).any()


def test_epsilon_is_the_share_of_random_actions_and_masks_hold_for_them_too() -> None:
    policy = make_q()
    policy.epsilon.fill_(0.4)
    obs = np.zeros((30_000, 3), np.float32)
    noise = policy.noise((30_000,), generator(2))
    best = int(policy.acting("greedy", 1)({"obs": obs[:1]}, {}, {})[0]["action"][0])
    action, _ = policy.acting("explore", 30_000)({"obs": obs}, {}, noise)
    assert (action["action"] == best).mean() == pytest.approx(1 - 0.4 * 2 / 3, abs=0.01)
    anything, _ = policy.acting("random", 30_000)({"obs": obs}, {}, noise)
    assert np.bincount(anything["action"]) / 30_000 == pytest.approx(np.full(3, 1 / 3), abs=0.01)
    mask = np.tile([True, False, True], (30_000, 1))
    for mode in ("explore", "random", "greedy"):
        chosen, _ = policy.acting(mode, 30_000)({"obs": obs, "action_mask": mask}, {}, noise)  # type: ignore[arg-type]
        assert (chosen["action"] != 1).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"atoms": 5}, "atoms = 5: it takes 1 for the mean, otherwise at least 2"),
        ({"distribution": "quantile"}, "atoms = 1: it takes 1 for the mean, otherwise at least 2"),
        (
            {"distribution": "categorical", "atoms": 5},
            r"value_range = \(0.0, 0.0\): it takes the least",
        ),
        ({"noisy_std": 0.0}, "noisy_std = 0.0: it takes a number above 0, or None"),
    ],
)
def test_impossible_values_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        QNetworkConfig(**changes)


def test_continuous_actions_are_refused() -> None:
    with pytest.raises(UserError, match=r"action space Box.*: value-based algorithms take a Discrete one"):
        QNetwork(OBS, BOX, Q, generator(1))


def test_the_values_of_a_distribution_are_its_mean() -> None:
    """Atoms at -3, -1, 1, 3 and 5; quantiles count alike."""
    shape = replace(Q, distribution="categorical", atoms=5, value_range=(-3.0, 5.0))
    logits = torch.tensor([[0.5, 0.0, 0.25, 0.0, 0.25], [0.0, 0.0, 0.0, 1.0, 0.0]]).log()
    assert make_q(shape).values(logits).tolist() == pytest.approx([0.0, 3.0])
    assert make_q(KINDS["quantile"]).values(torch.tensor([[-4.0, 1.0, 2.0, 3.0, 8.0]])).tolist() == [2.0]
