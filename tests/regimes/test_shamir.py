"""Shamir's shares: enough of them give the secret, too few fit every secret alike."""

from __future__ import annotations

from itertools import combinations

import pytest

from regimes.shamir import PRIME, recover, share


def test_any_three_of_five_shares_give_the_secret_and_two_do_not() -> None:
    secret = 2**255 - 19
    shares = share(secret, 5, 3)
    for chosen in combinations(shares.items(), 3):
        assert recover(dict(chosen)) == secret
    assert recover(shares) == secret
    assert all(recover(dict(chosen)) != secret for chosen in combinations(shares.items(), 2))


def test_for_two_shares_there_is_a_third_for_every_secret() -> None:
    """So they say nothing: a polynomial of degree 2 goes through both and any value at 0."""
    shares = share(1, 3, 3)
    for secret in (0, 7, PRIME - 1):
        given = {1: shares[1], 2: shares[2]}
        # The value at 3 of the polynomial through (0, secret), (1, given), (2, given), by Lagrange.
        third = (secret - 3 * given[1] + 3 * given[2]) % PRIME
        assert recover(given | {3: third}) == secret


def test_the_same_secret_has_other_shares_each_time() -> None:
    assert share(5, 3, 2) != share(5, 3, 2)
    assert share(5, 3, 1) == {1: 5, 2: 5, 3: 5}


@pytest.mark.parametrize(("secret", "parties", "threshold"), [(PRIME, 3, 2), (-1, 3, 2), (1, 3, 4), (1, 3, 0)])
def test_what_does_not_fit_is_refused(secret: int, parties: int, threshold: int) -> None:
    with pytest.raises(ValueError, match="below PRIME"):
        share(secret, parties, threshold)
