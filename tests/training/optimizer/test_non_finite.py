"""Updates that are not finite: when they are noticed, and the error."""

from __future__ import annotations

import pickle

import pytest

from tests.support.optimizers import assert_same, data, network, optimizer_for, poisoned, train
from training.core import Counters
from training.optimizer.non_finite import DeferredCheck, NonFinite


def test_a_deferred_check_makes_no_update_from_the_first_bad_one_on_and_reports_that_one() -> None:
    # What runs on CUDA, here with the same fused kernel on the CPU.
    model, clean = network(), network()
    optimizer, reference = optimizer_for(model), optimizer_for(clean)
    optimizer._deferred = DeferredCheck(optimizer.trainable)
    train(model, optimizer, 0, 130)  # passes one check at 100
    train(clean, reference, 0, 130)
    assert_same(clean, model)
    optimizer.step(poisoned(model, 2), data(), Counters(updates=130))
    train(model, optimizer, 131, 140)
    assert_same(clean, model)
    with pytest.raises(NonFinite, match=r"^update 131: the norm of the gradient is not finite for 2\.weight$"):
        optimizer.state_dict()
    with pytest.raises(NonFinite, match=r"^update 131: "):
        train(model, optimizer, 140, 250)


def test_an_error_is_the_same_in_another_process() -> None:
    error = pickle.loads(pickle.dumps(NonFinite(5, "the loss is nan")))
    assert (str(error), error.update) == ("update 5: the loss is nan", 5)
