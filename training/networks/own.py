"""An encoder of somebody's own: any torch.nn.Module that a config names by its import path.

    # nets.py
    class Encoder(torch.nn.Module):
        def __init__(self, observation_spaces, width=64):
            super().__init__()
            (inputs,) = observation_spaces["obs"].shape
            self.layers = torch.nn.Sequential(torch.nn.Linear(inputs, width), torch.nn.ReLU())
            self.out_features = width

        def forward(self, observations):
            return self.layers(observations["obs"])

    python -m experiments train ppo_cartpole --policy.network.module nets:Encoder \\
        --policy.network.module-kwargs '{"width": 32}'

- It is built with the observation spaces {key: Space} and its `module_kwargs`. The keys are those of a batch: `obs`, or
  `obs/<name>` for each part of a Dict or Tuple; discrete values count from 0.
- `forward` takes observations {key: [B, *shape]} and returns features [B, F]. Numbers are float32, normalized where the
  policy normalizes them; images and discrete values are integers as the environment gives them. The layers of `hidden`
  come after it. Where it has an attribute `out_features`, that is F.
- Or it is a features extractor as Stable-Baselines3 knows them: its first argument is `observation_space`. It is built
  with the one space (images channels first; a Dict of a Dict) and takes what Stable-Baselines3 would give it: floats,
  images in [0, 1] with channels first, discrete values as one-hot vectors.
- Its weights are as its constructor leaves them: drawn by the run's seed, or loaded by itself, such as pretrained ones.
  What changes in it must be parameters or buffers, which are saved, resumed and sent to workers. Parameters are frozen
  by a rule of the optimizer (`agent.optimizer.rules`), as all others are.
- Train mode is where gradients are computed, eval mode where the policy acts, targets are computed and models are
  measured. Batch normalization has the running statistics there, and a target network those of the network that it
  follows. The noise of dropout comes from a seed of its own, so that a run resumes to the bit. A batch of one row is
  computed in eval mode. With micro-batches each has its own statistics and noise; several learners are refused.
- It acts by torch, and is compiled where the compiler takes it. What train mode changes is not compiled.
- A saved policy names it by its import path, no code is saved: who loads the policy needs the file. A class of a script
  or a notebook is found there alone.
"""

from __future__ import annotations

import copy
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Generator, Tensor, nn

from training import learners
from training.errors import UserError
from training.networks.config import NetworkConfig
from training.networks.features_extractor import extractor_input, extractor_space
from training.networks.import_paths import class_at
from training.seeding import drawing_from

ROWS = 4
"""Of the batch that it is tried on once it is built."""


class OwnEncoder(nn.Module):
    """The module of `config.module`: features [..., out_features] of observations {key: [..., *shape]}.

    Raises UserError, in one line, where it cannot be built, takes no such observations or returns no such features.
    """

    noise_seed: Tensor

    def __init__(
        self, observation_spaces: Mapping[str, Space[Any]], config: NetworkConfig, generator: Generator
    ) -> None:
        super().__init__()
        assert config.module is not None
        self._path, self._spaces = config.module, dict(observation_spaces)
        for key, space in self._spaces.items():
            if not isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
                raise UserError(
                    f"observation {key!r}: {space} cannot be a tensor of one shape, which {self._path} takes"
                )
        made = class_at(self._path)
        self._is_extractor = _takes_one_space(made)
        given: Any = extractor_space(self._spaces) if self._is_extractor else dict(self._spaces)
        seed, noise_seed = torch.randint(2**62, (2,), generator=generator)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as in `initialize_orthogonal`, which its constructor may do too
        try:
            with drawing_from(int(seed)):
                build: Any = made
                self.module: nn.Module = self._tried("cannot be built from", build, given, **config.module_kwargs)
                self.out_features = self._check_features()
                self._check_tensors()
                draws, changes = self._in_train_mode()
        finally:
            torch.set_num_threads(threads)
        self._differs = draws or changes
        """Whether train mode is another than eval mode."""
        self._draws = draws
        if draws:
            # Moves on with each draw, and is saved with the weights.
            self.register_buffer("noise_seed", noise_seed.clone())
        if self._differs and learners.count() > 1:
            takes = "a network without batch normalization and dropout with several learners, who would draw apart"
            raise UserError(f"module = {self._path!r}: it takes {takes}", key="module")

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        key, space = next(iter(self._spaces.items()))
        leading = observations[key].shape[: observations[key].dim() - len(space.shape or ())]
        rows = {key: observations[key].reshape(-1, *(space.shape or ())) for key, space in self._spaces.items()}
        features = self._in_its_mode(rows) if self._differs else self._features(rows)
        return features.reshape(*leading, self.out_features)

    def own_buffers(self) -> list[Tensor]:
        """What a target network takes over from the network that it follows."""
        return list(self.module.buffers())

    def _features(self, rows: Mapping[str, Tensor]) -> Tensor:
        if self._is_extractor:
            features: Tensor = self.module(extractor_input(rows, self._spaces))
        else:
            floats = {key: value.float() if value.is_floating_point() else value for key, value in rows.items()}
            features = self.module(floats)
        return features

    def _in_its_mode(self, rows: Mapping[str, Tensor]) -> Tensor:
        if torch.compiler.is_compiling():
            torch._dynamo.graph_break(msg="a network with batch normalization, dropout and the like is not compiled")
        first = next(iter(rows.values()))
        self.module.train(self.training and torch.is_grad_enabled() and len(first) > 1)
        if not (self._draws and self.module.training):
            return self._features(rows)
        with drawing_from(int(self.noise_seed), first.device):
            features = self._features(rows)
        self.noise_seed += 1
        return features

    def _check_features(self) -> int:
        """The number of features that it returns; lazy layers get their sizes here."""
        self.module.eval()
        self._try()  # lazy layers draw their weights
        before, features = torch.get_rng_state(), self._try()
        if not isinstance(features, Tensor) or features.dim() != 2 or len(features) != ROWS:
            shape = list(features.shape) if isinstance(features, Tensor) else type(features).__name__
            raise self._error(f"it returns {shape} for {ROWS} observations: it takes features [{ROWS}, F]")
        if not features.is_floating_point():
            raise self._error(f"it returns {features.dtype}: it takes features of floats")
        size = features.shape[1]
        for name in ("out_features", "features_dim"):
            said = getattr(self.module, name, size)
            if said != size:
                raise self._error(f"{name} = {said}, but it returns {size} features")
        if not torch.equal(before, torch.get_rng_state()):
            raise self._error("it draws random numbers in eval mode: dropout takes training=self.training")
        return size

    def _in_train_mode(self) -> tuple[bool, bool]:
        """Whether train mode draws random numbers, and whether it changes the features or its buffers."""
        as_it_is, kept = self._try(), self.module
        self.module = self._tried("cannot be copied, for", copy.deepcopy, kept).train()
        before, buffers = torch.get_rng_state(), [buffer.clone() for buffer in self.module.buffers()]
        features = self._try()
        draws = not torch.equal(before, torch.get_rng_state())
        same = all(map(torch.equal, buffers, self.module.buffers())) and torch.equal(features, as_it_is)
        self.module = kept
        self.module.train()
        return draws, not same

    @torch.no_grad()
    def _try(self) -> Any:
        return self._tried("cannot take", self._features, _samples(self._spaces))

    def _check_tensors(self) -> None:
        for name, tensor in (*self.module.named_parameters(), *self.module.named_buffers()):
            if tensor.device.type != "cpu":
                raise self._error(f"{name!r} is on {tensor.device}: it takes cpu, from where the run moves all of it")
        for name, parameter in self.module.named_parameters():
            if not parameter.requires_grad:
                raise self._error(f"parameter {name!r} is frozen: it takes a rule of the optimizer with frozen = true")
        for name, part in self.module.named_modules():
            for attribute, value in vars(part).items():
                if isinstance(value, Tensor):
                    where = f"{name}.{attribute}" if name else attribute
                    raise self._error(f"{where!r} is a plain tensor, never saved: it takes register_buffer for it")

    def _tried(self, fails: str, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return call(*arguments, **named)
        except UserError:
            raise
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            own = getattr(sys.modules[class_at(self._path).__module__], "__file__", None)
            place = next((frame for frame in reversed(frames) if frame.filename == own), frames[-1])
            seen = ", ".join(f"{key}: {space}" for key, space in self._spaces.items())
            told = traceback.format_exception_only(error)[-1].strip().split("\n", 1)[0]
            raise self._error(f"it {fails} {seen} ({place.filename}:{place.lineno}: {told})") from error

    def _error(self, told: str) -> UserError:
        return UserError(f"module = {self._path!r}: {told}", key="module")


def buffers_of_own(module: nn.Module) -> list[Tensor]:
    """The buffers of all encoders of somebody's own inside a network, such as the statistics of batch normalization."""
    return [buffer for part in module.modules() if isinstance(part, OwnEncoder) for buffer in part.own_buffers()]


def _takes_one_space(module: type[nn.Module]) -> bool:
    """Whether it is one as Stable-Baselines3 knows them."""
    first = next(iter(inspect.signature(module).parameters), "")
    return first == "observation_space" or hasattr(module, "features_dim")


def _samples(of: Mapping[str, Space[Any]]) -> dict[str, Tensor]:
    """A batch [ROWS, ...] of the spaces' own samples, always the same one."""
    drawn: dict[str, Tensor] = {}
    for key, space in copy.deepcopy(dict(of)).items():
        space.seed(0)
        drawn[key] = torch.from_numpy(np.stack([np.asarray(space.sample()) for _ in range(ROWS)]))
    return drawn
