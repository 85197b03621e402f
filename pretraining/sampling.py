"""Drawing from a language model with a cache: many prompts at once, or one as a stream of text.

A token is drawn by one uniform number, as the first whose cumulated probability exceeds it. Each row has numbers of its
own, so that what it says depends on nothing but its prompt, the weights and the seed: not on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from training.data.corpus import Tokenizer
from training.errors import UserError, require

ROWS_AT_ONCE = 512
"""More take memory and save nothing."""
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class ModelCache(Protocol):
    """What a model remembers of the tokens [B, length] that it has seen."""

    @property
    def length(self) -> int: ...

    def keep(self, rows: Tensor) -> None:
        """From now on row i is the one that was `rows[i]`; a row may come several times, or not at all."""
        ...


class CausalModel(Protocol):
    """A language model, ours or another library's, that goes on from what it has seen."""

    tokenizer: Tokenizer

    def new_cache(self, rows: int, capacity: int) -> ModelCache:
        """For `rows` documents of at most `capacity` tokens."""
        ...

    def __call__(self, tokens: Tensor, cache: Any = None) -> Tensor:  # one that `new_cache` made
        ...

    @property
    def context(self) -> int:
        """Tokens that it looks back on."""
        ...

    @property
    def device(self) -> torch.device: ...


@dataclass(frozen=True)
class SamplingConfig:
    """How tokens are drawn. `top_p` cuts what `top_k` has left."""

    temperature: float = 1.0
    """The logits are divided by it; 0: always the likeliest token."""
    top_k: int | None = None
    """Draw among the k likeliest; None: among all."""
    top_p: float = 1.0
    """Draw among the likeliest that together have this probability (Holtzman et al. 2020, section 3.1)."""
    max_tokens: int = 256

    def __post_init__(self) -> None:
        is_finite = 0.0 <= self.temperature < float("inf")
        require(is_finite, "temperature", self.temperature, "a finite number of at least 0")
        require(self.top_k is None or self.top_k >= 1, "top_k", self.top_k, "at least 1, or None")
        require(0.0 < self.top_p <= 1.0, "top_p", self.top_p, "a number above 0, at most 1")
        require(self.max_tokens >= 1, "max_tokens", self.max_tokens, "at least 1")


GREEDY = SamplingConfig(temperature=0.0)


def next_tokens(logits: Tensor, uniform: Tensor, config: SamplingConfig) -> Tensor:
    """One token [B] for each row of the logits [B, V], by a uniform number [B] float64 in [0, 1) for each."""
    if config.temperature == 0.0:
        return logits.argmax(-1)
    probabilities = (logits.double() / config.temperature).softmax(-1)
    if config.top_k is not None or config.top_p < 1.0:
        probabilities = _likeliest(probabilities, config)
    cumulated = probabilities.cumsum(-1)
    sought = uniform.unsqueeze(-1) * cumulated[:, -1:]
    # The first that exceeds it has a probability above 0; a product that was rounded up finds none.
    last = cumulated.argmax(-1)
    return torch.searchsorted(cumulated, sought, right=True).squeeze(-1).minimum(last)


def _likeliest(probabilities: Tensor, config: SamplingConfig) -> Tensor:
    """The probabilities [B, V] with zeros for what is not drawn among; the likeliest one always is."""
    ordered, tokens = probabilities.topk(min(config.top_k or probabilities.shape[-1], probabilities.shape[-1]))
    ordered = ordered / ordered.sum(-1, keepdim=True)
    before = ordered.cumsum(-1) - ordered
    return torch.zeros_like(probabilities).scatter(-1, tokens, ordered.masked_fill(before >= config.top_p, 0.0))


class Sampled(NamedTuple):
    """Documents [B, L]: the end token, the prompt, the completion with its end token, and end tokens behind it."""

    tokens: Tensor
    """int64."""
    is_completion: Tensor
    """bool: True at the tokens that were drawn, the one that ends the completion included."""
    log_prob: Tensor
    """float32: of the tokens that were drawn by the model itself, at temperature 1 among all; 0 elsewhere."""
    truncated: Tensor
    """[B] bool: cut after `max_tokens`."""


@torch.no_grad()
def sample(
    model: CausalModel,
    prompts: Sequence[Sequence[int]],
    rng: Generator,
    config: SamplingConfig,
    *,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Sampled:
    """A completion of each prompt, in their order.

    Prompts of like lengths are drawn together. All begin at the first position and walk in step: a row whose prompt
    goes on is given its next token where another draws one. So nothing is padded and no position is shifted.

    Raises UserError where a prompt and `max_tokens` exceed the context.
    """
    longest = 1 + max(map(len, prompts)) + config.max_tokens
    most = config.max_tokens + model.context + 1 - longest  # the last token of all is not looked back on
    takes = f"at most {most}: the context has {model.context} tokens"
    require(config.max_tokens <= most, "max_tokens", config.max_tokens, takes)
    end, rows = model.tokenizer.end, len(prompts)
    uniform = torch.rand(rows, config.max_tokens, generator=rng, dtype=torch.float64)
    found = Sampled(
        torch.full((rows, longest), end),
        torch.zeros(rows, longest, dtype=torch.bool),
        torch.zeros(rows, longest),
        torch.zeros(rows, dtype=torch.bool),
    )
    for row, prompt in enumerate(prompts):
        found.tokens[row, 1 : 1 + len(prompt)] = torch.as_tensor(prompt)
    lengths = torch.tensor([1 + len(prompt) for prompt in prompts])
    for bucket in lengths.argsort(stable=True).split(rows_at_once):
        _walk(model, found, bucket, lengths[bucket], uniform[bucket], config)
    used = int(found.is_completion.any(0).nonzero().max()) + 1
    return Sampled(found.tokens[:, :used], found.is_completion[:, :used], found.log_prob[:, :used], found.truncated)


def _walk(
    model: CausalModel, found: Sampled, rows: Tensor, lengths: Tensor, uniform: Tensor, config: SamplingConfig
) -> None:
    """Draws the completions of the rows [R] of `found`, whose prompts have these lengths [R], and fills them in."""
    end, device = model.tokenizer.end, model.device
    first, stop = int(lengths.min()), int(lengths.max()) + config.max_tokens
    # A prompt that comes several times is read once.
    new, copies = found.tokens[rows, :first].unique(dim=0, return_inverse=True)
    cache = model.new_cache(len(new), stop)
    logits = model(new.to(device), cache)[:, -1].float().cpu()[copies]
    cache.keep(copies.to(device))
    live = torch.ones(len(rows), dtype=torch.bool)
    for position in range(first, stop):
        drawn_before = position - lengths
        draws = live & (drawn_before >= 0)
        number = uniform.gather(1, drawn_before.clamp(0, config.max_tokens - 1).unsqueeze(1)).squeeze(1)
        chosen = torch.where(draws, next_tokens(logits, number, config), found.tokens[rows, position])
        log_prob = logits.log_softmax(-1).gather(1, chosen.unsqueeze(1)).squeeze(1)
        found.tokens[rows, position] = chosen
        found.is_completion[rows, position] = draws
        found.log_prob[rows, position] = log_prob * draws
        ended, is_last = draws & (chosen == end), drawn_before == config.max_tokens - 1
        found.truncated[rows[draws & is_last & ~ended]] = True
        live = live & ~ended & ~is_last
        if not live.any():
            return
        if live.sum() <= 0.75 * len(live):  # a copy of the cache costs less than the rows that have ended
            kept = live.nonzero().squeeze(1)
            cache.keep(kept.to(device))
            rows, lengths, uniform, chosen, live = (part[kept] for part in (rows, lengths, uniform, chosen, live))
        logits = model(chosen.unsqueeze(1).to(device), cache)[:, -1].float().cpu()


@torch.no_grad()
def generate(
    model: CausalModel, prompt: Sequence[int], rng: Generator, config: SamplingConfig = SamplingConfig()
) -> Iterator[int]:
    """The tokens that follow the prompt, one by one, until the end token or `max_tokens` of them.

    When the context is full, the model forgets the older half of it.
    """
    known = [model.tokenizer.end, *prompt]
    new, cache = known[-model.context :], model.new_cache(1, model.context)
    for _ in range(config.max_tokens):
        if cache.length + len(new) > model.context:
            new, cache = known[-(model.context // 2 or 1) :], model.new_cache(1, model.context)
        logits = model(torch.tensor([new], device=model.device), cache)[:, -1].float().cpu()
        token = int(next_tokens(logits, torch.rand(1, generator=rng, dtype=torch.float64), config))
        if token == model.tokenizer.end:
            return
        yield token
        known.append(token)
        new = [token]


def stream(
    model: CausalModel,
    prompt: Sequence[int],
    rng: Generator,
    config: SamplingConfig = SamplingConfig(),
    *,
    stop: Sequence[str] = (),
) -> Iterator[str]:
    """The text that follows the prompt, piece by piece; it ends before the first of the words `stop`.

    A piece is held back while it may be the beginning of such a word, or has a character of which bytes are to come.
    """
    require(all(stop), "stop", tuple(stop), "words of at least one character")
    tokens: list[int] = []
    told = 0
    text = ""
    for token in generate(model, prompt, rng, config):
        tokens.append(token)
        text = model.tokenizer.decode(tokens)
        found = [place for word in stop if (place := text.find(word)) >= 0]
        if found:
            text = text[: min(found)]
            break
        sure = len(text) - _held_back(text, stop)
        if sure > told:
            yield text[told:sure]
            told = sure
    if len(text) > told:
        yield text[told:]


def _held_back(text: str, stop: Sequence[str]) -> int:
    """How many of the last characters may still become others, or a stop word."""
    most = len(text) - len(text.rstrip(REPLACEMENT))
    for word in stop:
        most = max(most, max((size for size in range(1, len(word)) if text.endswith(word[:size])), default=0))
    return most


def complete(
    model: CausalModel,
    text: str,
    rng: Generator,
    config: SamplingConfig = SamplingConfig(),
    *,
    stop: Sequence[str] = (),
) -> str:
    """The text and its continuation by the model."""
    return text + "".join(stream(model, model.tokenizer.encode(text), rng, config, stop=stop))


def require_prompt(model: CausalModel, text: str, name: str = "prompt") -> list[int]:
    """The tokens of a prompt. Raises UserError for a text that the tokenizer has no tokens for."""
    try:
        return model.tokenizer.encode(text)
    except UserError as error:
        raise UserError(f"{name} = {text!r}: {error}", key=name) from None
