"""Secure aggregation: a server learns the sum of the parties' numbers and of none of them more, also if some drop out.

Bonawitz et al. 2017 (https://eprint.iacr.org/2017/281, figure 4, without what is marked for active adversaries):

1. Every party sends two public keys.
2. Every party draws a seed for a mask of its own, and sends each other one a share of it and of its secret mask key
   (Shamir), encrypted for that one; the server hands them on.
3. Every party that is still there sends its numbers modulo 2^64 plus its own mask, plus the mask that it has in common
   with each later party, minus that with each earlier one: in the sum these cancel.
4. The server says who is there. At least `threshold` of them answer with their shares: for one that is there of its
   seed, for one that is gone of its mask key, and never both. With these the server takes off what did not cancel.

What it protects from: a server, and fewer than `threshold` parties who tell it all they know, that follow the protocol
and look at whatever they see. Not from: a server that hands on wrong keys or says different things to different parties
(the paper's signatures and its consistency check are left out), a party that sends wrong numbers, or what the sum
itself gives away. Keys and seeds are drawn by the operating system, anew for every sum, which does not depend on them.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regimes.shamir import recover, share
from training.errors import UserError, require
from training.extras import extra

with extra("privacy"):
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Numbers: TypeAlias = NDArray[np.uint64]
"""Modulo 2^64 [size]."""
KEY_BYTES, SHARE_BYTES = 32, 66
FRACTION_BITS = 24
"""Of a real number as an integer: to 6e-8."""


class PublicKeys(NamedTuple):
    """What a party shows to all."""

    mask: bytes
    message: bytes


class Shares(NamedTuple):
    """What a party holds of another one's secrets."""

    seed: int
    mask_key: int


@dataclass(frozen=True)
class Revealed:
    """What a party answers at the end: its shares of the seeds of those that are there, of the others' mask keys."""

    by: int
    seeds: dict[int, int]
    mask_keys: dict[int, int]


class Party:
    """One side of one sum. Parties are numbered from 1; `threshold` of them must stay to the end."""

    def __init__(self, number: int, threshold: int) -> None:
        self.number, self._threshold = number, threshold
        self._mask_key, self._message_key = X25519PrivateKey.generate(), X25519PrivateKey.generate()
        self._seed = secrets.token_bytes(KEY_BYTES)
        self._keys: Mapping[int, PublicKeys] = {}
        self._held: dict[int, Shares] = {}
        self._has_sent = self._has_revealed = False

    @property
    def keys(self) -> PublicKeys:
        """Step 1."""
        return PublicKeys(
            self._mask_key.public_key().public_bytes_raw(), self._message_key.public_key().public_bytes_raw()
        )

    def shares_for_others(self, keys: Mapping[int, PublicKeys]) -> dict[int, bytes]:
        """Step 2: for each other party its shares, which it alone can read."""
        self._keys = dict(keys)
        seed = share(int.from_bytes(self._seed), len(keys), self._threshold)
        mask_key = share(int.from_bytes(self._mask_key.private_bytes_raw()), len(keys), self._threshold)
        self._held = {self.number: Shares(seed[self.number], mask_key[self.number])}
        sent = {}
        for other in keys:
            if other != self.number:
                told = seed[other].to_bytes(SHARE_BYTES) + mask_key[other].to_bytes(SHARE_BYTES)
                sent[other] = self._box(other).encrypt(_nonce(self.number), told, None)
        return sent

    def masked(self, values: Numbers, shares: Mapping[int, bytes]) -> Numbers:
        """Step 3: the numbers with all masks on. Raises RuntimeError when asked twice: two would tell their difference.

        Args:
            values: its own.
            shares: what each other party sent to this one; from who sent none it has no mask in common.
        """
        if self._has_sent:
            raise RuntimeError("a party masks its numbers once: a mask that is used twice hides nothing")
        self._has_sent = True
        for other, told in shares.items():
            read = self._box(other).decrypt(_nonce(other), told, None)
            self._held[other] = Shares(int.from_bytes(read[:SHARE_BYTES]), int.from_bytes(read[SHARE_BYTES:]))
        total = values + stream(self._seed, values.size)
        for other in shares:
            mask = stream(common_key(self._mask_key, self._keys[other].mask), values.size)
            total = total + mask if self.number < other else total - mask
        return total

    def reveal(self, there: Collection[int]) -> Revealed:
        """Step 4: its shares of what has to be taken off. Raises RuntimeError where that would give something away."""
        if len(there) < self._threshold:
            raise RuntimeError(f"{len(there)} parties are there, and the threshold is {self._threshold}")
        if self._has_revealed:
            raise RuntimeError("a party reveals once: a seed and a mask key of one party would give its numbers away")
        self._has_revealed = True
        return Revealed(
            self.number,
            {other: held.seed for other, held in self._held.items() if other in there},
            {other: held.mask_key for other, held in self._held.items() if other not in there},
        )

    def _box(self, other: int) -> ChaCha20Poly1305:
        """What the two of them can read. Each of them writes one message with it, under its own number."""
        return ChaCha20Poly1305(common_key(self._message_key, self._keys[other].message))


def unmask(
    masked: Mapping[int, Numbers], keys: Mapping[int, PublicKeys], revealed: Collection[Revealed], threshold: int
) -> Numbers:
    """The server's end of step 4: the sum of the numbers of all whose masked ones came.

    Args:
        masked: by party.
        keys: of all that sent shares in step 2.
        revealed: what at least `threshold` parties answered.
        threshold: of the sum.

    Raises:
        UserError: fewer are left.
    """
    if len(revealed) < threshold:
        raise UserError(f"secure sum: {len(masked)} of {len(keys)} parties are left, and threshold = {threshold}")
    total: Numbers = np.sum(list(masked.values()), axis=0, dtype=np.uint64)
    size = total.size
    for shares in _by_party({one.by: one.seeds for one in revealed}).values():
        total = total - stream(recover(shares).to_bytes(KEY_BYTES), size)
    for gone, shares in _by_party({one.by: one.mask_keys for one in revealed}).items():
        key = X25519PrivateKey.from_private_bytes(recover(shares).to_bytes(KEY_BYTES))
        for there in masked:
            mask = stream(common_key(key, keys[there].mask), size)
            # What the one that is there has added or taken off for the one that is gone.
            total = total - mask if there < gone else total + mask
    return total


def secure_sum(values: Mapping[int, Numbers], threshold: int, gone: Collection[int] = ()) -> Numbers:
    """The sum of the numbers of all parties but the ones that are gone after step 2, to the integer.

    The server and all parties are in this process, which shows that the arithmetic is right and what it costs; what
    they would send each other goes by arguments.

    Args:
        values: the numbers [size] of each party, 1 to their count.
        threshold: of parties, more than half of them: a server cannot then ask two halves for different secrets.
        gone: who sends no numbers.

    Raises:
        UserError: the threshold is impossible, or fewer than it are left.
    """
    count = len(values)
    takes = f"{majority(count)} to {count}, more than half of the {count} parties"
    require(majority(count) <= threshold <= count, "threshold", threshold, takes)
    parties = {number: Party(number, threshold) for number in values}
    keys = {number: party.keys for number, party in parties.items()}
    sent = {number: party.shares_for_others(keys) for number, party in parties.items()}
    there = [number for number in values if number not in gone]
    masked = {
        number: parties[number].masked(
            values[number], {other: told[number] for other, told in sent.items() if other != number}
        )
        for number in there
    }
    revealed = [parties[number].reveal(there) for number in there] if len(there) >= threshold else []
    return unmask(masked, keys, revealed, threshold)


def majority(count: int) -> int:
    """The fewest parties that are more than half."""
    return count // 2 + 1


def to_numbers(values: NDArray[np.float64], parties: int) -> Numbers:
    """Real numbers in fixed point. Raises UserError where the sum of so many parties could not hold them."""
    most = 2.0 ** (62 - FRACTION_BITS) / parties
    worst = float(np.abs(values).max(initial=0.0))
    if not worst < most:  # nan too
        raise UserError(f"secure sum: a number is {worst:g}: with {parties} parties it takes numbers below {most:g}")
    return np.round(values * 2.0**FRACTION_BITS).astype(np.int64).view(np.uint64)


def from_numbers(total: Numbers) -> NDArray[np.float64]:
    """The inverse of `to_numbers`, for a sum of them."""
    return total.view(np.int64) / 2.0**FRACTION_BITS


def common_key(own: X25519PrivateKey, public: bytes) -> bytes:
    """The key that two parties have in common (Diffie and Hellman on curve 25519)."""
    agreed = own.exchange(X25519PublicKey.from_public_bytes(public))
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"regimen secure sum").derive(agreed)


def stream(key: bytes, size: int) -> Numbers:
    """The mask [size] of a key, which is used for this one alone: ChaCha20 from its beginning."""
    cipher = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None)
    return np.frombuffer(cipher.encryptor().update(bytes(8 * size)), dtype="<u8").astype(np.uint64)


def _nonce(sender: int) -> bytes:
    return sender.to_bytes(12)


def _by_party(said: Mapping[int, Mapping[int, int]]) -> dict[int, dict[int, int]]:
    """Of each party the shares, by who holds them."""
    found: dict[int, dict[int, int]] = {}
    for holder, shares in said.items():
        for party, value in shares.items():
            found.setdefault(party, {})[holder] = value
    return found
