"""From a config to vector environments: what is made, what is refused, and what is imported for it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from gymnasium import spaces

from envs.config import BackendName, EnvConfig
from envs.making import make_vec
from envs.single import make_env
from tests.support import ROOT
from training.errors import UserError

CARTPOLE = EnvConfig("CartPole-v1")


def test_what_cannot_be_made_is_refused_in_one_line() -> None:
    wrong: list[tuple[EnvConfig, str]] = [
        (EnvConfig("FrozenLake-v1", backend="batched"), "env.backend = 'batched': it takes one of Acrobot-v1, Bern"),
        (replace(CARTPOLE, frame_stack=2, backend="batched"), "env.backend = 'batched'"),
        (
            EnvConfig("Pendulum-v1", kwargs={"gravity": 1}),
            r"env.kwargs = {'gravity': 1}: Pendulum-v1 does not take them",
        ),
        (
            EnvConfig("Acrobot-v1", backend="vector-entry-point"),
            "env.backend = 'vector-entry-point': it takes an environment registered with a vector_entry_point; "
            "Acrobot-v1 has none",
        ),
        (
            replace(CARTPOLE, frame_stack=2, backend="vector-entry-point"),
            "env.backend = 'vector-entry-point': it takes an environment without frame_stack",
        ),
        (
            replace(CARTPOLE, observation_indices=(0, 4)),
            r"env.observation_indices = \(0, 4\): it takes indices below 4, the length of CartPole-v1's",
        ),
        (
            EnvConfig("FrozenLake-v1", observation_indices=(0,)),
            r"env.observation_indices = \(0,\): it takes None: FrozenLake-v1 observes Discrete\(16\), which",
        ),
        (
            EnvConfig("tests.support.toy_envs:Counting-v0", kwargs={"gravity": 1}, backend="vector-entry-point"),
            "env.kwargs = {'gravity': 1}: tests.support.toy_envs:Counting-v0 does not take them",
        ),
        (
            EnvConfig("tests.support.toy_envs:Sentences-v0"),
            "it observes 'said', a Text space, .* --env.drop said leaves",
        ),
    ]
    for config, message in wrong:
        with pytest.raises(UserError, match=message) as error:
            make_vec(config, 2, seed=0)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="num_envs = 0: it takes at least 1"):
        make_vec(CARTPOLE, 0, seed=0)


@pytest.mark.parametrize("backend", ["in-process", "subprocess"])
def test_kwargs_that_the_constructor_chokes_on_are_the_users_mistake(backend: BackendName) -> None:
    with pytest.raises(UserError) as error:
        make_vec(EnvConfig("FrozenLake-v1", kwargs={"map_name": "9x9"}, backend=backend), 1, seed=0)
    assert str(error.value) == "env.kwargs = {'map_name': '9x9'}: FrozenLake-v1 does not take them (KeyError: '9x9')"
    with pytest.raises(UserError, match=r"FrozenLake-v1 does not take them \(TypeError: .*argument 'size'"):
        make_env(EnvConfig("FrozenLake-v1", kwargs={"size": 9}))


def test_stacked_frames_begin_with_the_first_observation_of_the_episode() -> None:
    config = EnvConfig("tests.support.toy_envs:Counting-v0", kwargs={"length": 4}, frame_stack=3)
    vec = make_vec(config, 1, seed=0)
    first = vec.reset().obs["obs"]
    assert first[0].tolist() == [[1, 0]] * 3
    seen = [first[0, :, 1].tolist()]
    final = []
    for _ in range(5):
        step = vec.step({"action": np.zeros(1, np.int64)})
        seen.append(step.obs["obs"][0, :, 1].tolist())
        final += step.final_obs["obs"][:, :, 1].tolist()
    assert seen == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3], [0, 0, 0], [0, 0, 1]]
    assert final == [[2, 3, 4]]


@pytest.mark.parametrize("backend", ["batched", "in-process"])
def test_only_the_selected_observations_are_seen_and_are_restored(backend: BackendName) -> None:
    config = replace(CARTPOLE, backend=backend, time_limit=20)
    vecs = [make_vec(config, 3, seed=4), make_vec(replace(config, observation_indices=(2, 0)), 3, seed=4)]
    whole, selected = vecs
    assert selected.observation_space == spaces.Box(
        whole.observation_space.low[[2, 0]],  # type: ignore[attr-defined]
        whole.observation_space.high[[2, 0]],  # type: ignore[attr-defined]
    )
    steps, ends = [vec.reset() for vec in vecs], 0
    for _ in range(50):
        np.testing.assert_array_equal(steps[1].obs["obs"], steps[0].obs["obs"][:, [2, 0]])
        np.testing.assert_array_equal(steps[1].final_obs["obs"], steps[0].final_obs["obs"][:, [2, 0]])
        ends += len(steps[1].final_obs["obs"])
        steps = [vec.step({"action": np.array([0, 1, 1])}) for vec in vecs]
    assert ends >= 6
    other = make_vec(replace(config, observation_indices=(2, 0)), 3, seed=4)
    other.load_state_dict(selected.state_dict())
    np.testing.assert_array_equal(other.current().obs["obs"], selected.current().obs["obs"])
    assert other.inexact == []


def test_making_environments_and_their_workers_loads_no_learning_and_no_config_libraries() -> None:
    code = "import sys, envs.making; print({'torch', 'tyro', 'pydantic', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert "torch" in sys.modules  # so that a worker would inherit it, were it not started afresh
    vec = make_vec(EnvConfig("tests.support.toy_envs:LoadedModules-v0", backend="subprocess"), 1, seed=0)
    assert vec.reset().obs["obs"].tolist() == [[0, 0, 0]]
    vec.close()
