"""Shamir's secret sharing: any `threshold` of the shares give the secret, fewer say nothing about it.

Shamir 1979, "How to share a secret" (https://doi.org/10.1145/359168.359176): a polynomial of degree threshold - 1 over
a prime field, whose value at 0 is the secret and whose other coefficients are drawn by the operating system.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

PRIME = 2**521 - 1
"""A Mersenne prime above every secret of 64 bytes."""


def share(secret: int, parties: int, threshold: int) -> dict[int, int]:
    """The share of each party 1 to `parties`. Raises ValueError for a secret or a threshold that does not fit."""
    if not 0 <= secret < PRIME or not 1 <= threshold <= parties:
        raise ValueError("a secret is below PRIME, a threshold from 1 to the number of parties")
    coefficients = [secret, *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return {party: _at(party, coefficients) for party in range(1, parties + 1)}


def recover(shares: Mapping[int, int]) -> int:
    """The secret of at least `threshold` shares, by Lagrange's polynomial at 0; fewer give a number without meaning."""
    total = 0
    for party, value in shares.items():
        above = below = 1
        for other in shares:
            if other != party:
                above = above * other % PRIME
                below = below * (other - party) % PRIME
        total += value * above * pow(below, -1, PRIME)
    return total % PRIME


def _at(place: int, coefficients: list[int]) -> int:
    """The polynomial by Horner's rule."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * place + coefficient) % PRIME
    return value
