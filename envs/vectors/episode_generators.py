"""The random generators of many episodes at once, bit for bit those that NumPy and Gymnasium make one by one.

An episode's seed and the generator made of it cost about 13 microseconds, half a batched step of 8 environments. Most
of it is hashing, which is done here for many episodes at once and some episodes ahead. NumPy guarantees that neither
the hash (SeedSequence) nor the generator (PCG64) changes.

Source: O'Neill (2015), "Developing a seed_seq alternative", and O'Neill (2014), "PCG"; numpy/random/bit_generator.pyx
and numpy/random/src/pcg64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]

EPISODES_AHEAD = 32
"""For so many episodes of an environment the hashes are computed at once."""

POOL_WORDS = 4
HASH_A, HASH_B = (0x43B0D7E5, 0x931E8875), (0x8B51F9DD, 0x58F38DED)
MIX_LEFT, MIX_RIGHT = 0xCA01F9DD, 0x4973F715
PCG64_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645


class EpisodeGenerators:
    """The generators of the episodes of N environments; environment n has the index first_env + n in the run."""

    def __init__(self, num_envs: int, *, seed: int, first_env: int) -> None:
        self._seed_words = _words(seed)
        self._env_index = np.arange(first_env, first_env + num_envs, dtype=np.uint32)
        self._first_episode = np.full(num_envs, -EPISODES_AHEAD)
        self._words = np.empty((num_envs, EPISODES_AHEAD, 4), np.uint64)
        self._bits = np.random.PCG64(0)
        self._generator = np.random.Generator(self._bits)

    def begin(self, episode: NDArray[np.int64], rows: NDArray[np.int64]) -> Iterator[np.random.Generator]:
        """One for each of the rows [K], where an episode of the N environments' `episode` [N] begins.

        It is as `gymnasium.utils.seeding.np_random(episode_seed(seed, env_index, episode))` makes it, and valid until
        the next one is asked for.
        """
        ahead = episode - self._first_episode
        if np.count_nonzero((ahead < 0) | (ahead >= EPISODES_AHEAD)):
            # Others that will soon run out come along: one call for many is hardly slower than for one.
            self._look_ahead(episode, np.flatnonzero((ahead < 0) | (ahead >= EPISODES_AHEAD // 2)))
        for words in self._words[rows, (episode - self._first_episode)[rows]].tolist():
            state, increment = _pcg64_state(*words)
            self._bits.state = {
                "bit_generator": "PCG64",
                "state": {"state": state, "inc": increment},
                "has_uint32": 0,
                "uinteger": 0,
            }
            yield self._generator

    def _look_ahead(self, episode: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        self._first_episode[rows] = episode[rows]
        episodes = (episode[rows, None] + np.arange(EPISODES_AHEAD)).astype(np.uint32)
        (seeds,) = hash_words([*self._seed_words, self._env_index[rows, None], episodes], 1)
        halves = hash_words([seeds >> 1, *_words(0)[1:]], 8).astype(np.uint64)
        self._words[rows] = np.moveaxis(halves[0::2] | halves[1::2] << 32, 0, -1)


def hash_words(entropy: Sequence[Words], count: int) -> Words:
    """NumPy's `SeedSequence(...).generate_state(count)` for many sequences at once.

    `entropy` holds one array for each word of a sequence, at least 4; they broadcast to one shape -> [count, *shape].
    """
    hashed = _hasher(*HASH_A)
    pool = [hashed(word) for word in entropy[:POOL_WORDS]]
    for source in range(POOL_WORDS):
        for target in range(POOL_WORDS):
            if source != target:
                pool[target] = _mix(pool[target], hashed(pool[source]))
    for word in entropy[POOL_WORDS:]:
        pool = [_mix(value, hashed(word)) for value in pool]
    hashed = _hasher(*HASH_B)
    return np.stack([hashed(pool[position % POOL_WORDS]) for position in range(count)])


def _pcg64_state(initial_high: int, initial_low: int, stream_high: int, stream_low: int) -> tuple[int, int]:
    """State and increment of PCG64 when it has been seeded with these four 64-bit words."""
    increment = (stream_high << 65 | stream_low << 1 | 1) % 2**128
    state = ((increment + (initial_high << 64 | initial_low)) * PCG64_MULTIPLIER + increment) % 2**128
    return state, increment


def _hasher(constant: int, multiplier: int) -> Callable[[Words], Words]:
    """A hash that differs from call to call."""

    def hashed(value: Words) -> Words:
        nonlocal constant
        mixed = value ^ np.uint32(constant)
        constant = constant * multiplier % 2**32
        return _folded(mixed * np.uint32(constant))

    return hashed


def _mix(left: Words, right: Words) -> Words:
    return _folded(left * np.uint32(MIX_LEFT) - right * np.uint32(MIX_RIGHT))


def _folded(value: Words) -> Words:
    return value ^ (value >> np.uint32(16))


def _words(value: int) -> list[Words]:
    """A number of any size as words [1], the lowest first, filled up with zeros to 4."""
    count = max(POOL_WORDS, -(-value.bit_length() // 32))
    return [np.array([value >> 32 * place & 0xFFFFFFFF], np.uint32) for place in range(count)]
