"""Numbers as a person writes and reads them."""

from __future__ import annotations

import pytest

from training.numbers import duration, short, unscaled


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("100k", "100000"),
        ("2.5M", "2500000"),
        ("1G", "1000000000"),
        ("-3K", "-3000"),
        (".5k", "500"),
        ("1.2345k", "1234.5"),
        ("0.1m", "100000"),
        ("1e6", "1e6"),
        ("k", "k"),
        ("10kk", "10kk"),
        ("CartPole-v1", "CartPole-v1"),
        ("nan", "nan"),
        ("", ""),
    ],
)
def test_letters_after_a_number_scale_it_exactly_and_other_texts_stay(text: str, plain: str) -> None:
    assert unscaled(text) == plain


def test_what_is_short_can_be_read_again() -> None:
    assert [short(number) for number in (7, 0.01234, 412.34, 124_000, 1_250_000, 3e9)] == [
        "7",
        "0.0123",
        "412.3",
        "124k",
        "1.25M",
        "3.00G",
    ]
    for number in (0, 25, 12_500, 200_000, 1_000_000):
        assert float(unscaled(short(number))) == number


def test_a_duration_is_read_as_a_clock_and_from_a_day_on_in_days() -> None:
    assert [duration(seconds) for seconds in (0, 65, 7200, 277_200)] == ["0:00", "1:05", "2:00:00", "3d 5h"]
