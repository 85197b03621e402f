"""Any algorithm of Stable-Baselines3 or sb3-contrib as one experiment, on our environments, run folder and checkpoint.

Its `learn` is called once for the whole budget, so that its schedules are as they are without us. It runs in a thread
of its own, which waits wherever a rollout begins and enough env steps were taken: that is where `fit` logs, evaluates
and saves. What its state is made of travels as named tensors; its pickled saves are never called.
"""

from __future__ import annotations

import inspect
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from importlib import import_module
from itertools import chain, repeat
from threading import Semaphore, Thread
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import Space, spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, unwrap_vec_normalize
from torch import nn

from agents.acting.collector import Episode, episode_metrics
from agents.libraries.sb3_state import (
    arrays_of,
    as_before,
    buffer_bytes,
    changed,
    copied,
    fill,
    filled,
    noises_of,
    own_values,
    plain,
    replay_of,
)
from agents.libraries.sb3_vec_env import SB3VecEnv, observations_for_sb3
from agents.policies.policy import Acting, Mode, NetworkPolicy, is_float_box
from agents.recipes.acting import ActingConfig, finish, make_evaluation
from envs.making import make_vec
from envs.vectors.vector import Arrays, VectorEnv
from training.core import Batch, Budget, Counters
from training.errors import UserError, require
from training.extras import install_command
from training.machine import GIB, memory_here, require_memory
from training.metrics import Last, Metrics
from training.networks import Normalizer
from training.optimizer.moments import continued
from training.recipe import fit_run
from training.run.compute import Compute, choose_device, choose_threads, multiplications_of
from training.run.run import Run
from training.seeding import derived_seed, drawing_from
from training.state import State

OURS = (
    *("policy", "env", "policy_kwargs", "action_noise", "seed", "device", "verbose", "tensorboard_log"),
    "_init_setup_model",
)
"""Arguments of the constructors that have a field of their own, or are not for the user to set."""
REFUSED = ("replay_buffer_class", "rollout_buffer_class")
"""Classes, which no config can name."""
SMALLER = "a smaller agent.arguments.buffer_size, or n_steps where it learns on-policy, takes less"


@dataclass(frozen=True)
class SB3PolicyConfig:
    """An algorithm and its arguments, by the names that Stable-Baselines3 gives them; together they make the policy."""

    algorithm: str = "PPO"
    """A class of stable_baselines3 or sb3_contrib."""
    policy: str = "MlpPolicy"
    arguments: dict[str, Any] = field(default_factory=dict)
    """Of its constructor; "lin_<number>" is a schedule that falls from there to 0, as in RL Zoo's files."""
    policy_kwargs: dict[str, Any] = field(default_factory=dict)
    """As there; `activation_fn` and `optimizer_class` by their names in torch.nn and torch.optim."""
    action_noise: Literal["normal", "ornstein_uhlenbeck"] | None = None
    action_noise_std: float = 0.1
    normalize_observation: bool = False
    """By running statistics, in VecNormalize; `normalize: true` in RL Zoo's files is this and the next."""
    normalize_reward: bool = False
    """Divided by the running standard deviation of the discounted return."""

    def __post_init__(self) -> None:
        for name in (*OURS, *REFUSED):
            takes = "no such argument here" if name in REFUSED else "no such argument: the run sets it"
            require(name not in self.arguments, f"arguments.{name}", self.arguments.get(name), takes)
        require(self.action_noise_std >= 0, "action_noise_std", self.action_noise_std, "a number of at least 0")


@dataclass(frozen=True, kw_only=True)
class SB3RunConfig(ActingConfig):
    """What to act in, with which algorithm, for how long. An experiment sets `agent`."""

    agent: SB3PolicyConfig
    num_envs: int = 1
    """All environments together."""
    iteration_env_steps: int = 1_000
    """After how many `fit` may log, evaluate and save; the rollout that is running then is finished first."""

    def __post_init__(self) -> None:
        super().__post_init__()
        takes = "0: Stable-Baselines3 steps its environments in this process"
        require(self.workers == 0, "workers", self.workers, takes)
        takes = "1: Stable-Baselines3 acts for all environments at once"
        require(self.inference_groups == 1, "groups", self.groups, takes)
        require(self.compile is not True, "compile", self.compile, "False: Stable-Baselines3 computes as it does")
        alone = self.agent.algorithm != "ARS" or self.num_envs == 1
        require(alone, "num_envs", self.num_envs, "1 for ARS, which tries one policy after the other")
        require(self.iteration_env_steps >= 1, "iteration_env_steps", self.iteration_env_steps, "at least 1")
        takes = "a backend without reset transitions, such as 'auto'"
        require(not self.env.has_reset_transitions, "env.backend", self.env.backend, takes)


def train(config: SB3RunConfig, run: Run) -> None:
    """One run of an algorithm of Stable-Baselines3."""
    device = choose_device(run, config.device)
    with ExitStack() as stack:
        vec = make_vec(config.env, config.num_envs, seed=derived_seed(config.seed, "environments"))
        stack.enter_context(closing(vec))
        model = make_model(
            config.agent, SB3VecEnv(vec, vec.observation_space, vec.action_space), seed=config.seed, device=device
        )
        require_memory(buffer_bytes(model), f"agent: the memory of {config.agent.algorithm}", SMALLER)
        samples = getattr(model, "batch_size", None) or getattr(model, "n_steps", 1) * config.num_envs
        threads = choose_threads(run, config.threads, multiplications=multiplications_of(model.policy, samples))
        compute = Compute(device, threads, compile=False)
        stream = stack.enter_context(closing(Learning(model, vec, config.iteration_env_steps, config.until)))
        evaluate = stack.enter_context(closing(make_evaluation(config, run)))
        agent = SB3Agent(model, config.agent)
        if vec.current().action_mask is not None:
            require_masks_taken(agent.policy.takes_masks, config.agent)
        now, checkpoint = fit_run(config, run, compute, agent, stream, evaluate)
        finish(run, agent, evaluate, now, checkpoint)


def require_masks_taken(takes_masks: bool, config: SB3PolicyConfig) -> None:
    """Raises UserError for an algorithm that would not heed what is allowed."""
    require(takes_masks, "agent.algorithm", config.algorithm, "MaskablePPO where actions are masked")


def make_model(
    config: SB3PolicyConfig, envs: SB3VecEnv, *, seed: int | None, device: torch.device | str = "cpu"
) -> BaseAlgorithm:
    """The algorithm with these arguments on these environments.

    Raises UserError for a name or an argument that Stable-Baselines3 does not know or refuses.
    """
    make = _algorithm(config.algorithm)
    known = [name for name in inspect.signature(make).parameters if name not in (*OURS, *REFUSED)]
    for name, value in config.arguments.items():
        require(name in known, f"agent.arguments.{name}", value, f"no such argument: it knows {', '.join(known)}")
    arguments = {name: _scheduled(name, value) for name, value in deepcopy(config.arguments).items()}
    if config.action_noise is not None:
        shape = envs.action_space.shape or ()
        kind = NormalActionNoise if config.action_noise == "normal" else OrnsteinUhlenbeckActionNoise
        arguments["action_noise"] = kind(np.zeros(shape), np.full(shape, config.action_noise_std))
    policy_kwargs = {name: _named_class(name, value) for name, value in config.policy_kwargs.items()}
    with _refusals(config.algorithm), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises on devices and batch sizes, each time a policy is made
        model = make(
            config.policy,
            _normalized(envs, config, make),
            policy_kwargs=policy_kwargs,
            seed=seed,
            device=device,
            **arguments,
        )
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def _normalized(envs: SB3VecEnv, config: SB3PolicyConfig, make: type[BaseAlgorithm]) -> VecEnv:
    """The environments in VecNormalize where the config asks for it, with the discount of the algorithm."""
    if not (config.normalize_observation or config.normalize_reward):
        return envs
    obs = envs.observation_space
    parts = obs.spaces.values() if isinstance(obs, spaces.Dict) else [obs]
    continuous = all(map(is_float_box, parts))
    takes = f"False for {obs}: it needs continuous observations"
    asked = config.normalize_observation
    require(continuous or not asked, "agent.normalize_observation", asked, takes)
    default = inspect.signature(make).parameters.get("gamma")
    gamma = config.arguments.get("gamma", 0.99 if default is None else default.default)
    return VecNormalize(envs, norm_obs=asked, norm_reward=config.normalize_reward, gamma=gamma)


@contextmanager
def _refusals(algorithm: str) -> Iterator[None]:
    """What is raised where arguments, spaces and environments do not fit together is one line for the user."""
    try:
        yield
    except MemoryError as error:
        has = f"this machine has {memory_here().total / GIB:.1f} GiB"
        raise UserError(f"agent: the memory of {algorithm}: {error}; {has}; {SMALLER}") from error
    except (AssertionError, NotImplementedError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"agent: {algorithm} of Stable-Baselines3 refuses this: {reason}") from error


class SB3Policy(NetworkPolicy):
    """A policy of Stable-Baselines3 under our contract: evaluated, recorded, loaded and used like any other."""

    def __init__(
        self,
        observation_space: Space[Any],
        action_space: Space[Any],
        config: SB3PolicyConfig,
        rng: torch.Generator,
        *,
        network: nn.Module | None = None,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            config,
            rescale_action=False,
            normalize_observation=config.normalize_observation,
        )
        if network is None:
            small = {"buffer_size": 1, "learning_starts": 0}  # the policy is wanted, not its memory
            known = inspect.signature(_algorithm(config.algorithm)).parameters
            arguments = config.arguments | {key: value for key, value in small.items() if key in known}
            without_memory = SB3PolicyConfig(config.algorithm, config.policy, arguments, config.policy_kwargs)
            with drawing_from(rng.initial_seed(), torch.device("cpu")):
                envs = SB3VecEnv(None, observation_space, action_space)
                network = make_model(without_memory, envs, seed=None).policy
        self.network = network
        self.takes_masks = "action_masks" in inspect.signature(network.predict).parameters  # type: ignore[arg-type]
        self._takes_state = hasattr(network, "lstm_actor")

    @property
    def has_memory(self) -> bool:  # type: ignore[override]
        """Whether it is a recurrent policy."""
        return self._takes_state

    def acting(self, mode: Mode, rows: int) -> Acting:
        normalize = self.normalization_of_arrays()

        def act(step: Arrays, state: Arrays, noise: Arrays) -> tuple[Arrays, Arrays]:
            obs = observations_for_sb3(normalize(step), self.observation_space)
            more: dict[str, Any] = {}
            if "action_mask" in step:
                require_masks_taken(self.takes_masks, self.config)
                more["action_masks"] = step["action_mask"]
            if self._takes_state:
                more["state"] = tuple(state[name].swapaxes(0, 1) for name in ("h", "c")) if state else None
                more["episode_start"] = step["is_first"]
            if mode == "greedy":
                action, after = self._predict(obs, deterministic=True, **more)
            else:
                with drawing_from(int(noise["seed"].flat[0]), self.device):
                    action, after = self._predict(obs, deterministic=False, **more)
            if after is None:
                return {"action": action}, state
            return {"action": action}, {name: part.swapaxes(0, 1) for name, part in zip("hc", after, strict=True)}

        return act

    def _predict(self, obs: Any, **how: Any) -> tuple[Any, Any]:
        training = self.network.training
        action, after = self.network.predict(obs, **how)  # type: ignore[operator]
        self.network.train(training)
        return action, after

    def noise(self, leading: tuple[int, ...], rng: torch.Generator) -> Arrays:
        return {"seed": torch.randint(2**31, leading, generator=rng).numpy()}

    def env_action(self, action: Arrays) -> Arrays:
        """Its actions are the environment's already, but for the type of those that a network of Bernoullis gives."""
        return {"action": action["action"].astype(self.action_space.dtype, copy=False)}

    def learned_action(self, action: Arrays) -> Arrays:
        return action


class SB3Agent:
    """The half of a model that learned something: its policy, optimizers and variables; its update is in `Learning`."""

    def __init__(self, model: BaseAlgorithm, config: SB3PolicyConfig) -> None:
        self._model, self._made = model, copied(own_values(model))
        envs = model.get_env()
        assert envs is not None
        self._statistics = unwrap_vec_normalize(envs)
        self.policy = SB3Policy(*_original(envs).env_spaces, config, torch.Generator(), network=model.policy)

    def update(self, batch: Batch, now: Counters) -> tuple[Metrics, Batch]:
        self._give_statistics()
        logger = self._model.logger
        metrics: Metrics = {
            name.replace("train/", "stable_baselines3/"): Last(float(value))
            for name, value in logger.name_to_value.items()
            if name.startswith("train/") and isinstance(value, int | float | np.number)
        }
        logger.dump()  # forgets them: what the next iteration does not measure is not in its row
        return metrics, {}

    def _give_statistics(self) -> None:
        """What the environments have seen so far, to the policy."""
        for key, normalizer in self.policy.normalizers.items():
            assert isinstance(normalizer, Normalizer)
            seen = self._seen(key)
            normalizer.mean.copy_(torch.as_tensor(seen.mean))
            normalizer.variance.copy_(torch.as_tensor(seen.var))
            normalizer.count.fill_(seen.count)

    def _take_statistics(self) -> None:
        """The inverse."""
        for key, normalizer in self.policy.normalizers.items():
            assert isinstance(normalizer, Normalizer)
            seen = self._seen(key)
            seen.mean, seen.var = normalizer.mean.cpu().numpy().copy(), normalizer.variance.cpu().numpy().copy()
            seen.count = float(normalizer.count)

    def _seen(self, key: str) -> RunningMeanStd:
        """The statistics of an observation that VecNormalize has."""
        assert self._statistics is not None
        seen: Any = self._statistics.obs_rms
        return seen[key.removeprefix("obs/")] if isinstance(seen, dict) else seen  # type: ignore[no-any-return]

    def state_dict(self) -> State:
        self._give_statistics()
        parameters = {name: part for name, part in self._model.get_parameters().items() if name != "policy"}
        own = changed(own_values(self._model), self._made)
        returned = {} if self._statistics is None else vars(self._statistics.ret_rms)
        returns = {name: float(value) for name, value in returned.items()}
        return {"policy": self.policy.save(), "parameters": parameters, "own": own, "returns": returns}

    def load_state_dict(self, state: State) -> None:
        model: Any = self._model
        weights, statistics = _split(state["policy"]["weights"])
        normalizes = bool(statistics)
        takes = f"{normalizes}, as the checkpoint's policy has it"
        asked = bool(self.policy.normalizers)
        require(asked == normalizes, "agent.normalize_observation", asked, takes)
        self.policy.normalizers.load_state_dict(statistics)
        self._take_statistics()
        if self._statistics is not None:
            vars(self._statistics.ret_rms).update(state["returns"])
        parameters: dict[str, Any] = {"policy": weights}
        for name, own in model.get_parameters().items():
            if name != "policy":  # an optimizer; one of a variable that was fixed before begins anew
                saved = state["parameters"].get(name, own)
                parameters[name] = continued(own, saved, name)
        model.set_parameters(parameters, exact_match=True)
        for name, made in self._made.items():
            value = state["own"].get(name, made)
            if isinstance(made, torch.Tensor):
                getattr(model, name).data.copy_(value)  # an optimizer holds this very tensor
            else:
                setattr(model, name, value)
        # What a schedule gives is not saved but asked for, of this run's budget.
        model._update_current_progress_remaining(model.num_timesteps, model._total_timesteps)
        if model.num_timesteps and hasattr(model, "exploration_schedule"):
            model.exploration_rate = model.exploration_schedule(model._current_progress_remaining)


class Learning:
    """The stream of a model: `next` lets it act and learn for some env steps, and gives an empty batch.

    Args:
        model: made by `make_model`, on `vec`.
        vec: its environments.
        env_steps: of one batch, at least; the rollout that is running then is finished first.
        until: what its schedules end with.
    """

    def __init__(self, model: BaseAlgorithm, vec: VectorEnv, env_steps: int, until: Budget) -> None:
        envs = model.get_env()
        assert envs is not None
        self._model, self._vec, self._env_steps, self._envs = model, vec, env_steps, _original(envs)
        self._statistics = unwrap_vec_normalize(envs)
        self._target = 0
        self._go, self._waits = Semaphore(0), Semaphore(0)
        self._error: BaseException | None = None
        self._closed = self._ended = False
        self.inexact: list[str] = []
        self._thread = Thread(target=self._learn, args=(until.count,), name="stable-baselines3", daemon=True)
        self._thread.start()
        with _refusals(type(model).__name__):  # of what it checks only now, such as masks
            self._wait()
        self._noises = [copied(arrays_of(part)) for part in noises_of(model)]

    def next(self, now: Counters) -> tuple[Batch, Counters, Metrics]:
        before = self._model.num_timesteps
        self._target = before + self._env_steps
        self._go.release()
        self._wait()
        env_steps = self._model.num_timesteps - before
        ended = [Episode(*counts) for counts in self._envs.take_ended()]
        return {}, now.advance(env_steps=env_steps, samples=env_steps), episode_metrics(ended)

    def learned(self, feedback: Batch) -> None:
        """Nothing comes back: it has learned already."""

    def state_dict(self) -> State:
        model = self._model
        return {
            "env": self._vec.state_dict(),
            "episodes": self._envs.counts(),
            "discounted_returns": None if self._statistics is None else self._statistics.returns.copy(),
            "memory": plain(getattr(model, "_last_lstm_states", None)),
            "replay": filled(buffer) if (buffer := replay_of(model)) is not None else {},
            "noise": [
                changed(arrays_of(part), made) for part, made in zip(noises_of(model), self._noises, strict=True)
            ],
            "ended": self._ended,
            "random": {
                "torch": torch.get_rng_state(),
                "cuda": torch.cuda.get_rng_state(model.device) if model.device.type == "cuda" else None,
                "numpy": np.random.get_state(),  # its buffers draw from there
                "python": random.getstate(),
                "actions": model.action_space.np_random.bit_generator.state,
            },
        }

    def load_state_dict(self, state: State) -> None:
        model = self._model
        self._vec.load_state_dict(state["env"])
        self._envs.set_counts(state["episodes"])
        self.inexact = list(self._vec.inexact)
        if not _is_whole_at_rollout(model):
            self.inexact.append(f"{type(model).__name__} of sb3-contrib keeps some of its state to itself")
        assert model.env is not None
        with self._statistics_unchanged():
            model._last_obs = model.env.reset()  # type: ignore[assignment]  # with the strides that its wrappers give
        model._last_episode_starts = first = self._vec.episode_steps == 0
        if self._statistics is not None:
            model._last_original_obs = self._statistics.get_original_obs()
            if state["discounted_returns"] is not None:
                self._statistics.returns = np.where(first, 0.0, state["discounted_returns"])
        if state["memory"] is not None:
            model._last_lstm_states = as_before(model._last_lstm_states, state["memory"])  # type: ignore[attr-defined]
        if (buffer := replay_of(model)) is not None:
            fill(buffer, state["replay"])
            # An episode that could not be continued ends there, for what follows is another.
            ends = buffer.dones if buffer.optimize_memory_usage else buffer.timeouts
            ends[buffer.pos - 1, first & (state["episodes"]["length"] > 0)] = True
        # Noise that was not there, or is of another kind, is as the config made it; gSDE's comes first.
        saved: Iterator[Mapping[str, Any]] = chain(state["noise"], repeat({}))
        for part, made, arrays in zip(noises_of(model), self._noises, saved, strict=False):
            values = {name: arrays.get(name, value) for name, value in made.items()}
            vars(part).update({name: _on(model.device, value) for name, value in copied(values).items()})
        drawn = state["random"]
        torch.set_rng_state(drawn["torch"])
        if drawn["cuda"] is not None:
            torch.cuda.set_rng_state(drawn["cuda"], model.device)
        np.random.set_state(drawn["numpy"])
        random.setstate(drawn["python"])
        model.action_space.np_random.bit_generator.state = drawn["actions"]
        if state["ended"] and model.use_sde:
            # This model waits where a rollout has begun, and drew its matrices; the one that ended never came there.
            acting: Any = getattr(model, "actor", model.policy)
            acting.reset_noise(self._vec.num_envs)

    @contextmanager
    def _statistics_unchanged(self) -> Iterator[None]:
        """For observations that have been taken in already."""
        if self._statistics is not None:
            self._statistics.training = False
        yield
        if self._statistics is not None:
            self._statistics.training = True

    def close(self) -> None:
        """Ends the thread; the model is left where it is."""
        self._closed = True
        self._go.release()
        self._thread.join()

    def _learn(self, env_steps: int) -> None:
        try:
            self._model.learn(env_steps, callback=_AtRollout(self._pause), log_interval=None)  # type: ignore[arg-type]
        except _Closed:
            pass
        except BaseException as error:  # it is raised again where `next` waits
            self._error = error
        self._ended = True
        self._waits.release()

    def _pause(self) -> None:
        """Called by Stable-Baselines3 where a rollout begins."""
        if self._model.num_timesteps >= self._target:
            self._waits.release()
            self._go.acquire()
        if self._closed:
            raise _Closed

    def _wait(self) -> None:
        self._waits.acquire()
        if self._error is not None:
            raise self._error


class _Closed(Exception):  # noqa: N818 - nothing went wrong
    """The run ends before the budget of `learn` is spent."""


class _AtRollout(BaseCallback):
    """Calls a function where a rollout begins."""

    def __init__(self, call: Callable[[], None]) -> None:
        super().__init__()
        self._call = call

    def _on_training_start(self) -> None:
        if not _is_whole_at_rollout(self.model):
            self._call()

    def _on_rollout_start(self) -> None:
        self._call()

    def _on_step(self) -> bool:
        return True


def _algorithm(name: str) -> type[BaseAlgorithm]:
    """The class; raises UserError where neither library has it."""
    known: list[str] = []
    for library in ("stable_baselines3", "sb3_contrib"):
        try:
            module = import_module(library)
        except ImportError:
            takes = f"{', '.join(known)}; for others install sb3-contrib: {install_command('contrib')}"
            raise UserError(f"agent.algorithm = {name!r}: it takes {takes}") from None
        found = {
            key: value
            for key, value in vars(module).items()
            if inspect.isclass(value) and issubclass(value, BaseAlgorithm)
        }
        if name in found:
            return found[name]
        known += found
    raise UserError(f"agent.algorithm = {name!r}: it takes {', '.join(known)}")


def _scheduled(name: str, value: Any) -> Any:
    """An argument as its constructor takes it: "lin_0.001" is a function of what is left of the budget."""
    if not (isinstance(value, str) and value.startswith("lin_")):
        return tuple(value) if isinstance(value, list) else value
    try:
        return LinearSchedule(float(value.removeprefix("lin_")), 0.0, 1.0)
    except ValueError:
        raise UserError(f"agent.arguments.{name} = {value!r}: it takes a number after lin_") from None


def _split(weights: State) -> tuple[State, State]:
    """Those of the library's policy and of our normalizers, without their prefixes."""
    network, normalizers = (
        {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
        for prefix in ("network.", "normalizers.")
    )
    return network, normalizers


def _named_class(name: str, value: Any) -> Any:
    """A class of torch for its name, where an argument of a policy is one."""
    module = {"activation_fn": nn, "optimizer_class": torch.optim}.get(name)
    if module is None:
        return value
    found = getattr(module, str(value), None)
    wanted = nn.Module if module is nn else torch.optim.Optimizer
    known = inspect.isclass(found) and issubclass(found, wanted)
    require(known, f"agent.policy_kwargs.{name}", value, f"the name of a class of {module.__name__}")
    return found


def _original(envs: Any) -> SB3VecEnv:
    """Our environments inside what Stable-Baselines3 has wrapped around them."""
    while not isinstance(envs, SB3VecEnv):
        envs = envs.venv
    return envs


def _is_whole_at_rollout(model: BaseAlgorithm) -> bool:
    """Whether all of its state is in the model where a rollout begins.

    ARS has drawn by then what it is about to try, around the weights that it had: it takes a state before that.
    """
    return isinstance(model, OnPolicyAlgorithm | OffPolicyAlgorithm)


def _on(device: torch.device, value: Any) -> Any:
    return value.to(device) if isinstance(value, torch.Tensor) else value
