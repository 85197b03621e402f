"""Random spaces of every kind, for hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from hypothesis import strategies as st

small = st.integers(1, 4)


shapes = st.lists(st.integers(1, 3), max_size=3).map(tuple)


@st.composite
def boxes(draw: Any) -> spaces.Box:
    shape, kind = draw(shapes), draw(st.sampled_from(["u1", "i4", "i8", "f2", "f4", "f8"]))
    dtype = np.dtype(kind)
    count = int(np.prod(shape))
    if dtype.kind == "f":
        numbers = st.one_of(st.floats(-1e3, 1e3, width=16), st.sampled_from([-np.inf, np.inf]))
    else:
        numbers = st.integers(0, 120)
    ends = np.array(draw(st.lists(numbers, min_size=2 * count, max_size=2 * count)), dtype).reshape(2, *shape)
    low, high = np.minimum(*ends), np.maximum(*ends)
    if dtype.kind == "f":
        low, high = np.where(low == np.inf, -np.inf, low), np.where(high == -np.inf, np.inf, high)
    return spaces.Box(low.astype(dtype), high.astype(dtype), shape, dtype.type)


@st.composite
def multi_discretes(draw: Any) -> spaces.MultiDiscrete:
    counts = draw(st.lists(small, min_size=1, max_size=4))
    start = draw(st.lists(st.integers(-5, 5), min_size=len(counts), max_size=len(counts)))
    return spaces.MultiDiscrete(counts, start=start)


plain_spaces = st.one_of(
    boxes(),
    st.builds(lambda n, start: spaces.Discrete(n, start=start), small, st.integers(-5, 5)),
    multi_discretes(),
    st.one_of(small, shapes.filter(len)).map(spaces.MultiBinary),
)


any_space = st.recursive(
    plain_spaces,
    lambda parts: st.one_of(
        st.dictionaries(st.text("abcd", min_size=1, max_size=3), parts, min_size=1, max_size=3).map(spaces.Dict),
        st.lists(parts, min_size=1, max_size=3).map(spaces.Tuple),
    ),
    max_leaves=5,
)
