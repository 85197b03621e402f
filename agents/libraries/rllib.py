"""Any algorithm of RLlib (its new API stack) as one experiment, on our environments, run folder and checkpoint.

One batch of the stream is one iteration of RLlib's, in which it acts and learns; nothing of how it does is changed. Its
state travels by its own `get_state` as arrays and numbers; its pickled saves are never called. What it cannot restore,
it says: episodes begin anew, random numbers are others, and a replay buffer starts empty.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium import Space, spaces

from agents.policies.policy import Acting, Mode, NetworkPolicy, is_float_box
from agents.recipes.acting import ActingConfig, finish, make_evaluation
from envs.config import EnvConfig
from envs.making import make_vec
from envs.returned import ContractError, of_reset, of_step
from envs.single import make_env
from envs.spaces import from_zero, leaves, row_bytes
from envs.vectors.vector import Arrays, EnvFault
from training.cluster.ray_session import connected
from training.core import Batch, Counters
from training.errors import UserError, require
from training.machine import require_memory
from training.metrics import Last, Metrics
from training.names import nearest
from training.optimizer.moments import continued
from training.recipe import fit_run
from training.run.compute import Compute, choose_device, choose_threads
from training.run.run import Run
from training.seeding import drawing_from
from training.state import State

MODULE = "default_policy"
ENVIRONMENT = "regimen"


@dataclass(frozen=True)
class RLlibPolicyConfig:
    """An algorithm and its arguments, by the names that RLlib gives them; together they make the policy."""

    algorithm: str = "PPO"
    """A class of ray.rllib.algorithms that has the new API stack."""
    arguments: dict[str, Any] = field(default_factory=dict)
    """Of `AlgorithmConfig.training`, such as lr and train_batch_size_per_learner."""
    model: dict[str, Any] = field(default_factory=dict)
    """Of RLlib's `DefaultModelConfig`, such as fcnet_hiddens."""

    def __post_init__(self) -> None:
        require(
            "model" not in self.arguments, "arguments.model", self.arguments.get("model"), "no model: it has `model`"
        )
        takes = "False: a policy with a memory is not adapted"
        require(not self.model.get("use_lstm"), "model.use_lstm", self.model.get("use_lstm"), takes)


@dataclass(frozen=True, kw_only=True)
class RLlibRunConfig(ActingConfig):
    """What to act in, with which algorithm, for how long. An experiment sets `agent`.

    `workers` are RLlib's env runners, `num_envs` are those of all of them together.
    """

    agent: RLlibPolicyConfig
    iteration_env_steps: int = 1_000
    """After how many `fit` may log, evaluate and save; RLlib finishes the step of its algorithm first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        takes = "'auto': RLlib divides its environments itself"
        require(self.groups == "auto", "groups", self.groups, takes)
        takes = "a backend without reset transitions, such as 'auto'"
        require(not self.env.has_reset_transitions, "env.backend", self.env.backend, takes)
        require(self.compile is not True, "compile", self.compile, "False: RLlib computes as it does")
        require(self.learners == 1, "learners", self.learners, "1: RLlib has learners of its own")
        require(self.device != "cuda", "device", self.device, "'cpu' or 'auto': RLlib learns on the CPU here")
        require(self.iteration_env_steps >= 1, "iteration_env_steps", self.iteration_env_steps, "at least 1")


def train(config: RLlibRunConfig, run: Run) -> None:
    """One run of an algorithm of RLlib."""
    observation_space, action_space = spaces_of(config)
    compute = Compute(choose_device(run, "cpu"), choose_threads(run, config.threads, multiplications=0), compile=False)
    with ExitStack() as stack:
        stack.enter_context(connected(config.ray_address, cpus=max(1, config.workers)))
        require_replay_memory(config.agent, observation_space, action_space)
        algorithm = make_algorithm(config)
        stack.callback(algorithm.stop)
        agent = RLlibAgent(algorithm, RLlibPolicy(observation_space, action_space, config.agent, _rng()))
        evaluate = stack.enter_context(closing(make_evaluation(config, run)))
        now, checkpoint = fit_run(config, run, compute, agent, Iterations(algorithm), evaluate)
        finish(run, agent, evaluate, now, checkpoint)


def spaces_of(config: RLlibRunConfig) -> tuple[Space[Any], Space[Any]]:
    """The environment's observation and action space.

    Raises UserError where RLlib would not act in it as it should, and EnvFault where its reset breaks the contract.
    """
    with closing(make_vec(replace(config.env, backend="in-process"), 1, seed=config.seed)) as vec:
        masked = vec.reset().action_mask is not None
        require(not masked, "agent.algorithm", config.agent.algorithm, "none of RLlib's where actions are masked")
        require_actions(vec.action_space)
        return vec.observation_space, vec.action_space


def require_actions(space: Space[Any]) -> None:
    """Raises UserError for actions that RLlib's default models do not take, or that are not one array."""
    discrete = isinstance(space, spaces.Discrete) or (isinstance(space, spaces.MultiDiscrete) and len(space.shape) == 1)
    takes = "actions that are a Box of floats, Discrete, or MultiDiscrete of one dimension: RLlib takes no other here"
    require(discrete or is_float_box(space), "env", space, takes)


def require_replay_memory(config: RLlibPolicyConfig, observations: Space[Any], actions: Space[Any]) -> None:
    """As `require_memory`, for the observations, actions and rewards of a replay buffer; RLlib keeps more beside."""
    capacity = (getattr(settings(config), "replay_buffer_config", None) or {}).get("capacity")
    if isinstance(capacity, int):
        needed = capacity * (row_bytes(observations) + row_bytes(actions) + 8)
        what = f"agent: a replay_buffer_config with a capacity of {capacity:,}"
        require_memory(needed, what, "a smaller capacity takes less")


def make_algorithm(config: RLlibRunConfig) -> Any:
    """RLlib's algorithm on the environments of the config; Ray must be connected. Raises UserError as `settings` does.

    With no workers it acts in this process.
    """
    from ray.tune.registry import register_env

    register_env(ENVIRONMENT, _EnvMaker(config.env))
    theirs = settings(config.agent)
    theirs.environment(ENVIRONMENT)
    theirs.env_runners(
        num_env_runners=config.workers, num_envs_per_env_runner=config.num_envs // max(1, config.workers)
    )
    theirs.learners(num_learners=0, num_gpus_per_learner=0)
    # By env steps alone: some algorithms would end an iteration by the clock.
    theirs.reporting(min_time_s_per_iteration=None, min_sample_timesteps_per_iteration=config.iteration_env_steps)
    theirs.debugging(seed=config.seed, log_level="ERROR")
    try:
        return theirs.build_algo()
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UserError(f"agent: RLlib's {config.agent.algorithm} refuses this: {_line(error)}") from error


def settings(config: RLlibPolicyConfig) -> Any:
    """RLlib's own config object, with the arguments and the model.

    Raises UserError for an algorithm, an argument or a model field that RLlib does not know or refuses.
    """
    from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig

    logging.getLogger("ray.rllib").setLevel(logging.ERROR)
    known = {name for kind in inspect.getmro(_class(config.algorithm)) for name in _parameters(kind)}
    for name, value in config.arguments.items():
        require(name in known, f"agent.arguments.{name}", value, f"no such argument; {nearest(name, sorted(known))}")
    names = [own.name for own in fields(DefaultModelConfig)]
    for name, value in config.model.items():
        require(name in names, f"agent.model.{name}", value, f"no such field; {nearest(name, names)}")
    theirs = _class(config.algorithm)()
    theirs.api_stack(enable_rl_module_and_learner=True, enable_env_runner_and_connector_v2=True)
    theirs.framework("torch")
    try:
        theirs.training(**config.arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"agent.arguments: RLlib's {config.algorithm} refuses them: {_line(error)}") from error
    if config.model:
        theirs.rl_module(model_config=DefaultModelConfig(**config.model))
    return theirs


class RLlibPolicy(NetworkPolicy):
    """A module of RLlib's under our contract: evaluated, recorded, loaded and used like any other policy.

    Bounded continuous actions are learned in [-1, 1], as RLlib does by default.
    """

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        config: RLlibPolicyConfig,
        rng: torch.Generator,
    ) -> None:
        # RLlib rescales a Box only if all of it has bounds.
        bounded = is_float_box(action_space) and action_space.is_bounded("both")
        super().__init__(observation_space, action_space, config, rescale_action=bounded)
        box = isinstance(observation_space, spaces.Box)
        require(box, "env", observation_space, "observations that are one Box: RLlib's default models take no other")
        require_actions(action_space)
        with drawing_from(rng.initial_seed()):
            spec = settings(config).get_rl_module_spec(spaces={MODULE: (observation_space, from_zero(action_space))})
            try:
                self.module = spec.build()
            except (NotImplementedError, TypeError, ValueError) as error:
                raise UserError(f"agent: RLlib's {config.algorithm} refuses this: {_line(error)}") from error

    def acting(self, mode: Mode, rows: int) -> Acting:
        @torch.no_grad()
        def act(step: Arrays, state: Arrays, noise: Arrays) -> tuple[Arrays, Arrays]:
            takes = "none of RLlib's where actions are masked"
            require("action_mask" not in step, "agent.algorithm", self.config.algorithm, takes)
            outputs = self.module.forward_inference({"obs": torch.from_numpy(np.ascontiguousarray(step["obs"]))})
            if "actions" in outputs:
                return {"action": outputs["actions"].numpy()}, state
            chances = self.module.get_inference_action_dist_cls().from_logits(outputs["action_dist_inputs"])
            if mode == "greedy":
                return {"action": chances.to_deterministic().sample().numpy()}, state
            with drawing_from(int(noise["seed"].flat[0])):
                return {"action": chances.sample().numpy()}, state

        return act

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Arrays:
        return {"seed": torch.randint(2**31, leading, generator=rng).numpy()}

    def load_weights(self, weights: Mapping[str, Any]) -> None:
        """Takes those of RLlib's learner, which may have more: critics, target networks."""
        own = self.module.state_dict()
        self.module.load_state_dict({name: torch.as_tensor(np.asarray(weights[name])) for name in own})


class RLlibAgent:
    """The half of an algorithm that learned something: its policy, optimizers and counts; it learns in `Iterations`."""

    def __init__(self, algorithm: Any, policy: RLlibPolicy) -> None:
        self._algorithm, self.policy = algorithm, policy

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        """Nothing is left to do: the iteration has learned already."""
        return {}, {}

    def state_dict(self) -> State:
        self.policy.load_weights(self._algorithm.learner_group.get_weights()[MODULE])
        return {"policy": self.policy.save(), "rllib": to_plain(self._algorithm.get_state())}

    def load_state_dict(self, state: State) -> None:
        """Its `set_state` restores no argument but those of the optimizers, such as the learning rate: they stay."""
        saved, own = from_plain(state["rllib"]), self._algorithm.get_state(components=["learner_group"])
        optimizers, made = (each["learner_group"]["learner"]["optimizer"] for each in (saved, own))
        for name, optimizer in optimizers.items():
            optimizer["state"] = continued(made[name]["state"], optimizer["state"], name)
        self._algorithm.set_state(saved)


class Iterations:
    """The stream: `next` lets the algorithm act and learn for one iteration, and gives an empty batch."""

    def __init__(self, algorithm: Any) -> None:
        self._algorithm = algorithm
        self.inexact: list[str] = []

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        try:
            result = self._algorithm.train()
        except RuntimeError as error:
            if isinstance(error.__cause__, EnvFault):  # around which RLlib puts an error that says nothing
                raise error.__cause__ from error.__cause__.__cause__
            raise
        env_steps = int(result["num_env_steps_sampled_lifetime"]) - now.env_steps
        acted, learned = result["env_runners"], result.get("learners", {}).get(MODULE, {})
        told = {"rollout/return_mean": acted.get("episode_return_mean")}
        told |= {f"rllib/{name}": value for name, value in learned.items()}
        metrics: Metrics = {
            name: Last(float(value)) for name, value in told.items() if isinstance(value, int | float | np.number)
        }
        return {}, now.advance(env_steps=env_steps, samples=env_steps), metrics

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back."""

    def state_dict(self) -> State:
        return {"replay": getattr(self._algorithm, "local_replay_buffer", None) is not None}

    def load_state_dict(self, state: State) -> None:
        self.inexact = ["RLlib cannot continue its episodes and random numbers: both begin anew"]
        if state["replay"]:
            self.inexact.append("RLlib's replay buffer is not saved: it starts empty")


class _EnvMaker:
    """Makes one of our environments, in this process or in an env runner's."""

    def __init__(self, config: EnvConfig) -> None:
        self._config = config

    def __call__(self, _: Any) -> Any:
        return _CountedFromZero(make_env(self._config), self._config.id)


class _CountedFromZero(gym.Wrapper[Any, Any, Any, Any]):
    """An environment whose discrete actions count from 0, as RLlib's do, whatever their space's `start`.

    Raises EnvFault where the environment fails or breaks Gymnasium's contract.
    """

    def __init__(self, env: gym.Env[Any, Any], env_id: str) -> None:
        super().__init__(env)
        (self._leaf,) = leaves(env.action_space)
        self._id = env_id
        self.action_space = from_zero(env.action_space)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        obs, info = self._call(lambda: of_reset(self.env.reset(seed=seed, options=options)))
        return obs, dict(info)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        own = action if self._leaf.counts is None else self._leaf.decode(np.asarray(action))
        obs, reward, terminated, truncated, info = self._call(lambda: of_step(self.env.step(own)))
        return obs, reward, terminated, truncated, dict(info)

    def _call(self, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except ContractError as error:
            raise EnvFault(f"{self._id}: {error}") from error
        except Exception as error:
            raise EnvFault(f"{self._id}: it raised {type(error).__name__}: {error}") from error


def to_plain(value: Any, place: str = "rllib") -> Any:
    """RLlib's state as what a checkpoint can hold; tuples, and dicts whose keys are numbers, are marked as such.

    Raises TypeError, naming the place, for anything else: it would have to be pickled.
    """
    if isinstance(value, dict):
        if all(isinstance(key, str) for key in value):
            return {key: to_plain(inner, f"{place}.{key}") for key, inner in value.items()}
        keys = [to_plain(key, f"{place} (a key)") for key in value]
        return {"<keys>": keys, "<values>": [to_plain(inner, f"{place}.{key}") for key, inner in value.items()]}
    if isinstance(value, list | tuple):
        inner = [to_plain(one, f"{place}[{index}]") for index, one in enumerate(value)]
        return {"<tuple>": inner} if isinstance(value, tuple) else inner
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str | np.ndarray | torch.Tensor):
        return value
    raise TypeError(f"{place} is a {type(value).__name__}: no checkpoint can hold it")


def from_plain(value: Any) -> Any:
    """The inverse of `to_plain`."""
    if isinstance(value, list):
        return [from_plain(one) for one in value]
    if not isinstance(value, dict):
        return value.numpy() if isinstance(value, torch.Tensor) else value
    if set(value) == {"<tuple>"}:
        return tuple(from_plain(one) for one in value["<tuple>"])
    if set(value) == {"<keys>", "<values>"}:
        return dict(zip(from_plain(value["<keys>"]), from_plain(value["<values>"]), strict=True))
    return {key: from_plain(inner) for key, inner in value.items()}


def _class(name: str) -> Any:
    """The config class of an algorithm. Raises UserError where RLlib has none of this name."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    algorithms = import_module("ray.rllib.algorithms")
    kind = getattr(algorithms, f"{name}Config", None)
    if kind is None:
        known = [known.removesuffix("Config") for known in dir(algorithms) if known.endswith("Config")]
        raise UserError(f"agent.algorithm = {name!r}: {nearest(name, [other for other in known if other])}")
    return kind


def _parameters(kind: type) -> list[str]:
    own = vars(kind).get("training")
    return [name for name in inspect.signature(own).parameters if name not in ("self", "kwargs")] if own else []


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _rng() -> torch.Generator:
    """Of weights that RLlib's own take the place of."""
    return torch.Generator().manual_seed(0)
