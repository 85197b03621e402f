"""Presets: that of every script gives a valid config and can be searched, which one is taken, and what is refused."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from types import ModuleType

import pytest

from agents.recipes.presets import default_config, default_in, group_of, values_of
from commands.train import Options
from envs.config import EnvConfig
from experiments.algorithms import a2c, c51, dqn, ppo, sac
from experiments.control import ppo_acrobot, ppo_cartpole, ppo_lunar_lander, sac_half_cheetah, sac_lunar_lander
from reports.algorithms import find_algorithms
from tests.support import ROOT
from tests.support.marks import full_but
from training.errors import UserError
from training.experiments import find_scripts, load_experiment
from training.options import changed_options, parse_options, values_by_key
from training.search_space import check_space, with_changes

SCRIPTS = {name: load_experiment(name, "experiments") for name in find_scripts("experiments", "PRESETS")}
PRESETS = [(name, preset) for name, script in SCRIPTS.items() for preset in script.PRESETS]
QUICK = [(name, preset) for name, preset in PRESETS if name in ("ppo", "sac", "dqn")]
FAMILIES = {
    *("default", "classic_control", "box2d", "mujoco", "atari", "minatar", "minigrid"),
    *("images", "small_images", "discrete_states", "goals"),
}
CORRIDOR = "tests.support.toy_envs:RandomWalk-v0"


def test_there_is_a_script_for_every_algorithm_that_acts_and_learns_from_rewards() -> None:
    acting = ("on_policy", "asynchronous", "off_policy_values", "off_policy_actor_critics")
    without = {one.name for one in find_algorithms(ROOT) if one.family in acting and not one.presets}
    assert without == {"RND"}  # which is PPO with a bonus for where rewards are rare


@pytest.mark.parametrize(
    ("name", "preset"), full_but([one for one in PRESETS if one[0] in ("ppo", "sac", "dqn")], PRESETS)
)
def test_every_preset_gives_a_valid_config_that_can_be_searched(name: str, preset: str) -> None:
    script = SCRIPTS[name]
    own = script.Config()
    config = with_changes(own, script.PRESETS[preset])
    assert config.env_steps > config.log_every.count
    assert replace(config, env=own.env) != own or preset in ("CartPole-v1",), "a preset changes something"
    check_space(script.SPACE, config)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_what_it_takes_and_has_a_default(name: str) -> None:
    script = SCRIPTS[name]
    assert script.ACTIONS in ("discrete", "continuous", "any")
    assert "default" in script.PRESETS
    named = [preset for preset in script.PRESETS if preset not in FAMILIES]
    assert all(re.search(r"-v\d+$", preset) for preset in named), "what is no family is an environment's id"


@pytest.mark.parametrize(
    ("script", "env_id", "preset"),
    [
        (ppo, "Acrobot-v1", "Acrobot-v1"),  # the environment's own before that of its family
        (ppo, "CartPole-v0", "classic_control"),
        (a2c, "CartPole-v0", "default"),  # which has none for the family
        (ppo, "Reacher-v5", "mujoco"),
        (ppo, "BipedalWalkerHardcore-v3", "box2d"),
        (ppo, "CarRacing-v3", "images"),
        (ppo, "envs.tasks:DigitDial-v0", "small_images"),
        (ppo, "FrozenLake-v1", "discrete_states"),
        (dqn, "FrozenLake-v1", "default"),
        (sac, "envs.tasks:Reach-v0", "envs.tasks:Reach-v0"),
        (SCRIPTS["tqc"], "envs.tasks:Reach-v0", "goals"),
        (ppo, CORRIDOR, "default"),
    ],
)
def test_the_most_special_preset_is_taken_and_said(
    script: ModuleType, env_id: str, preset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    default = default_config(script, ["--env.id", env_id])
    assert default.chosen == {"preset": preset}
    assert replace(default.config, env=script.Config().env) == with_changes(script.Config(), script.PRESETS[preset])
    assert default.config.env.id == env_id
    name = script.__name__.rpartition(".")[2]
    assert capsys.readouterr().err == f"preset: {preset} of {name}, for {env_id}; --preset takes another\n"


def test_options_go_before_the_preset_and_the_preset_before_the_configs_own_values() -> None:
    argv = ["--env.id", "Reacher-v5", "--agent.horizon", "64", "--env.time-limit", "20"]
    default = default_config(ppo, argv)
    _, _, config = parse_options(argv, Options(), *default.asks, default.config)
    assert (config.agent.horizon, config.env.time_limit) == (64, 20)
    assert (config.policy.initial_log_std, config.env_steps) == (-1.0, 1_000_000)
    assert config.agent.clip_range == ppo.Config().agent.clip_range


def test_another_preset_can_be_asked_for() -> None:
    argv = ["--env.id", CORRIDOR, "--preset", "box2d"]
    default = default_config(ppo, argv)
    assert default.chosen == {"preset": "box2d"}
    assert default.config.agent.gamma == 0.999
    # A value that is the class's own but not the preset's must not be lost on the way to another process.
    config = with_changes(default.config, {"agent.gamma": ppo.Config().agent.gamma, "num_envs": 16})
    again = [*default.options, *changed_options(config, default.config)]
    other = default_config(ppo, again)
    assert parse_options(again, *other.asks, other.config)[-1] == config


def test_an_experiment_keeps_its_own_config_and_knows_no_preset() -> None:
    default = default_config(ppo_cartpole, ["--env.id", "Acrobot-v1"])
    assert (default.config, default.asks, default.options, default.chosen) == (ppo_cartpole.Config(), (), (), {})


def test_the_numbers_of_an_experiment_are_those_of_its_config_but_for_the_problem() -> None:
    own = ppo.Config()
    found = with_changes(own, values_of(ppo_acrobot, own))
    assert values_by_key(found) == values_by_key(ppo_acrobot.Config()) | {"env.id": own.env.id}
    lander = with_changes(sac.Config(), values_of(sac_lunar_lander, sac.Config()))
    assert lander.env == sac.Config().env
    assert lander.agent == sac_lunar_lander.Config().agent
    for env_id, experiment in (("LunarLander-v3", ppo_lunar_lander), ("HalfCheetah-v5", sac_half_cheetah)):
        script = ppo if experiment is ppo_lunar_lander else sac
        found = default_config(script, ["--env.id", env_id]).config
        assert values_by_key(found) == values_by_key(experiment.Config())


def test_the_default_in_an_environment_that_has_a_config() -> None:
    env = EnvConfig("LunarLander-v3", kwargs={"continuous": True}, time_limit=300)
    default = default_in(sac, env)  # its actions are discrete without that argument
    assert default.chosen == {"preset": "box2d"}
    assert default.config.env == EnvConfig("LunarLander-v3")


@pytest.mark.parametrize(
    ("script", "env_id", "folder"),
    [
        (ppo, "Pendulum-v1", "ppo-Pendulum-v1"),
        (ppo, "ALE/Pong-v5", "ppo-ALE-Pong-v5"),
        (sac, "my.module:Env-v0", "sac-my.module-Env-v0"),
        (ppo_cartpole, "Pendulum-v1", "ppo_cartpole"),
    ],
)
def test_runs_of_an_algorithm_are_kept_by_environment(script: ModuleType, env_id: str, folder: str) -> None:
    config = replace(script.Config(), env=EnvConfig("CartPole-v1"))
    object.__setattr__(config.env, "id", env_id)  # one that is not installed here
    assert group_of(script, config) == folder


@pytest.mark.parametrize(
    ("script", "argv", "told"),
    [
        (ppo, [], "ppo takes the environment that it is to learn: --env.id Pendulum-v1, or --env.id package"),
        (ppo, ["--seed", "3"], "ppo takes the environment that it is to learn"),
        (ppo, ["--env.id", "Pendulum-v9"], "id = 'Pendulum-v9': no environment is registered under this name"),
        (
            ppo,
            ["--env.id", "Pendulum-v1", "--preset", "mujocco"],
            "preset = 'mujocco': it takes auto or a preset; did ",
        ),
        (ppo, ["--env.id", "Pendulum-v1", "--preset"], "--preset is given nothing: it takes one value"),
        (
            dqn,
            ["--env.id", "Pendulum-v1"],
            "dqn takes Discrete actions; Pendulum-v1 has Box.*, which is for a2c, .*sac,",
        ),
        (c51, ["--env.id", "Pendulum-v1"], "c51 takes Discrete actions"),
        (
            sac,
            ["--env.id", "CartPole-v1"],
            r"bounded Box of floats; CartPole-v1 has Discrete\(2\), which .*sac_discrete",
        ),
        (sac, ["--env.id", "tests.support.toy_envs:Nested-v0"], "Nested-v0 has Dict.*, which is for a2c, appo, impala"),
    ],
)
def test_a_mistake_is_one_line(script: ModuleType, argv: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        default_config(script, argv)
    assert "\n" not in str(caught.value)


def test_a_package_of_ones_own_has_algorithms_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that take the actions are looked for where the script is."""
    folder = tmp_path_factory.mktemp("own") / "own_scripts"
    folder.mkdir()
    for name, base, actions in (("values", "dqn", "discrete"), ("critics", "sac", "continuous")):
        text = f"from experiments.algorithms.{base} import Config, train\nACTIONS = '{actions}'\nCLAIMS = ()\n"
        (folder / f"{name}.py").write_text(f"{text}PRESETS = {{'default': {{}}}}\n")
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(folder.parent)
    with pytest.raises(UserError, match=r"which is for critics$"):
        default_config(importlib.import_module("own_scripts.values"), ["--env.id", "Pendulum-v1"])
    critics = importlib.import_module("own_scripts.critics")
    monkeypatch.setattr(critics, "PRESETS", {"box2d": {}})
    with pytest.raises(UserError, match="PRESETS has none of Pendulum-v1, classic_control, default: it takes at least"):
        default_config(critics, ["--env.id", "Pendulum-v1"])
