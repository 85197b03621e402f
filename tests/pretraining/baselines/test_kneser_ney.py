"""The baseline of language models: by hand, as a distribution, and on text whose next token is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pretraining.baselines.kneser_ney import KneserNey
from training.data.corpus import Tokens
from training.errors import UserError

END, A, B, C = 0, 1, 2, 3


def packed(*documents: list[int]) -> Tokens:
    return np.array([END, *(token for document in documents for token in [*document, END])], np.int32)


def test_bigrams_by_hand() -> None:
    """Two documents, "a b a c" and "a b": too few n-grams to estimate discounts, which are 0.5, 1 and 1.5 then.

    Bigrams: (end a) 2, (a b) 2, (b a) 1, (a c) 1, (c end) 1, (b end) 1. Tokens before each: end 2 (c, b), a 2 (end, b),
    b 1 (a), c 1 (a): six in all, of which 1 + 1 + 0.5 + 0.5 is left over for the uniform distribution over four.
    """
    model = KneserNey(packed([A, B, A, C], [A, B]), size=4, end=END, order=2)
    left = 3 / 6 / 4
    single = {END: 1 / 6 + left, A: 1 / 6 + left, B: 0.5 / 6 + left, C: 0.5 / 6 + left}
    assert sum(single.values()) == pytest.approx(1)
    expected = {
        (END, A): (2 - 1) / 2 + 1 / 2 * single[A],
        (END, B): 1 / 2 * single[B],
        (A, B): (2 - 1) / 3 + 1.5 / 3 * single[B],
        (A, C): (1 - 0.5) / 3 + 1.5 / 3 * single[C],
        (A, A): 1.5 / 3 * single[A],
        (C, END): (1 - 0.5) / 1 + 0.5 / 1 * single[END],
        (C, B): 0.5 / 1 * single[B],
    }
    for (before, token), probability in expected.items():
        assert math.exp(model.log_prob(np.array([before, token], np.int32))[-1]) == pytest.approx(probability)


def test_estimated_discounts_by_hand() -> None:
    """Single tokens: four come once, three twice, two three times, one four times."""
    counts = [1, 1, 1, 1, 2, 2, 2, 3, 3, 4]
    document = [token for token, count in enumerate(counts, start=1) for _ in range(count)]
    model = KneserNey(packed(document), size=20, end=END, order=1)
    n1, n2, n3, n4 = 5, 3, 2, 1  # the end comes once too
    y = n1 / (n1 + 2 * n2)
    one, two, more = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
    total, left = 21, n1 * one + n2 * two + (n3 + n4) * more
    probability = np.exp(model.log_prob(np.arange(20, dtype=np.int32)))
    assert probability[0] == pytest.approx((1 - one) / total + left / total / 20)
    assert probability[4] == pytest.approx((2 - two) / total + left / total / 20)
    assert probability[9] == pytest.approx((4 - more) / total + left / total / 20)
    assert probability[15] == pytest.approx(left / total / 20)


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_the_probabilities_after_any_context_sum_to_one(order: int) -> None:
    rng = np.random.default_rng(1)
    size = 7
    documents = [rng.integers(1, size, rng.integers(1, 40)).tolist() for _ in range(60)]
    model = KneserNey(packed(*documents), size=size, end=END, order=order)
    for _ in range(50):
        context = [END, *rng.integers(1, size, rng.integers(0, 7)).tolist()]
        each = [model.log_prob(np.array([*context, token], np.int32))[-1] for token in range(size)]
        assert np.exp(each).sum() == pytest.approx(1)


def test_lower_orders_count_what_stands_before_and_not_how_often() -> None:
    """ "c" comes often but only after "a", "b" rarely but after everything: after an unknown token "b" is likelier."""
    documents = [[A, C]] * 30 + [[A, B], [4, B], [5, B], [6, B]]
    model = KneserNey(packed(*documents), size=8, end=END, order=2)
    after = {token: model.log_prob(np.array([7, token], np.int32))[-1] for token in (B, C)}
    assert after[B] > after[C]


def test_no_context_reaches_across_the_end_of_a_document() -> None:
    one, other, next_ = [A, B], [C, C], [B, C, A]
    model = KneserNey(packed([A, B, C, A], [C, A, B, B], [B, A, A]), size=4, end=END, order=4)
    after = [model.log_prob(packed(first, next_))[-4:] for first in (one, other)]
    np.testing.assert_array_equal(after[0], after[1])


def test_longer_context_helps_where_it_tells_the_next_token() -> None:
    rng = np.random.default_rng(1)
    words = [rng.integers(1, 10, 4).tolist() for _ in range(12)]

    def text(count: int) -> list[int]:
        return [token for word in rng.integers(0, 12, count) for token in words[word]]

    train, test = packed(text(400)), packed(text(100))
    losses = [-KneserNey(train, size=10, end=END, order=order).log_prob(test).mean() for order in (1, 2, 3, 4)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2


def test_an_order_that_does_not_fit_is_told() -> None:
    with pytest.raises(UserError, match="order = 5: it takes 1 to 3, with a vocabulary of 1000000"):
        KneserNey(packed([A]), size=1_000_000, end=END)


SMALL_DOCUMENTS = st.lists(st.lists(st.integers(1, 4), max_size=12), max_size=6)


@settings(max_examples=200, deadline=None)
@given(documents=SMALL_DOCUMENTS, order=st.integers(1, 5), context=st.lists(st.integers(1, 5), max_size=6))
@example(
    [[1], *[[2]] * 2, *[[3], [4], [5]] * 3, *[[6]] * 4], 2, [2]
)  # so many threes that the discount of 2 would be -1
@example([], 3, [])
def test_every_token_has_a_chance_however_little_was_read(
    documents: list[list[int]], order: int, context: list[int]
) -> None:
    size = 8
    model = KneserNey(packed(*documents), size=size, end=END, order=order)
    each = np.array([model.log_prob(np.array([END, *context, token], np.int32))[-1] for token in range(size)])
    assert np.isfinite(each).all()
    assert np.exp(each).sum() == pytest.approx(1)
