"""Target networks: they follow, are copied, and are never trained."""

from __future__ import annotations

import pytest
import torch

from agents.updates.targets import FollowingConfig, GradientSteps, copy_weights, follower, frozen_copy
from tests.support.transitions import make_q, spread
from training.errors import UserError


def test_targets_follow() -> None:
    online, target = make_q(seed=1), frozen_copy(make_q(seed=2))
    before = [p.clone() for p in target.parameters()]
    follower(target, online, 0.1)()
    for old, new, own in zip(before, target.parameters(), online.parameters(), strict=True):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * own)
        assert not new.requires_grad
    online.epsilon.fill_(0.3)
    copy_weights(target, online)
    for key, value in online.state_dict().items():
        assert torch.equal(target.state_dict()[key], value), key


def test_a_frozen_copy_is_apart_and_not_trained() -> None:
    online = make_q()
    copied = frozen_copy(online)
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    assert all(parameter.requires_grad for parameter in online.parameters())
    before = [parameter.clone() for parameter in copied.parameters()]
    spread(online)
    assert all(torch.equal(old, new) for old, new in zip(before, copied.parameters(), strict=True))


def test_gradient_steps_are_counted_on_from_what_was_saved() -> None:
    steps = GradientSteps()
    assert [steps.count(every=3) for _ in range(4)] == [False, False, True, False]
    again = GradientSteps()
    again.load_state_dict(steps.state_dict())
    assert [again.count(every=3) for _ in range(2)] == [False, True]


def test_a_target_that_does_not_move_is_refused() -> None:
    with pytest.raises(UserError, match=r"tau = 0\.0: it takes a number above 0, up to 1"):
        FollowingConfig(tau=0.0)
