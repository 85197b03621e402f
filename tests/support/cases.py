"""What the test of an algorithm declares for the suites: `CASES`, and `RESUMED`, short runs of its experiments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from agents.policies.actor import ActorConfig
from agents.policies.actor_critic import ActorCriticConfig
from agents.policies.q_network import QNetworkConfig
from agents.replay.replay import ReplayConfig
from tests.support import ROOT
from training.experiments import find_scripts
from training.optimizer import OptimizerConfig, Schedule

FOLDERS = ("tests.agents", "tests.pretraining", "tests.finetuning", "tests.regimes")
"""Whose tests declare something."""


@dataclass(frozen=True, kw_only=True)
class OnPolicyCase:
    """An algorithm in `tests/suites/test_on_policy.py`, small enough to learn in seconds."""

    algorithm: Any
    config: Any
    env_steps: int
    """Until it has learned to repeat what it sees."""
    endless: Mapping[str, Any] = field(
        default_factory=lambda: {"optimizer": OptimizerConfig(learning_rate=0.1, schedule=Schedule("linear"))}
    )
    """Changes to the config with which it learns what an endless episode is worth."""
    waits: str = ""
    """Why an update waits for the GPU, if it does."""

    @property
    def policy_config(self) -> type:
        """Of the policy that it learns with."""
        return getattr(self.config, "policy_config", ActorCriticConfig)

    @property
    def any_actions(self) -> bool:
        """Whether it takes others than Discrete ones."""
        return self.policy_config is not QNetworkConfig


@dataclass(frozen=True, kw_only=True)
class OffPolicyCase:
    """An algorithm in `tests/suites/test_off_policy.py`, small enough to learn in seconds."""

    algorithm: Any
    config: Any
    policy: ActorConfig | QNetworkConfig
    replay: ReplayConfig
    continuous: bool
    """Whether its actions are."""
    endless: Mapping[str, Any] = field(default_factory=dict)
    """Changes to the config with which it learns what an endless episode is worth."""
    tabular: Mapping[str, Any] = field(default_factory=dict)
    """Changes to the config with which it learns the exact values of a small problem."""
    waits: str = ""
    """Why an update waits for the GPU, if it does."""


@dataclass(frozen=True, kw_only=True)
class OfflineCase:
    """An algorithm in `tests/suites/test_offline_actor_critic.py`, small enough to learn in seconds."""

    algorithm: Any
    config: Any
    policy: ActorConfig


Case = OnPolicyCase | OffPolicyCase | OfflineCase
C = TypeVar("C", OnPolicyCase, OffPolicyCase, OfflineCase)


def cases(kind: type[C]) -> dict[str, C]:
    """Those of one suite, by the name of the algorithm, and after a dash what is special about it."""
    return {name: case for name, case in _declared("CASES") if isinstance(case, kind)}


def resumed() -> dict[str, list[str]]:
    """The options of short runs by the name of the experiment, and after a dash what is special about it."""
    return dict(_declared("RESUMED"))


def _declared(constant: str) -> Iterator[tuple[str, Any]]:
    """The items of the constant in every test that has it; raises AssertionError where two tests have one name."""
    seen: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in find_scripts(folder, constant).values():
            module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            for name, value in getattr(module, constant).items():
                assert name not in seen, f"{constant} of {path} and of {seen[name]} both have {name!r}"
                seen[name] = path
                yield name, value
