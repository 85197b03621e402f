"""What another library has trained goes on as a policy of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import stable_baselines3
import torch
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from agents.libraries.sb3 import SB3Policy, SB3PolicyConfig
from agents.policies.actor import Actor, ActorConfig
from agents.policies.actor_critic import ActorCritic, ActorCriticConfig
from agents.policies.foreign_weights import load_weights, read_weights
from agents.policies.policy import NetworkPolicy
from agents.policies.q_network import QNetwork, QNetworkConfig
from agents.policies.saved import load_policy
from envs.config import EnvConfig
from envs.making import make_vec
from envs.single import make_env
from experiments.__main__ import main
from training.errors import UserError
from training.networks import NetworkConfig
from training.seeding import generator

SMALL = {"net_arch": [16, 16]}
OFF_POLICY = {"buffer_size": 160, "learning_starts": 60, "batch_size": 16, "train_freq": 4}
ON_POLICY = {"n_steps": 16, "batch_size": 16, "n_epochs": 2}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("PPO", lambda *spaces: ActorCritic(*spaces, ActorCriticConfig(rescale_action=False), generator(1, "w"))),
        ("PPO-gauss", lambda *spaces: ActorCritic(*spaces, ActorCriticConfig(rescale_action=False), generator(1, "w"))),
        ("SAC", lambda *spaces: Actor(*spaces, ActorConfig(NetworkConfig((16, 16), "relu")), generator(1, "w"))),
        (
            "TD3",
            lambda *spaces: Actor(
                *spaces, ActorConfig(NetworkConfig((16, 16), "relu"), distribution="deterministic"), generator(1, "w")
            ),
        ),
        ("DQN", lambda *spaces: QNetwork(*spaces, QNetworkConfig(NetworkConfig((64, 64), "relu")), generator(1, "w"))),
    ],
)
def test_our_policies_take_the_weights_and_act_alike(theirs: str, ours: Callable[..., NetworkPolicy]) -> None:
    env_id = "CartPole-v1" if theirs in ("PPO", "DQN") else "Pendulum-v1"
    arguments = {"PPO": ON_POLICY, "PPO-gauss": ON_POLICY}.get(theirs, OFF_POLICY)
    kwargs = SMALL if theirs in ("SAC", "TD3") else {}
    vec = make_vec(EnvConfig(env_id), 6, seed=2)
    config = SB3PolicyConfig(theirs.partition("-")[0], "MlpPolicy", arguments, kwargs)
    trained = SB3Policy(vec.observation_space, vec.action_space, config, generator(4, "other"))
    policy = ours(vec.observation_space, vec.action_space)
    obs = np.asarray(generator_of_obs(vec.observation_space.shape))
    before = policy.acting("greedy", 6)({"obs": obs}, {}, {})[0]
    load_weights(policy, trained.network.state_dict(), source=theirs)
    after = policy.env_action(policy.acting("greedy", 6)({"obs": obs}, {}, {})[0])["action"]
    expected = trained.acting("greedy", 6)({"obs": obs}, {}, {})[0]["action"]
    np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-5)
    assert not np.array_equal(before["action"], after)


def generator_of_obs(shape: tuple[int, ...] | None) -> Any:
    return np.random.default_rng(0).normal(0, 1, (6, *(shape or ()))).astype(np.float32)


def test_weights_of_another_architecture_are_refused() -> None:
    spaces = spaces_of("Pendulum-v1")
    trained = SB3Policy(*spaces, SB3PolicyConfig("PPO"), generator(1, "w")).network.state_dict()
    network = NetworkConfig((128, 64))
    for config, said in [
        (
            ActorCriticConfig(network, rescale_action=False),
            r"shape of actor\.0\.weight in PPO = \(64, 3\): it takes \(128, 3\)",
        ),
        (
            ActorCriticConfig(),
            r"policy\.rescale_action = True: it takes False: PPO learned actions in the environment's",
        ),
        (
            ActorCriticConfig(rescale_action=False, normalize_observation=True),
            r"policy\.normalize_observation = True: it takes False: PPO has no statistics",
        ),
    ]:
        with pytest.raises(UserError, match=said):
            load_weights(ActorCritic(*spaces, config, generator(1, "w")), trained, source="PPO")


@pytest.mark.parametrize("algorithm", ["PPO", "SAC"])
def test_a_deeper_network_is_refused(algorithm: str) -> None:
    spaces, arguments = spaces_of("Pendulum-v1"), OFF_POLICY if algorithm == "SAC" else ON_POLICY
    config = SB3PolicyConfig(algorithm, "MlpPolicy", arguments, {"net_arch": [16, 16, 16]})
    trained = SB3Policy(*spaces, config, generator(1, "w")).network.state_dict()
    network, rng = NetworkConfig((16, 16)), generator(1, "w")
    policy = (
        Actor(*spaces, ActorConfig(replace(network, activation="relu")), rng)
        if algorithm == "SAC"
        else ActorCritic(*spaces, ActorCriticConfig(network, rescale_action=False), rng)
    )
    with pytest.raises(UserError, match=rf"policy\.network\.hidden = \(16, 16\): it takes the layers of .*{algorithm}"):
        load_weights(policy, trained, source=algorithm)


def test_the_statistics_of_observations_come_along() -> None:
    spaces = spaces_of("Pendulum-v1")
    trained = SB3Policy(*spaces, SB3PolicyConfig("PPO"), generator(1, "w")).network.state_dict()
    statistics = {
        "obs_rms.mean": torch.ones(3),
        "obs_rms.var": torch.full((3,), 4.0),
        "obs_rms.count": torch.tensor(9.0),
    }
    plain = ActorCritic(*spaces, ActorCriticConfig(rescale_action=False), generator(1, "w"))
    load_weights(plain, trained, source="PPO")
    config = ActorCriticConfig(rescale_action=False, normalize_observation=True)
    normalizing = ActorCritic(*spaces, config, generator(1, "w"))
    load_weights(normalizing, trained | statistics, source="PPO")
    obs = generator_of_obs((3,))
    np.testing.assert_allclose(greedy(normalizing, 1 + 2 * obs), greedy(plain, obs), rtol=1e-5, atol=1e-6)


class CleanRL:
    """Networks as CleanRL's files have them, with the outputs that they give."""

    def __init__(self, **parts: nn.Module) -> None:
        self.parts = nn.ModuleDict(parts)

    def weights(self, **more: torch.Tensor) -> dict[str, torch.Tensor]:
        return {**self.parts.state_dict(), **more}


def perceptron(inputs: int, *outputs: int, activation: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in outputs:
        layers += [nn.Linear(inputs, width), activation()]
        inputs = width
    return nn.Sequential(*layers[:-1])


def spaces_of(env_id: str) -> tuple[Any, Any]:
    with closing(make_env(EnvConfig(env_id))) as env:
        return env.observation_space, env.action_space


def greedy(policy: NetworkPolicy, obs: NDArray[Any]) -> NDArray[Any]:
    return policy.env_action(policy.acting("greedy", len(obs))({"obs": obs}, {}, {})[0])["action"]


def test_cleanrls_ppo_acts_here_as_there(tmp_path: Path) -> None:
    theirs = CleanRL(actor_mean=perceptron(3, 64, 64, 1), critic=perceptron(3, 64, 64, 1))
    torch.save(theirs.weights(actor_logstd=torch.full((1, 1), -0.5)), tmp_path / "ppo.cleanrl_model")
    policy = ActorCritic(*spaces_of("Pendulum-v1"), ActorCriticConfig(rescale_action=False), generator(1, "w"))
    load_weights(policy, read_weights(tmp_path / "ppo.cleanrl_model").tensors, source="it")
    obs = generator_of_obs((3,))
    with torch.no_grad():
        mean = theirs.parts["actor_mean"](torch.from_numpy(obs)).clamp(-2, 2)
        value = theirs.parts["critic"](torch.from_numpy(obs)).squeeze(-1)
    np.testing.assert_allclose(greedy(policy, obs), mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(policy.value({"obs": torch.from_numpy(obs)}), value)
    assert float(policy.heads.log_std["action"].detach()) == -0.5


@pytest.mark.parametrize("kind", ["gaussian", "deterministic"])
def test_cleanrls_actors_of_sac_and_td3_act_here_as_there(kind: Literal["gaussian", "deterministic"]) -> None:
    last = {"fc_mean": nn.Linear(16, 1), "fc_logstd": nn.Linear(16, 1)}
    theirs = CleanRL(
        fc1=nn.Linear(3, 16), fc2=nn.Linear(16, 16), **(last if kind == "gaussian" else {"fc_mu": last["fc_mean"]})
    )
    config = ActorConfig(NetworkConfig((16, 16), "relu"), distribution=kind)
    policy = Actor(*spaces_of("Pendulum-v1"), config, generator(1, "w"))
    load_weights(policy, theirs.weights(action_scale=torch.ones(1)), source="it")
    obs = generator_of_obs((3,))
    with torch.no_grad():
        features = theirs.parts["fc2"](theirs.parts["fc1"](torch.from_numpy(obs)).relu()).relu()
        action = 2 * last["fc_mean"](features).tanh()
    np.testing.assert_allclose(greedy(policy, obs), action, rtol=1e-5, atol=1e-6)


def test_cleanrls_networks_of_images_see_here_what_they_see_there() -> None:
    """The order of channels, rows and columns behind the convolutions is the same."""
    obs_space, action_space = Box(0, 255, (4, 36, 36), np.uint8), Discrete(3)
    layers = [nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3, 1), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 512), nn.ReLU())
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (5, 4, 36, 36), np.uint8))
    theirs = CleanRL(network=network, actor=nn.Linear(512, 3), critic=nn.Linear(512, 1))
    policy = ActorCritic(obs_space, action_space, ActorCriticConfig(NetworkConfig(())), generator(1, "w"))
    load_weights(policy, theirs.weights(), source="it")
    with torch.no_grad():
        torch.testing.assert_close(
            policy.value({"obs": images}),
            theirs.parts["critic"](network(images / 255)).squeeze(-1),
            rtol=1e-4,
            atol=1e-5,
        )
    values = nn.Sequential(*network, nn.Linear(512, 3))
    of_values = QNetwork(obs_space, action_space, QNetworkConfig(NetworkConfig((), "relu")), generator(1, "w"))
    load_weights(of_values, CleanRL(network=values).weights(), source="it")
    with torch.no_grad():
        torch.testing.assert_close(of_values({"obs": images}).squeeze(-1), values(images / 255), rtol=1e-4, atol=1e-5)


def test_rllibs_ppo_acts_here_as_there(tmp_path: Path) -> None:
    from ray.rllib.algorithms.ppo.ppo_catalog import PPOCatalog
    from ray.rllib.algorithms.ppo.torch.default_ppo_torch_rl_module import DefaultPPOTorchRLModule
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

    obs_space, action_space = spaces_of("CartPole-v1")
    model_config = DefaultModelConfig(fcnet_hiddens=[16, 16], vf_share_layers=False)
    module = DefaultPPOTorchRLModule(
        observation_space=obs_space, action_space=action_space, model_config=model_config, catalog_class=PPOCatalog
    )
    save_file({name: torch.as_tensor(value) for name, value in module.get_state().items()}, tmp_path / "it.safetensors")
    policy = ActorCritic(obs_space, action_space, ActorCriticConfig(NetworkConfig((16, 16))), generator(1, "w"))
    load_weights(policy, read_weights(tmp_path / "it.safetensors").tensors, source="it")
    obs = torch.from_numpy(generator_of_obs((4,)))
    with torch.no_grad():
        logits = module.forward_inference({"obs": obs})["action_dist_inputs"]
        torch.testing.assert_close(policy.actor(obs), logits)
        torch.testing.assert_close(policy.value({"obs": obs}), module.compute_values({"obs": obs}))


def test_a_run_begins_with_a_file_of_stable_baselines3_and_goes_on_without_it(tmp_path: Path) -> None:
    file = tmp_path / "theirs.zip"
    model = stable_baselines3.PPO("MlpPolicy", "CartPole-v1", seed=3)
    model.save(file)
    options = ["--num-envs=2", "--agent.horizon=8", "--agent.minibatch-size=16", "--agent.epochs=1"]
    words = ["train", "ppo", "--env.id=CartPole-v1", "--tracker=none", *options]
    begun = [*words, f"--initial-weights={file}", "--agent.optimizer.learning-rate=1e-12"]
    assert main([*begun, "--env-steps=16", f"--run-dir={tmp_path / 'run'}"]) == 0
    obs = generator_of_obs((4,))
    np.testing.assert_array_equal(greedy(load_policy(tmp_path / "run"), obs), model.predict(obs, deterministic=True)[0])
    file.unlink()
    assert main(["resume", str(tmp_path / "run"), "--env-steps=32", f"--run-dir={tmp_path / 'child'}"]) == 0
    own = json.loads((tmp_path / "child" / "config.json").read_text())["chosen"]["initial_weights"]
    assert own == json.loads((tmp_path / "run" / "config.json").read_text())["chosen"]["initial_weights"]


@pytest.mark.parametrize("case", ["missing", "not_weights", "pickle", "activation", "going_on"])
def test_what_cannot_be_begun_with_is_one_line_and_no_folder(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "it.pt"
    words = ["train", "ppo", "--env.id=CartPole-v1", "--env-steps=2048", "--tracker=none", f"--initial-weights={file}"]
    said = f"initial_weights: {file} cannot be read: No such file or directory"
    if case == "not_weights":
        file.write_bytes(b"no weights")
        said = f"initial_weights = '{file}': it takes a .zip of Stable-Baselines3"
    if case == "pickle":
        torch.save({"actor.0.weight": Path("code")}, file)
        said = f"initial_weights = '{file}': it takes a .zip of Stable-Baselines3"
    if case == "activation":
        stable_baselines3.PPO("MlpPolicy", "CartPole-v1", policy_kwargs={"activation_fn": nn.ReLU}).save(
            tmp_path / "it.zip"
        )
        words[-1] = words[-1].replace(".pt", ".zip")
        said = "policy.network.activation = 'tanh': it takes 'relu', as"
    if case == "going_on":
        assert main([*words[:3], "--env-steps=1024", words[4], f"--run-dir={tmp_path / 'parent'}"]) == 0
        words = ["resume", str(tmp_path / "parent"), "--env-steps=2048", words[-1]]
        said = f"initial_weights = '{file}': it takes None where a run goes on"
    assert main([*words, f"--run-dir={tmp_path / 'run'}"]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
