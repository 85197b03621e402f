"""DPO and IPO: the papers' equations, TRL's loss, parts of a batch, and that they learn to prefer."""

from __future__ import annotations

import math
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from experiments.__main__ import main
from finetuning.dpo import DPO, DPOConfig, preference_loss
from finetuning.language.log_probs import token_log_probs
from tests.finetuning.language.test_preferences import pairs
from tests.support.counting import result_of
from tests.support.language_models import speller
from tests.support.packages import needs
from training.core import Budget, Counters
from training.errors import UserError
from training.optimizer import OptimizerConfig

UNTIL = Budget(100, "updates")
RESUMED = {  # two stages: what pairs are made of, and learning from them
    "dpo_countdown": [
        *("--data.task", "sorting", "--data.train", "60", "--data.demonstrations", "60", "--data.held-out", "16"),
        *("--model.width", "32", "--model.layers", "1", "--model.heads", "2", "--tries", "4", "--sft.steps", "250"),
        *("--sft.threads", "1", "--sft.minibatch-size", "32", "--sft.test-samples", "2", "--minibatch-size", "4"),
        *("--sft.checkpoint.every.count", "90", "--epochs", "40"),
    ],
}


def test_the_loss_is_equation_7_and_equation_17() -> None:
    chosen, rejected = torch.tensor([0.5, -1.0, 2.0]), torch.tensor([-0.5, 1.0, 2.0])
    loss = preference_loss(chosen, rejected, DPOConfig(beta=0.3))
    expected = [-math.log(1 / (1 + math.exp(-0.3 * apart))) for apart in (1.0, -2.0, 0.0)]
    assert float(loss.sum) == pytest.approx(sum(expected))
    assert loss.count == 3
    loss = preference_loss(chosen, rejected, DPOConfig("ipo", beta=0.25))
    assert float(loss.sum) == pytest.approx(sum((apart - 2.0) ** 2 for apart in (1.0, -2.0, 0.0)))


@pytest.mark.full
@needs("trl", "bench")
@pytest.mark.parametrize("kind", ["dpo", "ipo"])
def test_loss_and_gradient_are_trls_on_one_batch(kind: Any) -> None:
    from trl import DPOTrainer

    data = pairs()
    batch = data.gather(torch.arange(len(data)))
    model = speller()
    with torch.no_grad():
        model.embedding.weight.mul_(1.1)
    algorithm = DPO(model, DPOConfig(kind, beta=0.2), until=UNTIL)
    loss = algorithm._loss(batch)
    (loss.sum / loss.count).backward()
    own = {name: weight.grad.clone() for name, weight in model.named_parameters()}
    model.zero_grad()
    tokens = torch.cat([batch["chosen/tokens"], batch["rejected/tokens"]]).long()
    mask = torch.cat([batch["chosen/is_completion"], batch["rejected/is_completion"]])
    chosen, rejected = torch.stack([batch["chosen/reference"], batch["rejected/reference"]])

    def same(value: torch.Tensor) -> torch.Tensor:
        return value

    trainer = SimpleNamespace(
        model=SimpleNamespace(training=True), _metrics={"train": defaultdict(list)}, _tp_size=1, _total_train_tokens=0,
        accelerator=SimpleNamespace(device=tokens.device, gather_for_metrics=same, gather=same),
        precompute_ref_logps=True, ld_alpha=None, f_divergence_type="reverse_kl", use_weighting=False,
        loss_types=["sigmoid" if kind == "dpo" else "ipo"], loss_weights=[1.0], beta=0.2, label_smoothing=0.0,
        aux_loss_enabled=False,
    )  # fmt: skip
    inputs = {
        "input_ids": tokens, "attention_mask": torch.ones_like(tokens), "completion_mask": mask.long(),
        "ref_chosen_logps": chosen, "ref_rejected_logps": rejected,
    }  # fmt: skip

    def network(input_ids: torch.Tensor, **_: Any) -> Any:
        log_prob = (token_log_probs(model, input_ids)[0] * mask)[:, 1:]
        nothing = torch.zeros_like(log_prob)
        return SimpleNamespace(log_probs=log_prob, entropy=nothing, mean_logits=nothing, is_top1=nothing.bool())

    theirs = DPOTrainer._compute_loss(trainer, network, inputs, return_outputs=False)
    theirs.backward()
    torch.testing.assert_close(loss.sum / loss.count, theirs, rtol=1e-5, atol=1e-5)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(own[name], weight.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["dpo", "ipo"])
def test_it_begins_at_the_reference_and_learns_to_prefer(kind: Any) -> None:
    data, model = pairs(), speller()
    config = DPOConfig(kind, optimizer=OptimizerConfig(learning_rate=1e-2))
    algorithm = DPO(model, config, until=UNTIL)
    begin = algorithm.measure(data.batches(2), "test")
    assert begin["margin_nats"] == pytest.approx(0.0, abs=1e-4)
    assert begin["loss"] == pytest.approx(math.log(2) if kind == "dpo" else 25.0, rel=1e-3)
    batch = data.gather(torch.arange(len(data)))
    for _ in range(30):
        algorithm.update(dict(batch), Counters())
    after = algorithm.measure(data.batches(2), "test")
    assert after["preference_accuracy"] == 1.0
    assert after["loss"] < 0.7 * begin["loss"]


def test_parts_of_a_batch_add_up_to_it() -> None:
    data = pairs()
    batch, weights = data.gather(torch.arange(len(data))), []
    for parts in (1, 2):
        model = speller()
        sgd = OptimizerConfig("sgd", learning_rate=0.1, micro_batches=parts)
        DPO(model, DPOConfig(optimizer=sgd), until=UNTIL).update(dict(batch), Counters())
        weights.append(model.embedding.weight.detach().clone())
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-6)


@pytest.mark.full
def test_a_run_has_its_two_stages(tmp_path: Any) -> None:
    asked = [*RESUMED["dpo_countdown"], "--tracker", "none", "--run-dir", str(tmp_path / "run")]
    assert main(["train", "dpo_countdown", *asked]) == 0
    metrics = result_of(tmp_path / "run")["metrics"]
    assert 0 <= metrics["test/preference_accuracy"] <= 1
    assert metrics["comparison/kl_nats_per_token"] > 0
    assert "comparison/points_over_sft" in metrics


def test_what_the_config_does_not_take_is_told() -> None:
    with pytest.raises(UserError, match="beta = 0: it takes a number above 0"):
        DPOConfig(beta=0)
