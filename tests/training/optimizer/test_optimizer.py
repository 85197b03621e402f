"""The optimizer against torch's own: updates, accumulation, precision, schedules, averages, and going on exactly."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.support.optimizers import (
    UNTIL,
    assert_same,
    assert_states_equal,
    data,
    network,
    optimizer_for,
    poisoned,
    squared_error,
    train,
)
from training.core import Batch, Counters
from training.errors import UserError
from training.metrics import Last, Max, Mean, Sum
from training.optimizer import Gradient, Loss, Optimizer, OptimizerConfig, Rule, Schedule
from training.optimizer.non_finite import NonFinite
from training.optimizer.optimizer import check_coverage

KINDS = ("adam", "adamw", "sgd", "rmsprop", "muon")


@pytest.mark.parametrize(
    ("options", "reference"),
    [
        ({"kind": "adam", "eps": 1e-5}, lambda p: torch.optim.Adam(p, 1e-2, eps=1e-5, fused=True)),
        (
            {"kind": "adamw", "betas": (0.8, 0.9), "weight_decay": 0.1},
            lambda p: torch.optim.AdamW(p, 1e-2, betas=(0.8, 0.9), weight_decay=0.1, fused=True),
        ),
        ({"kind": "sgd", "momentum": 0.9}, lambda p: torch.optim.SGD(p, 1e-2, momentum=0.9, fused=True)),
        ({"kind": "rmsprop", "alpha": 0.9}, lambda p: torch.optim.RMSprop(p, 1e-2, alpha=0.9)),
        ({"kind": "muon", "momentum": 0.9}, lambda p: torch.optim.Muon(p, 1e-2, momentum=0.9, weight_decay=0.0)),
    ],
)
def test_updates_are_torchs_to_the_bit(
    options: dict[str, Any], reference: Callable[..., torch.optim.Optimizer]
) -> None:
    ours, theirs = network(bias=False), network(bias=False)
    optimizer, torchs = optimizer_for(ours, learning_rate=1e-2, **options), reference(theirs.parameters())
    for update in range(5):
        batch = data(seed=update)
        optimizer.step(squared_error(ours), batch, Counters(updates=update))
        torchs.zero_grad()
        ((theirs(batch["x"]) - batch["y"]).square().sum() / 12).backward()  # type: ignore[no-untyped-call]
        torchs.step()
    assert_same(ours, theirs)


@pytest.mark.parametrize("limit", [0.05, 1e6])
def test_clipping_is_torchs_to_the_bit(limit: float) -> None:
    ours, theirs = network(), network()
    torchs = torch.optim.SGD(theirs.parameters(), 0.1)
    metrics = optimizer_for(ours, kind="sgd", learning_rate=0.1, max_grad_norm=limit).step(
        squared_error(ours), data(), Counters()
    )
    squared_error(theirs)(data()).sum.div(12).backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), limit)
    torchs.step()
    assert_same(ours, theirs)
    assert metrics["optimizer/gradient_norm"].value == norm.item()


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(4, 30), parts=st.integers(2, 4), tensor_count=st.booleans())
def test_accumulation_equals_the_big_batch(rows: int, parts: int, tensor_count: bool) -> None:
    def gradient_of(micro_batches: int) -> Gradient:
        model = network()

        def weighted(batch: Batch) -> Loss:  # the count is not the number of rows
            error = (model(batch["x"]) - batch["y"]).square().sum(-1)
            count = batch["weight"].sum() if tensor_count else float(batch["weight"].sum())
            mean = Mean((error * batch["weight"]).sum().detach() / count, float(batch["weight"].sum()))
            metrics = {"loss/error": mean, "loss/largest": Max(error.max().detach()), "loss/rows": Sum(len(error))}
            return Loss((error * batch["weight"]).sum(), count, {**metrics, "loss/last": Last(batch["y"][-1, 0])})

        return optimizer_for(model, micro_batches=micro_batches).gradient(weighted, data(rows))

    whole, accumulated = gradient_of(1), gradient_of(parts)
    for a, b in zip(whole.values, accumulated.values, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(whole.loss, accumulated.loss)
    assert whole.metrics.keys() == accumulated.metrics.keys()
    for key, metric in whole.metrics.items():
        assert float(accumulated.metrics[key].value) == pytest.approx(float(metric.value), rel=1e-5), key


def test_accumulation_keeps_integer_counts_given_as_tensors() -> None:
    model = network()
    optimizer = optimizer_for(model, micro_batches=3)
    counted = optimizer.gradient(lambda b: squared_error(model)(b)._replace(count=torch.tensor(len(b["x"]))), data(11))
    plain = optimizer.gradient(squared_error(model), data(11))
    assert all(torch.equal(a, b) for a, b in zip(counted.values, plain.values, strict=True))


def test_micro_batches_are_as_even_as_can_be_and_reject_what_cannot_be_split() -> None:
    model, sizes = network(), []

    def loss_fn(batch: Batch) -> Loss:
        sizes.append(len(batch["x"]))
        return squared_error(model)(batch)

    optimizer = optimizer_for(model, micro_batches=4)
    optimizer.step(loss_fn, data(10), Counters())
    assert sizes == [3, 3, 2, 2]
    with pytest.raises(UserError, match=r"micro_batches = 4: it takes at most the rows of a batch, here 3"):
        optimizer.gradient(loss_fn, data(3))
    with pytest.raises(UserError, match=r"micro_batches = 4: a batch must have one leading size.*'y': 9"):
        optimizer.gradient(loss_fn, {**data(10), "y": torch.zeros(9, 2)})


def test_only_own_parameters_are_differentiated_and_unreached_ones_have_zero_gradients() -> None:
    model = network()
    parameters = dict(model.named_parameters())
    head = {key: parameters.pop(key) for key in ("2.weight", "2.bias")}
    head["unused"] = nn.Parameter(torch.ones(3))
    optimizer = Optimizer(head, OptimizerConfig(), until=UNTIL)
    gradient = optimizer.gradient(squared_error(model), data())
    assert all(parameter.grad is None for parameter in parameters.values())
    assert list(optimizer.trainable) == ["2.weight", "2.bias", "unused"]
    assert torch.equal(gradient.values[2], torch.zeros(3))


def test_the_first_rule_that_matches_wins_and_frozen_parameters_do_not_change() -> None:
    ours, theirs = network(), network()
    rules = (Rule("0.bias", frozen=True), Rule("0.*", learning_rate=0.5), Rule("*", kind="adamw", weight_decay=0.1))
    optimizer = optimizer_for(ours, kind="sgd", learning_rate=0.1, rules=rules)
    assert not ours[0].bias.requires_grad
    torchs: list[torch.optim.Optimizer] = [
        torch.optim.SGD([theirs[0].weight], 0.5),
        torch.optim.AdamW(theirs[2].parameters(), 0.1, weight_decay=0.1, fused=True),
    ]
    theirs[0].bias.requires_grad = False
    for update in range(3):
        metrics = optimizer.step(squared_error(ours), data(seed=update), Counters(updates=update))
        theirs.zero_grad()
        squared_error(theirs)(data(seed=update)).sum.div(12).backward()  # type: ignore[no-untyped-call]
        for each in torchs:
            each.step()
    assert_same(ours, theirs)
    assert torch.equal(ours[0].bias, network()[0].bias)
    assert metrics["optimizer/learning_rate/0.*"] == Last(0.5)
    assert metrics["optimizer/learning_rate/*"] == Last(0.1)


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_a_step_without_a_gradient_only_makes_weights_smaller(kind: Any) -> None:
    model = nn.Sequential(nn.Linear(3, 8), nn.LayerNorm(8), nn.Linear(8, 2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.ones_like(parameter))
    optimizer = optimizer_for(model, kind=kind, learning_rate=0.1, weight_decay=0.5)
    nothing = lambda batch: Loss(0.0 * sum(p.sum() for p in model.parameters()), 1, {})  # type: ignore[misc]  # noqa: E731
    metrics = optimizer.step(nothing, data(), Counters())
    assert metrics["optimizer/learning_rate"] == Last(0.1), "one pattern is one rate"
    for key, parameter in model.named_parameters():
        if key in ("0.weight", "2.weight"):
            assert (parameter < 1).all(), key
        else:
            assert torch.equal(parameter, torch.ones_like(parameter)), key


def test_learning_rates_follow_each_rules_schedule() -> None:
    model = network()
    rules = (Rule("0.*", schedule=Schedule("linear", over=10)), Rule("*", learning_rate=0.2))
    optimizer = optimizer_for(model, kind="sgd", learning_rate=0.1, schedule=Schedule("cosine"), rules=rules)
    metrics = optimizer.step(squared_error(model), data(), Counters(updates=5))
    assert metrics["optimizer/learning_rate/0.*"].value == pytest.approx(0.05)
    assert metrics["optimizer/learning_rate/*"].value == pytest.approx(0.1 * (1 + math.cos(math.pi * 0.05)))
    before = copy.deepcopy(model)
    optimizer.step(squared_error(model), data(), Counters(updates=10))
    assert torch.equal(before[0].weight, model[0].weight)
    assert not torch.equal(before[2].weight, model[2].weight)


def test_a_schedule_that_cannot_know_its_length_fails_at_once() -> None:
    with pytest.raises(UserError, match=r"schedule\.over = None"):
        optimizer_for(network(), schedule=Schedule("linear", unit="env_steps"))


def test_stop_names_the_update_and_the_parameter_and_leaves_everything_untouched() -> None:
    model = network()
    optimizer = optimizer_for(model, ema_decay=0.9)
    train(model, optimizer, 0, 2)
    before, state = copy.deepcopy(model), copy.deepcopy(optimizer.state_dict())
    with pytest.raises(NonFinite, match=r"^update 8: the norm of the gradient is not finite for 2\.weight$"):
        optimizer.step(poisoned(model, 2), data(), Counters(updates=7))
    with pytest.raises(
        NonFinite, match=r"^update 8: the loss is nan; the norm of the gradient is not finite for 0\.weight, .*2\.bias$"
    ) as caught:
        optimizer.step(squared_error(model), {**data(), "y": torch.full((12, 2), torch.nan)}, Counters(updates=7))
    assert caught.value.update == 8
    huge = Gradient([torch.full_like(p, 3e18) for p in model.parameters()], torch.tensor(0.0), {})
    with pytest.raises(NonFinite, match=r"the norm of the whole gradient is not finite"):
        optimizer.apply(huge, Counters())
    assert_same(before, model)
    assert_states_equal(state, optimizer.state_dict())


def test_skip_makes_no_update_and_counts_it() -> None:
    model = network()
    optimizer = optimizer_for(model, on_non_finite="skip", ema_decay=0.9)
    assert optimizer.step(squared_error(model), data(), Counters())["optimizer/skipped_updates"] == Sum(0.0)
    before, state = copy.deepcopy(model), copy.deepcopy(optimizer.state_dict())
    assert optimizer.step(poisoned(model, 0), data(), Counters()) == {"optimizer/skipped_updates": Sum(1.0)}
    assert_same(before, model)
    assert_states_equal(state, optimizer.state_dict())
    train(model, optimizer, 1, 2)
    assert not torch.equal(before[0].weight, model[0].weight)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stop", [0, 3])
def test_resume_continues_to_the_bit(kind: str, stop: int) -> None:
    options: dict[str, Any] = {
        "learning_rate": 1e-2,
        "schedule": Schedule("cosine", warmup=0.1),
        "max_grad_norm": 0.5,
        "ema_decay": 0.9,
        "micro_batches": 2,
        "precision": "bf16" if kind == "adamw" else "float32",
        "rules": (Rule("0.bias", frozen=True), Rule("*.weight", kind=kind), Rule("*", kind="sgd")),
    }
    if kind != "adamw":
        options["momentum"] = 0.9
    whole = network()
    uninterrupted = optimizer_for(whole, **options)
    train(whole, uninterrupted, 0, 6)

    first = network()
    before = optimizer_for(first, **options)
    train(first, before, 0, stop)
    saved, weights = copy.deepcopy(before.state_dict()), copy.deepcopy(first.state_dict())
    resumed = network(seed=9)
    resumed.load_state_dict(weights)
    after = optimizer_for(resumed, **options)
    after.load_state_dict(saved)
    untouched = copy.deepcopy(saved)
    train(resumed, after, stop, 6)
    assert_same(whole, resumed)
    assert_states_equal(uninterrupted.state_dict(), after.state_dict())
    assert_states_equal(untouched, saved)  # what was loaded is not shared


def test_averages_follow_the_closed_form_and_swap_back_to_the_bit() -> None:
    model, decay = network(), 0.8
    optimizer = optimizer_for(model, learning_rate=0.05, ema_decay=decay)
    path = [model[0].weight.detach().clone()]
    for update in range(6):
        train(model, optimizer, update, update + 1)
        path.append(model[0].weight.detach().clone())
    expected = decay**6 * path[0] + sum((1 - decay) * decay ** (6 - i) * path[i] for i in range(1, 7))
    before = copy.deepcopy(model)
    address = model[0].weight.data_ptr()
    with optimizer.averaged():
        torch.testing.assert_close(model[0].weight.detach(), expected)
        assert model[0].weight.data_ptr() == address  # views of the parameters see the averages
    assert_same(before, model)
    with pytest.raises(ZeroDivisionError), optimizer.averaged():
        raise ZeroDivisionError
    assert_same(before, model)


def test_without_averages_averaged_changes_nothing() -> None:
    model = network()
    before = copy.deepcopy(model)
    with optimizer_for(model).averaged():
        assert_same(before, model)


def test_fp16_finds_its_loss_scale_and_resumes_with_it() -> None:
    model = network()
    optimizer = optimizer_for(model, kind="sgd", learning_rate=1e-3, precision="fp16")
    large = {**data(), "y": data()["y"] * 100.0}  # the first loss scale of 65536 overflows
    before = copy.deepcopy(model)
    skipped = [optimizer.step(squared_error(model), large, Counters()) for _ in range(20)]
    assert skipped[0] == {"optimizer/skipped_updates": Sum(1.0)}
    assert skipped[-1]["optimizer/skipped_updates"] == Sum(0.0)
    assert not torch.equal(before[0].weight, model[0].weight)
    state = optimizer.state_dict()
    assert state["loss_scale"]["scale"] < 65536.0
    other = optimizer_for(copy.deepcopy(model), kind="sgd", learning_rate=1e-3, precision="fp16")
    other.load_state_dict(state)
    assert_states_equal(state, other.state_dict())
    with pytest.raises(NonFinite, match="the loss is nan"):
        optimizer.step(squared_error(model), {**data(), "y": torch.full((12, 2), torch.nan)}, Counters())


def test_fp16_gradients_are_those_of_float32_without_the_scale() -> None:
    half, full = network(), network()
    a = optimizer_for(half, precision="fp16", micro_batches=2).gradient(squared_error(half), data())
    b = optimizer_for(full).gradient(squared_error(full), data())
    for x, y in zip(a.values, b.values, strict=True):
        torch.testing.assert_close(x, y, rtol=2e-2, atol=2e-3)


def test_several_optimizers_cover_every_parameter_exactly_once() -> None:
    model = network()
    first = Optimizer({f"0.{k}": p for k, p in model[0].named_parameters()}, OptimizerConfig(), until=UNTIL, name="a")
    second = Optimizer({f"2.{k}": p for k, p in model[2].named_parameters()}, OptimizerConfig(), until=UNTIL, name="b")
    check_coverage(model, [first, second])
    with pytest.raises(UserError, match=r"parameter '2\.weight' belongs to no optimizer"):
        check_coverage(model, [first])
    with pytest.raises(UserError, match=r"parameter '0\.weight' belongs to a and c"):
        check_coverage(model, [first, second, optimizer_for(model, name="c")])
    assert "b/gradient_norm" in second.step(squared_error(model), data(), Counters())
