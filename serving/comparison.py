"""Whether a model does elsewhere what it does here: both are asked about the same inputs, extremes included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from agents.policies.policy import NetworkPolicy
from agents.policies.recurrent_actor_critic import RecurrentActorCritic
from envs.spaces import leaves
from envs.vectors.vector import named
from serving.acting_module import NEXT_STATE, STATE
from serving.model_file import Arrays, Call
from serving.signature import Signature, names_of

TOLERANCE = 1e-5
"""Of numbers, times their size where that is above 1. Choices must be the same."""
ROWS, STEPS = 1_000, 20
"""How many inputs are compared; of a policy with a memory in sequences of so many steps."""
EXTREME_SHARE, FAR = 0.2, 1e6
"""The share of rows made of bounds and zeros, and what stands for a bound where there is none."""


@dataclass(frozen=True)
class Compared:
    """How far two models agree."""

    rows: int
    choices_that_differ: int
    """Entries of outputs that are integers or booleans."""
    largest_difference: float
    """Of outputs that are numbers, divided by their size where that is above 1."""

    @property
    def same(self) -> bool:
        return self.choices_that_differ == 0 and self.largest_difference <= TOLERANCE

    def __str__(self) -> str:
        return (
            f"{self.rows} inputs, {self.choices_that_differ} choices differ, numbers by {self.largest_difference:.2g}"
        )

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "tolerance": TOLERANCE}


def inputs_for(signature: Signature, rows: int, seed: int = 0) -> Arrays:
    """Inputs [rows, ...] all over their spaces: evenly where these are bounded, elsewhere of all sizes."""
    rng = np.random.default_rng(seed)
    extreme = rng.random(rows) < EXTREME_SHARE
    extreme[:2] = True
    found = {}
    for value in signature.inputs:
        ordinary, edges = _numbers(value.space, rows, rng)
        picked = rng.integers(3, size=(rows, *value.shape))
        picked[:1], picked[1:2] = 0, 1  # everything at its lowest, then at its highest
        at_edges = np.choose(picked, edges)
        where = extreme.reshape(-1, *(1 for _ in value.shape))
        found[value.name] = np.where(where, at_edges, ordinary).astype(value.dtype)
    if "action_mask" in found:
        found["action_mask"][~found["action_mask"].any(1)] = True
    return found


def compare(here: Call, there: Call, signature: Signature, rows: int = ROWS, seed: int = 0) -> Compared:
    """Asks both about the same inputs. Where there is a memory each goes on with its own, from an empty one on."""
    names = names_of(signature.inputs)
    if STATE not in names:
        inputs = inputs_for(signature, rows, seed)
        return _compared([(here(inputs), there(inputs))], rows)
    (state,) = (value for value in signature.inputs if value.name == STATE)
    width = -(-rows // STEPS)
    own = [np.zeros((width, *state.shape), np.float32)] * 2
    answers = []
    for step in range(STEPS):
        inputs = inputs_for(signature, width, seed + step)
        both = [call({**inputs, STATE: memory}) for call, memory in zip((here, there), own, strict=True)]
        own = [answer[NEXT_STATE] for answer in both]
        answers.append((both[0], both[1]))
    return _compared(answers, width * STEPS)


def acting_call(policy: NetworkPolicy) -> Call:
    """What the policy itself does greedily, as in `play` and `evaluate`, under the names of an exported one."""
    seen = {named("obs", leaf.name): leaf for leaf in leaves(policy.observation_space)}
    done = {named("action", leaf.name): leaf for leaf in leaves(policy.action_space)}

    def call(inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        rows = len(next(iter(inputs.values())))
        step = {key: leaf.encode(inputs[key], (rows,)) for key, leaf in seen.items()}
        step |= {"is_first": np.zeros(rows, bool), **{key: inputs[key] for key in inputs if key == "action_mask"}}
        state = {}
        if isinstance(policy, RecurrentActorCritic):
            unused = {} if policy.config.shared_memory else {"critic": np.zeros_like(inputs[STATE])}
            state = {"actor": inputs[STATE], **unused}
        action, after = policy.acting("greedy", rows)(step, state, {})
        made = policy.env_action(action)
        found = {key: np.asarray(leaf.decode(made[key])) for key, leaf in done.items()}
        return found | ({NEXT_STATE: after["actor"]} if state else {})

    return call


def _compared(answers: list[tuple[Arrays, Arrays]], rows: int) -> Compared:
    differ, largest = 0, 0.0
    for mine, other in answers:
        for name, values in mine.items():
            if values.dtype.kind in "biu":
                differ += int((values != other[name]).sum())
            else:
                apart = np.abs(values.astype(np.float64) - other[name]) / np.maximum(1.0, np.abs(values))
                largest = max(largest, float(apart.max()) if np.isfinite(apart).all() else np.inf)
    return Compared(rows, differ, largest)


def _numbers(space: Space[Any], rows: int, rng: np.random.Generator) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Values [rows, *shape] from everywhere, and the lowest, the highest and the one nearest to zero."""
    (leaf,) = leaves(space)
    shape = (rows, *leaf.shape)
    low, high = np.full(leaf.shape, leaf.start), np.full(leaf.shape, leaf.start)
    if isinstance(space, spaces.Box):
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
    elif leaf.counts is not None:
        high = low + leaf.counts - 1
    edges = [np.broadcast_to(np.clip(edge, low, high), shape) for edge in (-FAR, FAR, 0)]
    if leaf.dtype.kind in "iu":
        return rng.integers(low.astype(np.int64), high.astype(np.int64), shape, endpoint=True), edges
    sizes = 10.0 ** rng.uniform(-2, 2, (rows, *(1 for _ in leaf.shape)))
    anywhere = np.clip(rng.standard_normal(shape) * sizes, low, high)
    inside = edges[0] + (edges[1] - edges[0]) * rng.random(shape)
    return np.where((low > -FAR) & (high < FAR), inside, anywhere), edges
