"""Whether episodes are those of their seeds, go on after a resume and end well; their rewards and what they cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np

from envs.checks.findings import Finding
from envs.checks.sample import Sample, fingerprint, some_action
from envs.config import EnvConfig
from envs.hidden_randomness import hidden_randomness
from envs.making import make_vec
from envs.single import make_env
from envs.spaces import flatten, leaves
from envs.vectors.vector import VectorEnv, named

OWN_RANDOMNESS = "draw every random number from self.np_random, which reset(seed=seed) of gymnasium.Env seeds"
RUN_STEPS = 1_000_000
"""What a speed means is told for a run of so many env steps."""
SLOW = 1_000.0
"""Env steps a second below which more processes are worth it."""
LEAK_BYTES = 20 * 2**20
"""Of growth in 10,000 steps."""
LARGE_REWARD = 100.0


def check_seeds(config: EnvConfig, *, seed: int) -> Iterator[Finding]:
    """The same seed and actions give the same data, and two seeds differ."""
    why = hidden_randomness(config, seed=seed)
    if why is not None:
        yield Finding("wrong", "seeds", why, OWN_RANDOMNESS)
        return
    yield Finding("ok", "seeds", "the same seed and actions give the same data, in a new instance too")
    beginnings = set()
    with closing(make_env(config)) as env:
        for one in (seed, seed + 1, seed + 2):
            rng = np.random.default_rng(seed)
            env.action_space.seed(seed)
            obs, info = env.reset(seed=one)
            parts = leaves(env.observation_space)
            seen = [fingerprint(parts, obs)]
            for _ in range(20):
                obs, reward, terminated, truncated, info = env.step(some_action(env.action_space, info, rng))
                seen += [fingerprint(parts, obs), str((reward, terminated)).encode()]
                if terminated or truncated:
                    break
            beginnings.add(tuple(seen))
    if len(beginnings) == 1:
        says = "three seeds give the same episode: every episode of a policy without chance is the same"
        yield Finding("advice", "seeds", says, "let reset draw where an episode begins, if the task should vary")


def check_resume(config: EnvConfig, *, seed: int, seconds: float) -> Iterator[Finding]:
    """Episodes that are cut in the middle go on with the same data, as a run that is killed and resumed needs it."""
    why = _restored(config, seed, seconds)
    if why is None:
        yield Finding("ok", "resume", "episodes in their middle are restored to the bit by playing their actions again")
        return
    change = "set everything in reset, and keep nothing of earlier episodes"
    if not config.needs_fresh_instance and _restored(replace(config, fresh_instance=True), seed, seconds) is None:
        change += "; with --env.fresh-instance true it is exact as it is"
    yield Finding("wrong", "resume", f"an episode is not the same after a resume: {why}", change)


def _restored(config: EnvConfig, seed: int, seconds: float) -> str | None:
    with closing(make_vec(config, 2, seed=seed)) as vec, closing(make_vec(config, 2, seed=seed)) as again:
        rng, until = np.random.default_rng(seed), time.monotonic() + seconds / 2
        vec.action_space.seed(seed)
        step, ended = vec.reset(), 0
        for taken in range(400):
            if (time.monotonic() > until and taken > 3) or (ended > 4 and np.all(vec.episode_steps > 2)):
                break
            step = vec.step(_actions(vec, step.action_mask, rng))
            ended += int((step.terminated | step.truncated).sum())
        again.load_state_dict(vec.state_dict())
        if again.inexact:
            return again.inexact[0]
        for number in range(20):
            actions = _actions(vec, step.action_mask, rng)
            step, other = vec.step(actions), again.step(actions)
            same = np.array_equal(step.reward, other.reward) and np.array_equal(step.terminated, other.terminated)
            if not same or not all(np.array_equal(step.obs[key], other.obs[key]) for key in step.obs):
                return f"the data differ {number + 1} steps later"
            if time.monotonic() > until + seconds / 2:
                break
    return None


def _actions(vec: VectorEnv, masks: np.ndarray | None, rng: np.random.Generator) -> dict[str, np.ndarray]:
    infos = [{} if masks is None else {"action_mask": masks[row]} for row in range(vec.num_envs)]
    parts = leaves(vec.action_space)
    rows = [flatten(parts, some_action(vec.action_space, info, rng)) for info in infos]
    return {named("action", part.name): np.stack([row[part.name] for row in rows]) for part in parts}


def check_ends(config: EnvConfig, sample: Sample) -> Iterator[Finding]:
    """Whether episodes end, and whether a time limit truncates."""
    limit, ended = config.longest_episode_steps, sample.ended
    lengths = [one.length for one in ended]
    if limit is None and not ended:
        says = f"no episode ended in {sample.steps:,} random steps, and there is no time limit"
        yield Finding("advice", "ends", says, "--env.time-limit 1000, or max_episode_steps where it is registered")
    elif ended:
        cut = sum(one.truncated and not one.terminated for one in ended)
        told = f"{len(ended)} episodes of {min(lengths)} to {max(lengths)} steps, {cut} of them truncated"
        yield Finding("ok", "ends", f"{told}; the time limit is {limit or 'none'}")
    else:
        yield Finding("ok", "ends", f"no episode ended in {sample.steps:,} random steps; the time limit is {limit}")
    at_limit = [one for one in ended if one.terminated and one.length == limit]
    alike = len(ended) >= 3 and len(set(lengths)) == 1 and lengths[0] > 1 and all(one.terminated for one in ended)
    if len(at_limit) > 1 or (alike and limit != lengths[0]):
        says = f"every one of {len(at_limit) or len(ended)} episodes terminated after {lengths[0]} steps, as by a limit"
        change = (
            "return truncated=True, terminated=False where only time is up: beyond what is terminated nothing is worth "
            "anything, so that such a limit teaches wrong values"
        )
        yield Finding("advice", "ends", says, change)


def check_rewards(sample: Sample) -> Iterator[Finding]:
    """That there are any, and of what size; that they are finite is asked of each step."""
    rewards = np.array(sample.rewards)
    if not len(rewards):
        return
    told = f"from {rewards.min():g} to {rewards.max():g} in {len(rewards):,} random steps"
    if not rewards.any():
        change = "if they are rare, explore more (rnd, hindsight); if not, look at what step returns"
        yield Finding("advice", "rewards", f"no reward was other than 0 in {len(rewards):,} random steps", change)
    elif np.abs(rewards).max() > LARGE_REWARD:
        change = "--scale-reward true with on-policy algorithms, or divide them in the environment"
        yield Finding("advice", "rewards", f"they are large: {told}", change)
    else:
        yield Finding("ok", "rewards", f"finite, {told}")


def check_masks(sample: Sample) -> Iterator[Finding]:
    """How much the masks allow; that they fit the space is asked of each."""
    if sample.masks:
        share = sample.allowed / sample.masks
        yield Finding("ok", "masks", f"info['action_mask'] fits the actions and allows {share:.1f} of them on average")


def check_speed(sample: Sample) -> Iterator[Finding]:
    """Env steps a second here, and what that means for a run."""
    if not sample.step_seconds:
        return
    speed = sample.steps / sample.step_seconds
    told = f"{speed:,.0f} env steps a second in one process: {RUN_STEPS:,} take {_duration(RUN_STEPS / speed)}"
    if speed < SLOW:
        change = "--env.backend subprocess, or --workers N: several processes step copies side by side"
        yield Finding("advice", "speed", told, change)
    else:
        yield Finding("ok", "speed", told)


def check_memory(sample: Sample) -> Iterator[Finding]:
    """Whether it grows."""
    if sample.grown_steps < 100:
        yield Finding("ok", "memory", f"not measured: {sample.steps:,} steps were too few in the time")
        return
    grown = max(0, sample.grown_bytes) / sample.grown_steps * 10_000
    told = f"grows by {grown / 2**20:.1f} MiB in 10,000 steps"
    if grown > LEAK_BYTES:
        yield Finding("advice", "memory", told, "drop what step and reset append to, at least in reset")
    else:
        yield Finding("ok", "memory", told)


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
