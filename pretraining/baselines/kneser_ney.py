"""The baseline of every language model: interpolated modified Kneser-Ney (Chen and Goodman 1999, "An empirical study of
smoothing techniques for language modeling", Computer Speech and Language 13, section 3 and equation 26).

All orders are counted and looked up as sorted arrays of n-grams, which are numbers with one digit for each token.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data.corpus import TokenizedCorpus, Tokens
from training.errors import require

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Order:
    """What is known of the n-grams of one length."""

    grams: Numbers  # [G] sorted
    discounted: Floats  # [G] count less discount
    contexts: Numbers  # [C] sorted: what stands before the last token
    totals: Floats  # [C] the counts of all that followed
    left: Floats  # [C] the sum of what was discounted


class KneserNey:
    """Probabilities of tokens after the `order` - 1 before them.

    Args:
        tokens: a packed array to learn from, see `training/data/corpus.py`; no n-gram reaches across an end token,
            which also stands for what there is before a document.
        size: of the vocabulary.
        end: the end token.
        order: the longest n-gram.
    """

    def __init__(self, tokens: Tokens, *, size: int, end: int, order: int = 5) -> None:
        digits = int(62 / np.log2(size))  # what 63 bits hold
        require(1 <= order <= digits, "order", order, f"1 to {digits}, with a vocabulary of {size}")
        self._size, self._end = size, end
        grams = [self._grams(tokens, length) for length in range(1, order + 1)]
        self._orders = [_learn(counts, kinds, size) for kinds, counts in self._counted(grams) if len(kinds)]

    def log_prob(self, tokens: Tokens) -> Floats:
        """Of every token of a packed array but the first: [len(tokens) - 1], in nats.

        Equation 26: p(w | h) = (c(h w) - D) / c(h .) + left(h) / c(h .) * p(w | h less its first token), where the
        counts below the highest order are those of distinct tokens before the n-gram. The lowest order is mixed with
        the uniform distribution.
        """
        probability = np.full(len(tokens) - 1, 1 / self._size)
        for length, order in enumerate(self._orders, start=1):
            grams = self._grams(tokens, length)
            row, known = _find(order.contexts, grams // self._size)
            place, counted = _find(order.grams, grams)
            discounted = np.where(counted, order.discounted[place], 0.0)
            mixed = (discounted + order.left[row] * probability) / order.totals[row]
            probability = np.where(known, mixed, probability)
        log: Floats = np.log(probability)
        return log

    def _grams(self, tokens: Tokens, length: int) -> Numbers:
        """The n-gram that ends with each token but the first."""
        places = np.arange(len(tokens))
        begins = np.maximum.accumulate(np.where(tokens == self._end, places, 0))[:-1]  # of the token's document
        grams = np.zeros(len(tokens) - 1, np.int64)
        for back in range(length - 1, 0, -1):
            grams = grams * self._size + tokens[np.maximum(places[1:] - back, begins)]
        return grams * self._size + tokens[1:]

    def _counted(self, grams: list[Numbers]) -> list[tuple[Numbers, Numbers]]:
        """For each length the distinct n-grams and their counts: at the highest order how often each one is there.

        Below it, how many different tokens there are before it, but for those at the beginning of a document, before
        which there is nothing: how often these are there.
        """
        counted = [np.unique(grams[-1], return_counts=True)]
        for length in range(len(grams) - 1, 0, -1):
            longer, _ = counted[0]
            kinds, before = np.unique(longer % self._size**length, return_counts=True)
            if length > 1:
                known, times = np.unique(grams[length - 1], return_counts=True)
                at_beginning = known // self._size ** (length - 1) == self._end
                before[at_beginning] = times[at_beginning]
            counted.insert(0, (kinds, before))
        return counted


def kneser_ney_loss(corpus: TokenizedCorpus, context: int) -> float:
    """The loss of the 5-gram model in nats, on the tokens of the test split that a language model is measured on."""
    size, end = corpus.tokenizer.size, corpus.tokenizer.end
    model = KneserNey(corpus.splits["train"], size=size, end=end)
    test = corpus.splits["test"]
    measured = (len(test) - 1) // context * context
    return -float(np.mean(model.log_prob(test)[:measured]))


def _learn(counts: Numbers, grams: Numbers, size: int) -> Order:
    of_contexts = grams // size
    contexts, first = np.unique(of_contexts, return_index=True)
    lost = _discounts(counts)[np.minimum(counts, 3)]
    return Order(
        grams,
        counts - lost,
        contexts,
        np.add.reduceat(counts, first).astype(np.float64),
        np.add.reduceat(lost, first),
    )


def _discounts(counts: Numbers) -> Floats:
    """What is taken off a count of 0, 1, 2, and 3 or more (equation 17 of their technical report TR-10-98).

    Where too few n-grams are counted to estimate them, 0.5, 1 and 1.5, as KenLM's `--discount_fallback` has them: so
    too where an estimate is not above 0, since a context whose counts all stay whole leaves nothing to unseen tokens.
    """
    n1, n2, n3, n4 = (int((counts == number).sum()) for number in (1, 2, 3, 4))
    fallback = np.array([0.0, 0.5, 1.0, 1.5])
    if 0 in (n1, n2, n3, n4):
        return fallback
    y = n1 / (n1 + 2 * n2)
    discounts = np.array([0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    return discounts if discounts[1:].min() > 0 else fallback


def _find(ordered: Numbers, wanted: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
    """Where each of `wanted` is, and whether it is there at all."""
    place = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return place, ordered[place] == wanted
