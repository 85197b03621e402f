"""Seeds and generators computed for many episodes at once against NumPy's own."""

from __future__ import annotations

import numpy as np
from gymnasium.utils import seeding
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.vectors.episode_generators import EPISODES_AHEAD, EpisodeGenerators, hash_words
from envs.vectors.vector import episode_seed

words = st.integers(0, 2**32 - 1)


@settings(max_examples=200, deadline=None)
@given(entropies=st.integers(4, 8).flatmap(lambda n: st.lists(st.lists(words, min_size=n, max_size=n), min_size=1)))
def test_hashes_are_those_of_seed_sequences(entropies: list[list[int]]) -> None:
    hashed = hash_words(list(np.array(entropies, np.uint32).T), 8)
    expected = [np.random.SeedSequence(entropy).generate_state(8) for entropy in entropies]
    np.testing.assert_array_equal(hashed.T, expected, strict=True)


@settings(max_examples=200, deadline=None)
@given(
    seed=st.one_of(st.integers(0, 2**40), st.integers(0, 2**200)),
    first_env=st.integers(0, 2**31),
    # Episodes end one after the other, or the state of another moment is loaded.
    jumps=st.lists(st.lists(st.integers(-40, 40), min_size=3, max_size=3), max_size=8),
    start=st.integers(0, 2**31),
)
def test_generators_are_those_of_gymnasiums_resets(
    seed: int, first_env: int, jumps: list[list[int]], start: int
) -> None:
    generators = EpisodeGenerators(3, seed=seed, first_env=first_env)
    episode = np.full(3, start)
    for jump in [[0, 0, 0], *jumps]:
        episode = np.maximum(episode + jump, 0)
        rows = np.flatnonzero(np.array(jump) >= 0)
        for row, generator in zip(rows, generators.begin(episode, rows), strict=True):
            expected, _ = seeding.np_random(episode_seed(seed, first_env + int(row), int(episode[row])))
            assert generator.bit_generator.state == expected.bit_generator.state
            # What is drawn from one generator must not reach the next.
            generator.integers(0, 5, 3, np.int32)


def test_every_episode_in_turn_has_its_own() -> None:
    generators = EpisodeGenerators(2, seed=1, first_env=0)
    for episode in range(3 * EPISODES_AHEAD):
        for row in range(2):
            (generator,) = generators.begin(np.array([episode, episode]), np.array([row]))
            expected, _ = seeding.np_random(episode_seed(1, row, episode))
            assert generator.random() == expected.random()
