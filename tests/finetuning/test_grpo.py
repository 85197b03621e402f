"""GRPO: the papers' equations, TRL's loss, parts of a batch, and that it learns what is rewarded."""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from finetuning.grpo import GRPO, GRPOConfig, group_advantages, grpo_loss, token_weights
from finetuning.hugging_face import load_pretrained
from finetuning.language.completions import Completions, CompletionsConfig, prompts_of
from finetuning.language.dialogue import PLAIN
from finetuning.language_model import add_adapters
from finetuning.lora import LoRAConfig
from finetuning.optimizer_rules import LORA_RULES
from tests.support.language_models import TEXTS, llama_checkpoint, speller
from tests.support.packages import needs
from training.core import Batch, Budget, Counters
from training.data.corpus import Tokenizer
from training.errors import UserError
from training.optimizer import OptimizerConfig
from training.seeding import generator

MOST = 6
UNTIL = Budget(100, "updates")
SHORT_STAGES = [
    option
    for stage in ("sft", "rejection", "continued")
    for option in (f"--{stage}.threads", "1", f"--{stage}.checkpoint.every.count", "7", f"--{stage}.test-samples", "2")
]
RESUMED = {  # four stages; iterations of two minibatches, groups that are refilled, a reference
    "grpo_countdown": [
        *("--data.train", "200", "--data.demonstrations", "100", "--data.held-out", "16", "--model.width", "16"),
        *("--model.layers", "1", "--model.heads", "2", "--steps", "40", "--completions.prompts", "6"),
        *("--completions.completions", "4", "--completions.refills", "1", "--completions.passes", "2"),
        *("--minibatch-size", "3", "--test-samples", "2", "--algorithm.kl-coefficient", "0.01"),
        *("--sft.steps", "20", "--rejection.steps", "12", "--continued.steps", "12", "--sft.minibatch-size", "16"),
        *("--continued.minibatch-size", "16", "--rejection.minibatch-size", "3", *SHORT_STAGES),
    ],
}


def drawn(seed: int = 1, rows: int = 8, length: int = 9) -> tuple[torch.Tensor, torch.Tensor, Batch]:
    """Log-probabilities now, entropies, and a batch of groups of four with completions of unequal lengths."""
    rng = generator(seed)
    lengths = torch.randint(1, MOST + 1, (rows, 1), generator=rng)
    places = torch.arange(length).expand(rows, length)
    mask = (places >= 2) & (places < 2 + lengths)
    now = -torch.rand(rows, length, generator=rng) * 3
    batch = {
        "log_prob": now + 0.4 * torch.randn(rows, length, generator=rng),
        "reference": now + 0.4 * torch.randn(rows, length, generator=rng),
        "mask": mask.float(),
        "reward": torch.randint(0, 2, (rows,), generator=rng).float(),
        "group": torch.arange(rows) // 4,
    }
    return now.requires_grad_(), torch.rand(rows, length, generator=rng), batch


def with_weights(batch: Batch, config: GRPOConfig) -> Batch:
    mask = batch["mask"].bool()
    return batch | {
        "weight": token_weights(mask, config.normalization, MOST),
        "even": token_weights(mask, "dapo", MOST),
        "advantage": group_advantages(batch["reward"], batch["group"], config),
    }


CHOICES = {
    "grpo": GRPOConfig(normalization="grpo", divide_by_deviation=True, kl_coefficient=0.04, clip_high=0.2),
    "dapo": GRPOConfig(normalization="dapo", divide_by_deviation=True),
    "dr_grpo": GRPOConfig(),
    "rloo": GRPOConfig(baseline="leave_one_out"),
    "gspo": GRPOConfig(normalization="grpo", ratio="sequence", clip_low=3e-2, clip_high=4e-2),
    "entropy": GRPOConfig(normalization="dapo", entropy_coefficient=0.01),
}


@pytest.mark.parametrize("name", CHOICES)
def test_the_loss_is_the_papers_written_out_token_by_token(name: str) -> None:
    config = CHOICES[name]
    now, entropy, batch = drawn()
    loss = grpo_loss(now, entropy, with_weights(batch, config), config)
    per_row, tokens = [], int(batch["mask"].sum())
    entropies = 0.0
    for row in range(8):
        own = [float(batch["reward"][other]) for other in range(8) if batch["group"][other] == batch["group"][row]]
        mean = sum(own) / 4
        advantage = float(batch["reward"][row]) - mean
        if config.baseline == "leave_one_out":
            advantage = float(batch["reward"][row]) - (sum(own) - float(batch["reward"][row])) / 3
        if config.divide_by_deviation:
            advantage /= (sum((one - mean) ** 2 for one in own) / 3) ** 0.5 + 1e-4
        places = batch["mask"][row].nonzero().squeeze(1).tolist()
        ratios = [float((now[row, place] - batch["log_prob"][row, place]).detach().exp()) for place in places]
        if config.ratio == "sequence":
            product = 1.0
            for ratio in ratios:
                product *= ratio
            ratios = [product ** (1 / len(ratios))] * len(ratios)
        total = 0.0
        for place, ratio in zip(places, ratios, strict=True):
            clipped = min(max(ratio, 1 - config.clip_low), 1 + config.clip_high)
            gained = min(ratio * advantage, clipped * advantage)
            apart = float((batch["reference"][row, place] - now[row, place]).detach())
            penalty = torch.tensor(apart).exp().item() - apart - 1
            total += -gained + config.kl_coefficient * penalty
            entropies += float(entropy[row, place])
        divided_by = {"grpo": 8 * len(places), "dapo": tokens, "dr_grpo": 8 * MOST}[config.normalization]
        per_row.append(total / divided_by)
    expected = sum(per_row) - config.entropy_coefficient * entropies / tokens
    assert float((loss.sum / loss.count).detach()) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.full
@needs("trl", "bench")
@pytest.mark.parametrize("name", ["grpo", "dapo", "dr_grpo", "gspo", "entropy"])
def test_loss_and_gradient_are_trls_on_one_batch(name: str) -> None:
    from trl import GRPOTrainer

    config = CHOICES[name]
    now, entropy, batch = drawn(seed=3)
    data = with_weights(batch, config)
    loss = grpo_loss(now, entropy, data, config)
    (gradient,) = torch.autograd.grad(loss.sum / loss.count, now)
    theirs = now.detach().clone().requires_grad_()
    part = SimpleNamespace(num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x, sync_gradients=False)
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (theirs[:, 2:], entropy[:, 2:], None),
        aux_loss_enabled=False, top_entropy_quantile=1.0, off_policy_mask_threshold=None,
        importance_sampling_level=config.ratio, beta=config.kl_coefficient, loss_type=config.normalization,
        epsilon_low=config.clip_low, epsilon_high=config.clip_high, use_vllm=False,
        args=SimpleNamespace(use_bias_correction_kl=False, delta=None, steps_per_generation=1),
        model=SimpleNamespace(training=True), current_gradient_accumulation_steps=1, max_completion_length=MOST,
        accelerator=part, _metrics={"train": defaultdict(list)}, use_adaptive_entropy=False,
        _entropy_bonus_enabled=config.entropy_coefficient > 0, entropy_coef=config.entropy_coefficient,
    )  # fmt: skip
    inputs = {
        "prompt_ids": torch.zeros(8, 2).long(), "prompt_mask": torch.ones(8, 2).long(),
        "completion_ids": torch.zeros(8, 7).long(), "completion_mask": batch["mask"][:, 2:],
        "advantages": data["advantage"], "old_per_token_logps": batch["log_prob"][:, 2:],
        "ref_per_token_logps": batch["reference"][:, 2:], "num_items_in_batch": batch["mask"].sum(),
    }  # fmt: skip
    reference = GRPOTrainer._compute_loss(trainer, None, inputs)
    reference.backward()
    torch.testing.assert_close(loss.sum / loss.count, reference, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient, theirs.grad, rtol=1e-5, atol=1e-6)


def test_what_is_no_completion_has_no_part_in_anything() -> None:
    config = GRPOConfig(kl_coefficient=0.1, entropy_coefficient=0.1, normalization="dapo")
    now, entropy, batch = drawn()
    outside = batch["mask"] == 0
    changed = batch | {key: batch[key].masked_fill(outside, 9.0) for key in ("log_prob", "reference")}
    one = grpo_loss(now, entropy, with_weights(batch, config), config)
    other = grpo_loss(now, entropy.masked_fill(outside, 7.0), with_weights(changed, config), config)
    assert float(one.sum.detach()) == float(other.sum.detach())
    (gradient,) = torch.autograd.grad(one.sum, now)
    assert not gradient[outside].any()
    assert gradient[~outside].any()


def likes_short(prompt: str, text: str) -> float:
    return float(len(text) <= 1)


def stream_of(model: Any, **changes: Any) -> Completions:
    config = CompletionsConfig(**{"prompts": 4, "completions": 8, "max_tokens": MOST, **changes})
    return Completions(model, prompts_of(["a", "bc", "d"] * 2, "here"), likes_short, config, PLAIN, groups=4, seed=1)


def make(model: Any, config: GRPOConfig, reference: Any = None) -> GRPO:
    return GRPO(model, config, reference=reference, max_tokens=MOST, until=UNTIL, measure=lambda *_: {})


@pytest.mark.parametrize("normalization", ["grpo", "dapo", "dr_grpo"])
def test_parts_of_a_batch_add_up_to_it(normalization: Any) -> None:
    """Token means over unequal parts are where others went wrong."""
    batch, _, _ = stream_of(speller()).next(Counters())
    weights = []
    for parts in (1, 3):
        model = speller()
        sgd = OptimizerConfig("sgd", learning_rate=1.0, micro_batches=parts)
        config = GRPOConfig(normalization=normalization, entropy_coefficient=0.1, kl_coefficient=0.1, optimizer=sgd)
        with torch.no_grad():
            model.embedding.weight.mul_(1.01)  # off the policy that drew
        make(model, config, speller()).update(dict(batch), Counters())
        weights.append(torch.cat([weight.detach().flatten() for weight in model.parameters()]))
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-4, atol=1e-5)


def test_on_the_policy_that_drew_the_ratio_is_one_and_the_entropy_has_a_gradient() -> None:
    model = speller()
    batch, _, _ = stream_of(model).next(Counters())
    metrics, _ = make(model, GRPOConfig(entropy_coefficient=1.0)).update(batch, Counters())
    assert float(metrics["policy/clipped_fraction"].value) < 1e-6
    assert float(metrics["policy/kl_nats"].value) == pytest.approx(0.0, abs=1e-6)
    same = {**batch, "reward": torch.ones_like(batch["reward"])}  # no advantage: only the bonus moves anything
    before = model.embedding.weight.detach().clone()
    make(model, GRPOConfig(entropy_coefficient=1.0)).update(same, Counters())
    assert not torch.equal(before, model.embedding.weight)


def test_completions_that_were_cut_may_be_left_out() -> None:
    batch, _, _ = stream_of(speller(), max_tokens=2).next(Counters())
    assert batch["truncated"].any()
    batch["reward"] = torch.where(batch["truncated"], 1.0, 0.0)
    sgd = OptimizerConfig("sgd", learning_rate=0.1)
    moved = []
    for learns in (True, False):
        model = speller()
        make(model, GRPOConfig(learn_truncated=learns, optimizer=sgd)).update(dict(batch), Counters())
        moved.append(float((model.embedding.weight - speller().embedding.weight).detach().abs().sum()))
    assert 0 < moved[1] < moved[0]


@pytest.mark.parametrize("name", ["dr_grpo", "rloo", "gspo"])
def test_it_learns_what_is_rewarded(name: str) -> None:
    model = speller()
    stream, now, rewards = stream_of(model), Counters(), []
    config = replace(CHOICES[name], clip_low=0.2, clip_high=0.28, optimizer=OptimizerConfig(learning_rate=1e-2))
    algorithm = make(model, config)
    for _ in range(40):
        batch, now, _ = stream.next(now)
        algorithm.update(batch, now)
        now = now.advance(updates=1)
        rewards.append(float(batch["reward"].mean()))
    assert rewards[0] < 0.7
    assert sum(rewards[-5:]) / 5 > 0.9


def test_a_model_of_hugging_face_learns_alike_by_adapters_alone(tmp_path: Path) -> None:
    """The reference is the model as it was; on the policy that drew there is nothing between them."""
    model: Any = load_pretrained(llama_checkpoint(Tokenizer.trained(TEXTS, 280), tmp_path / "llama"))
    reference = copy.deepcopy(model)
    add_adapters(model, LoRAConfig(rank=2, targets=("network.model.layers.*",)), seed=1)
    config = GRPOConfig(kl_coefficient=0.1, optimizer=OptimizerConfig(learning_rate=1e-2, rules=LORA_RULES))
    algorithm, stream, now = make(model, config, reference), stream_of(model), Counters()
    begin = {name: value.detach().clone() for name, value in model.named_parameters()}
    measured = []
    for _ in range(2):
        batch, now, _ = stream.next(now)
        batch["reward"] = torch.arange(len(batch["reward"])).float() % 2
        measured.append(algorithm.update(batch, now)[0])
    assert float(measured[0]["policy/reference_kl_nats"].value) == pytest.approx(0.0, abs=1e-6)
    assert float(measured[0]["policy/kl_nats"].value) == pytest.approx(0.0, abs=1e-6)
    assert float(measured[1]["policy/reference_kl_nats"].value) > 0
    for name, value in model.named_parameters():
        assert torch.equal(value, begin[name]) == (".lora_" not in name)


def test_what_the_config_does_not_take_is_told() -> None:
    with pytest.raises(UserError, match=r"normalization = 'dapo': it takes 'grpo' with ratio = 'sequence'"):
        GRPOConfig(normalization="dapo", ratio="sequence")
    with pytest.raises(UserError, match=r"clip_low = 1.0: it takes a number between 0 and 1"):
        GRPOConfig(clip_low=1.0)
    with pytest.raises(UserError, match="kl_coefficient = -1: it takes a number of at least 0"):
        GRPOConfig(kl_coefficient=-1)
