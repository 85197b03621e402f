"""Secure aggregation: the sum to the integer with and without dropouts, and what nobody gets to see."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag

from regimes.secure_sum import (
    Numbers,
    Party,
    Revealed,
    common_key,
    from_numbers,
    majority,
    secure_sum,
    stream,
    to_numbers,
    unmask,
)
from training.errors import UserError


def numbers_of(count: int, size: int = 300) -> dict[int, Numbers]:
    rng = np.random.default_rng(0)
    return {party: rng.integers(0, 2**64, size, dtype=np.uint64) for party in range(1, count + 1)}


@pytest.mark.parametrize("gone", [(), (1,), (2, 5), (6,)])
def test_the_sum_is_that_of_all_that_are_there_to_the_integer(gone: tuple[int, ...]) -> None:
    values = numbers_of(6)
    wanted = np.sum([own for party, own in values.items() if party not in gone], axis=0, dtype=np.uint64)
    assert np.array_equal(secure_sum(values, 4, gone), wanted)


def test_too_few_parties_and_thresholds_of_half_are_told() -> None:
    values = numbers_of(6)
    with pytest.raises(UserError, match="secure sum: 3 of 6 parties are left, and threshold = 4"):
        secure_sum(values, 4, (1, 2, 3))
    for threshold in (3, 7):
        with pytest.raises(UserError, match=f"threshold = {threshold}: it takes 4 to 6, more than half of the 6"):
            secure_sum(values, threshold)


def begun(count: int, threshold: int) -> tuple[dict[int, Party], dict[int, dict[int, bytes]]]:
    """Parties that have sent their shares, and what each of them received."""
    parties = {number: Party(number, threshold) for number in range(1, count + 1)}
    keys = {number: party.keys for number, party in parties.items()}
    sent = {number: party.shares_for_others(keys) for number, party in parties.items()}
    return parties, {
        number: {other: told[number] for other, told in sent.items() if other != number} for number in parties
    }


def test_what_the_server_gets_of_one_party_looks_like_noise_and_is_other_noise_in_the_next_sum() -> None:
    values = np.zeros(4_000, np.uint64)
    seen = []
    for _ in range(2):
        parties, received = begun(3, 2)
        seen.append(parties[1].masked(values, received[1]))
    for one in seen:
        bits = np.unpackbits(one.view(np.uint8))
        assert abs(bits.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(bits))
    assert np.mean(seen[0] == seen[1]) == 0


def test_the_sum_of_masked_numbers_is_noise_until_it_is_unmasked() -> None:
    """Also without a dropout: the own masks are what keeps a late party's numbers, which were taken as gone."""
    parties, received = begun(3, 2)
    masked = {number: party.masked(np.zeros(50, np.uint64), received[number]) for number, party in parties.items()}
    assert np.any(np.sum(list(masked.values()), axis=0, dtype=np.uint64) != 0)
    keys = {number: party.keys for number, party in parties.items()}
    revealed = [party.reveal([1, 2, 3]) for party in parties.values()]
    assert np.all(unmask(masked, keys, revealed, 2) == 0)
    without_seeds = [Revealed(one.by, {}, one.mask_keys) for one in revealed]
    assert np.all(unmask(masked, keys, without_seeds, 2) != 0)


def test_a_party_masks_and_reveals_once_and_never_both_secrets_of_one() -> None:
    parties, received = begun(3, 2)
    parties[1].masked(np.zeros(3, np.uint64), received[1])
    with pytest.raises(RuntimeError, match="masks its numbers once"):
        parties[1].masked(np.ones(3, np.uint64), received[1])
    with pytest.raises(RuntimeError, match="1 parties are there, and the threshold is 2"):
        parties[1].reveal([1])
    told = parties[1].reveal([1, 2])
    assert (set(told.seeds), set(told.mask_keys)) == ({1, 2}, {3})
    with pytest.raises(RuntimeError, match="reveals once"):
        parties[1].reveal([1, 3])


def test_shares_can_be_read_by_no_other_party() -> None:
    parties, received = begun(3, 2)
    with pytest.raises(InvalidTag):
        parties[3].masked(np.zeros(3, np.uint64), {1: received[2][1]})


def test_two_parties_agree_on_a_key_and_a_key_on_a_mask() -> None:
    one, other = Party(1, 1), Party(2, 1)
    agreed = common_key(one._mask_key, other.keys.mask)
    assert agreed == common_key(other._mask_key, one.keys.mask) != common_key(one._message_key, other.keys.mask)
    # RFC 8439, appendix A.1, test vector 1: the key stream of a key of zeros.
    assert stream(bytes(32), 2).tobytes().hex() == "76b8e0ada0f13d90405d6ae55386bd28"


def test_real_numbers_come_back_to_the_last_place_and_those_too_large_are_told() -> None:
    values = np.array([-3.25, 0.0, 1e-7, 12345.678])
    assert from_numbers(to_numbers(values, 10)) == pytest.approx(values, abs=2**-24)
    total = from_numbers(to_numbers(values, 2) + to_numbers(-values, 2))
    assert np.all(total == 0)
    for bad in (1e12, np.nan, np.inf):
        with pytest.raises(UserError, match="with 10 parties it takes numbers below"):
            to_numbers(np.array([bad]), 10)
    assert [majority(count) for count in (1, 2, 3, 16)] == [1, 2, 2, 9]
