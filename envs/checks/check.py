"""Everything that is asked of an environment, in order; what breaks it ends the questions that need more of it."""

from __future__ import annotations

import warnings
from contextlib import closing, suppress
from dataclasses import replace

import gymnasium as gym

from envs.checks.checkers import check_with_libraries
from envs.checks.compiling import check_compiling, compile_first
from envs.checks.episodes import (
    check_ends,
    check_masks,
    check_memory,
    check_resume,
    check_rewards,
    check_seeds,
    check_speed,
)
from envs.checks.findings import Finding, NeverReturns, catching, returning_within
from envs.checks.sample import Sample, play
from envs.checks.spaces import check_actions, check_effects, check_observations, require_arrays
from envs.config import EnvConfig
from envs.single import make_env
from training.errors import UserError

PLAY_STEPS, PLAY_SECONDS = 10_000, 3.0
"""Of random play; a slow environment is judged by fewer steps."""
PART_SECONDS = 1.0


def check(config: EnvConfig, *, seed: int = 1) -> list[Finding]:
    """What is to be said of the environment.

    Raises UserError where the config is wrong, so that there is no environment; what the environment's own code raises
    is a finding. What does not come back is waited for as long as `step_timeout_s` says, and nothing is asked after it.
    """
    if config.backend != "envpool":
        config = replace(config, backend="in-process")
    found: list[Finding] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each is asked for below
        with suppress(NeverReturns):
            _ask(config, found, seed)
    return found


def _ask(config: EnvConfig, found: list[Finding], seed: int) -> None:
    sample = _made(config, found)
    if sample is None:
        return
    found += require_arrays(sample.observation_space, "spaces") + require_arrays(sample.action_space, "actions")
    if not found:
        _play(config, sample, found, seed)
    with catching(found, "checkers", seconds=_patience(config)):
        found += check_with_libraries(config, found)


def _patience(config: EnvConfig) -> float:
    """How many seconds a part of the questions may take: each plays for less, and then waits for one step."""
    return PLAY_SECONDS + config.step_timeout_s


def _made(config: EnvConfig, found: list[Finding]) -> Sample | None:
    try:
        with returning_within(_patience(config)), closing(make_env(config)) as env:
            return Sample(env.observation_space, env.action_space)
    except NeverReturns as error:
        its_own: BaseException = error
    except Exception as error:
        if isinstance(error, UserError) and error.key == "drop":
            seen, _, change = str(error).partition("which no network takes: ")
            found.append(Finding("wrong", "spaces", f"{seen}which no network takes", change))
            return None
        cause = error.__cause__
        asked_wrongly = cause is None or isinstance(cause, ImportError | TypeError | gym.error.Error)
        if isinstance(error, UserError) and asked_wrongly:
            raise
        its_own = cause if isinstance(cause, Exception) else error
    with catching(found, "making", seconds=_patience(config)):  # a mistake of the environment, whatever it was given
        raise its_own from None
    return None  # type: ignore[unreachable]  # what is caught is a finding


def _play(config: EnvConfig, sample: Sample, found: list[Finding], seed: int) -> None:
    compile_first(config)
    with catching(found, "contract", seconds=_patience(config)):
        play(config, sample, seed=seed, seconds=PLAY_SECONDS, steps=PLAY_STEPS)
    is_sound = not found
    found += check_observations(sample.observation_space, sample)
    found += check_actions(sample.action_space)
    if not is_sound or any(one.level == "wrong" for one in found):
        return
    with catching(found, "seeds", seconds=_patience(config)):
        found += check_seeds(config, seed=seed)
    if not any(one.level == "wrong" for one in found):  # what no seed decides cannot be restored either
        with catching(found, "resume", seconds=_patience(config)):
            found += check_resume(config, seed=seed, seconds=PART_SECONDS)
    if not sample.masks:
        with catching(found, "actions", seconds=_patience(config)):
            found += check_effects(config, sample.action_space, seed=seed, seconds=PART_SECONDS)
    found += check_ends(config, sample)
    found += check_rewards(sample)
    found += check_masks(sample)
    found += check_speed(sample)
    with catching(found, "compiling", seconds=60.0):
        found += check_compiling(config, sample)
    found += check_memory(sample)
