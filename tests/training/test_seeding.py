"""Random streams that follow from the seed and a path of names."""

from __future__ import annotations

import torch

from training.seeding import derived_seed, drawing_from, generator


def test_seeds_are_the_same_for_ever() -> None:
    """Golden values: with others, no run of before could be made again."""
    assert derived_seed(1, "acting", 0) == 746597635195550384
    assert derived_seed(0) == 1999793380834467432
    assert torch.rand(2, generator=generator(1, "weights")).tolist() == [0.7899837493896484, 0.38984090089797974]


def test_every_use_has_a_stream_of_its_own() -> None:
    seeds = {derived_seed(*path) for path in ((1,), (2,), (1, "a"), (1, "a", 0), (1, "a0"), (1, "0", "a"), (1, "b"))}
    assert len(seeds) == 7
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_drawing_from_a_seed_leaves_the_global_generator_where_it_was() -> None:
    before = torch.get_rng_state()
    with drawing_from(5):
        first = torch.rand(3)
    with drawing_from(5):
        assert torch.equal(torch.rand(3), first)
    assert torch.equal(torch.get_rng_state(), before)
