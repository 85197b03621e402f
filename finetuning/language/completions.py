"""The stream of learning from one's own words: prompts, completions by the newest weights, and their rewards."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Generator, Tensor

from finetuning.language.dialogue import TemplateConfig
from pretraining.sampling import CausalModel, SamplingConfig, sample
from training.core import Batch, Counters
from training.data.dataset import Dataset
from training.data.streams import Shuffled
from training.errors import UserError, require
from training.metrics import Mean, Metrics
from training.seeding import generator
from training.state import State

Verify: TypeAlias = Callable[[str, str], float]
"""The reward of a completion, by the prompt and what was completed. A pure function."""


@dataclass(frozen=True)
class CompletionsConfig:
    """How much is said to how many prompts before anything is learned from it.

    All is drawn at temperature 1 among all tokens: only then is what is drawn what the loss takes it for.
    """

    prompts: int = 32
    """Of an iteration."""
    completions: int = 16
    """Of each prompt: its group."""
    max_tokens: int = 32
    passes: int = 1
    """How often an iteration is learned from."""
    refills: int = 0
    """How many times more as many prompts are drawn, at most, while groups are missing whose rewards differ: others
    teach nothing. Dynamic sampling (Yu et al. 2025, https://arxiv.org/abs/2503.14476, section 3.2)."""

    def __post_init__(self) -> None:
        for name in ("prompts", "max_tokens", "passes"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        require(self.completions >= 2, "completions", self.completions, "at least 2: one has nothing to differ from")
        require(self.refills >= 0, "refills", self.refills, "at least 0")


class Completions:
    """Minibatches of whole groups, from an iteration that is drawn when the one before is learned from.

    | key | shape | what it is |
    |---|---|---|
    | `tokens`, `is_completion`, `log_prob` | [B, L] | as `pretraining.sampling.Sampled` has them |
    | `reward` | [B] | float32, by the verifier |
    | `group` | [B] | the number of the prompt: those of one number answer the same |
    | `truncated` | [B] | whether the completion was cut |

    What is left of an iteration is a part of the state: a run that ended in its midst goes on with the same words.
    Raises UserError for a verifier that gives no finite number, and for a prompt that exceeds the context.
    """

    def __init__(
        self,
        model: CausalModel,
        prompts: Dataset,
        verify: Verify,
        config: CompletionsConfig,
        template: TemplateConfig,
        *,
        groups: int,
        seed: int,
    ) -> None:
        takes = f"1 to {config.prompts}, the prompts of an iteration"
        require(1 <= groups <= config.prompts, "minibatch_size", groups, takes)
        self._model, self._verify, self._config, self._template = model, verify, config, template
        self._prompts = Shuffled(prompts, config.prompts, seed=seed)
        self._groups, self._seed = groups, seed
        self._iteration = 0
        self._pool: Batch = {}
        self._left: list[Tensor] = []
        """The groups of each minibatch that is to come."""

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        measured: Metrics = {}
        if not self._left:
            now, measured = self._draw(now)
        groups, *self._left = self._left
        rows = torch.isin(self._pool["group"], groups)
        batch = {key: value[rows] for key, value in self._pool.items()}
        used = int(batch["is_completion"].any(0).nonzero().max()) + 1
        for key in ("tokens", "is_completion", "log_prob"):
            batch[key] = batch[key][:, :used]
        return batch, now.advance(samples=int(rows.sum())), measured

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back: the weights that draw are those that learn."""

    def _draw(self, now: Counters) -> tuple[Counters, Metrics]:
        """A new iteration, and the orders in which it is learned from."""
        rng = generator(self._seed, "completions", self._iteration)
        drawn: list[Batch] = []
        count = with_signal = 0
        for _ in range(1 + self._config.refills):
            asked, after, _ = self._prompts.next(now)
            now = now.advance(epochs=after.epochs - now.epochs)
            batch = complete_prompts(
                self._model, read_prompts(asked), self._verify, rng, self._template,
                completions=self._config.completions, how=SamplingConfig(max_tokens=self._config.max_tokens),
            )  # fmt: skip
            batch["group"] += count
            count += len(asked["prompt"])
            with_signal += int(teaches(batch).sum())
            drawn.append(batch)
            if with_signal >= self._config.prompts:
                break
        self._iteration += 1
        pool = joined(drawn)
        measured: Metrics = {
            "completions/reward_mean": Mean(float(pool["reward"].mean()), len(pool["reward"])),
            "completions/length_tokens": Mean(float(pool["is_completion"].sum(1).float().mean()), len(pool["reward"])),
            "completions/truncated_fraction": Mean(float(pool["truncated"].float().mean()), len(pool["reward"])),
            "completions/groups_with_signal_fraction": Mean(with_signal / count, count),
            "completions/tokens_drawn": Mean(float(pool["is_completion"].sum())),
        }
        if self._config.refills and with_signal:
            kept = pool["group"].unique()[teaches(pool)][: self._config.prompts]
            pool = {key: value[torch.isin(pool["group"], kept)] for key, value in pool.items()}
        self._pool = pool
        numbers = pool["group"].unique()
        parts = max(1, round(len(numbers) / self._groups))
        for _ in range(self._config.passes):
            self._left += numbers[torch.randperm(len(numbers), generator=rng)].tensor_split(parts)
        return now, measured

    def state_dict(self) -> State:
        return {
            "prompts": self._prompts.state_dict(),
            "iteration": self._iteration,
            "pool": dict(self._pool) if self._left else {},
            "left": list(self._left),
        }

    def load_state_dict(self, state: State) -> None:
        self._prompts.load_state_dict(state["prompts"])
        self._iteration, self._pool, self._left = state["iteration"], dict(state["pool"]), list(state["left"])


def teaches(batch: Batch) -> Tensor:
    """Whether the rewards of a group differ [groups], in the order of their numbers."""
    numbers, place = batch["group"].unique(return_inverse=True)
    lowest, highest = (
        torch.zeros(len(numbers)).scatter_reduce(0, place, batch["reward"], how, include_self=False)
        for how in ("amin", "amax")
    )
    return highest > lowest


def complete_prompts(
    model: CausalModel,
    prompts: Sequence[str],
    verify: Verify,
    rng: Generator,
    template: TemplateConfig,
    *,
    completions: int,
    how: SamplingConfig,
) -> Batch:
    """So many completions of each prompt [B = prompts x completions] with their rewards, by prompt."""
    tokenizer = model.tokenizer
    asked = [template.asked(tokenizer, prompt) for prompt in prompts for _ in range(completions)]
    drawn = sample(model, asked, rng, how)
    rewards = []
    for row in range(len(asked)):
        words = drawn.tokens[row][drawn.is_completion[row]].tolist()
        text = tokenizer.decode(words[:-1] if words[-1] == tokenizer.end else words)
        prompt = prompts[row // completions]
        # What was cut has not ended: nothing says that it would have ended there.
        rewards.append(0.0 if drawn.truncated[row] else verify(prompt, text))
        if not math.isfinite(rewards[-1]):
            raise UserError(f"the verifier gives {rewards[-1]} for {text!r} after {prompt!r}: it takes a finite number")
    return {
        "tokens": drawn.tokens,
        "is_completion": drawn.is_completion,
        "log_prob": drawn.log_prob,
        "reward": torch.tensor(rewards, dtype=torch.float32),
        "group": torch.arange(len(prompts)).repeat_interleave(completions),
        "truncated": drawn.truncated,
    }


def joined(batches: Sequence[Batch]) -> Batch:
    """Batches one below the other; shorter ones get behind them what has no meaning."""
    longest = max(batch["tokens"].shape[1] for batch in batches)

    def widened(value: Tensor) -> Tensor:
        if value.dim() == 1:
            return value
        filled = value[:, -1:].expand(-1, longest - value.shape[1])
        return torch.cat([value, filled if value.dtype == torch.int64 else torch.zeros_like(filled)], dim=1)

    return {key: torch.cat([widened(batch[key]) for batch in batches]) for key in batches[0]}


def measure_solved(
    model: Any,
    prompts: Sequence[str],
    verify: Verify,
    template: TemplateConfig,
    *,
    max_tokens: int,
    samples: int = 0,
    seed: int = 0,
) -> dict[str, float]:
    """How many of the prompts the likeliest tokens solve; with samples also the mean reward of what is drawn, and how
    many prompts one of `samples` completions solves.
    """
    rng = generator(seed, "measured completions")
    greedy = SamplingConfig(temperature=0.0, max_tokens=max_tokens)
    found = complete_prompts(model, prompts, verify, rng, template, completions=1, how=greedy)
    measured = {"greedy_accuracy": float(found["reward"].mean())}
    if samples:
        how = SamplingConfig(max_tokens=max_tokens)
        reward = complete_prompts(model, prompts, verify, rng, template, completions=samples, how=how)["reward"]
        solved = reward.view(-1, samples).amax(1) > 0
        measured |= {"sampled_accuracy": float(reward.mean()), f"pass_at_{samples}": float(solved.float().mean())}
    return measured


def read_prompts(batch: Batch) -> list[str]:
    """The texts of `prompt` [B, bytes] uint8."""
    return [bytes(row.tolist()).rstrip(b"\0").decode() for row in batch["prompt"]]


def prompts_of(texts: Sequence[str], source: str) -> Dataset:
    """`prompt` [S, bytes] uint8: UTF-8 with zeros behind. `read_prompts` gives the texts back."""
    encoded = [text.encode() for text in texts]
    width = max(map(len, encoded), default=0)
    rows = [np.frombuffer(text.ljust(width, b"\0"), np.uint8) for text in encoded]
    return Dataset({"prompt": np.array(rows)}, {}, source)
