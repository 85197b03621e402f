"""The collector whose inference groups live on Ray workers, in this machine's other processes or on a cluster.

The data are those of the same groups in one process, bit for bit: a worker holds whole groups, and each is asked for as
many steps as every other, so that nobody waits for another's episodes. Weights travel once for each version, through
Ray's object store; a worker's part of a rollout comes back as one array for each key.

A worker that dies, hangs or whose environment breaks is replaced. Until its successor has started, the steps of its
environments are not `valid` and nothing is learned from them; the others' are kept. The successor's groups begin a new
life, with other episodes, so that no episode is seen twice. Such a run is no longer exact, and says so.

With a `max_policy_lag` the workers never wait for the learner: each has two parts to make, and a rollout is of those
that come first, whoever made them. Only for a part that would get too old is everybody kept waiting (Espeholt et al.
2018, https://arxiv.org/abs/1802.01561, section 3, with a bound). A lag of 0 is what is described above.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

import ray
import torch
from ray.exceptions import ActorUnavailableError, RayError

from agents.acting.collector import Episode, episode_metrics, join_groups
from agents.acting.ray_worker import Published, RolloutWorker, named_tensors
from agents.policies.policy import Mode, NetworkPolicy, Policy
from envs.config import EnvConfig
from envs.making import num_agents_of
from envs.vectors.vector import Arrays
from training import interruption
from training.cluster.ray_session import WorkersFailedError, connected
from training.core import Batch
from training.energy.processes import report
from training.errors import UserError, require
from training.metrics import Max, Mean, Metrics
from training.state import State

START_TIMEOUT_S = 300.0
"""How long workers may take to start and to restore their environments: they import everything first."""
CLOSE_TIMEOUT_S = 2.0
"""How long workers may take to close their environments before they are killed."""


class Place:
    """A worker's place: who fills it now, and for how many lives others have before."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.life = 0
        self.failed_starts = 0
        self.actor: Any = None
        self.up: Any = None
        """The reference to its first answer, that its process runs; None once it has come, or it has begun."""
        self.begun: Any = None
        """The reference to the answer that its environments have begun; None once it has come."""
        self.up_since = 0.0

    def has_run(self) -> bool:
        """Whether its process has answered, so that it may have lost what it did; never waits."""
        if self.up is not None and _is_ready(self.up):
            with suppress(RayError):
                ray.get(self.up)
                self.up, self.up_since = None, time.monotonic()
        return self.up is None


class Asked(NamedTuple):
    """A part of a rollout that a worker makes."""

    place: Place
    version: int
    """Of the policy that acts in it."""


class RayCollector:
    """The `Collector` whose groups are on Ray workers; `workers` times `groups_per_worker` groups of `group_size`.

    Args:
        env: the environment.
        group_size: environments in each inference group.
        groups_per_worker: inference groups of each worker.
        workers: how many.
        seed: of the run.
        address: of the Ray cluster; see `training.cluster.ray_session.connected`.
        timeout_s: a worker that takes longer for its part of a rollout hangs.
        max_replacements: of each worker.
        max_policy_lag: how many updates older than the newest policy one that acts may be when its steps are learned.

    Raises:
        UserError: an environment cannot be made, or the cluster cannot be joined or has no room.
        WorkersFailedError: the same worker failed more than `max_replacements` times, or none could be started.
    """

    def __init__(
        self,
        env: EnvConfig,
        *,
        group_size: int,
        groups_per_worker: int,
        workers: int,
        seed: int,
        address: str | None,
        timeout_s: float,
        max_replacements: int,
        max_policy_lag: int = 0,
    ) -> None:
        self.num_agents = num_agents_of(env)
        self.num_envs = workers * groups_per_worker * group_size * self.num_agents
        self._timeout_s, self._max_replacements, self._max_lag = timeout_s, max_replacements, max_policy_lag
        self._asked: dict[Any, Asked] = {}
        self._version = -1
        self._policy: NetworkPolicy | None = None
        self._description: State = {}
        self._published: Any = None
        self._lost: list[str] = []
        self._not_restored: list[str] = []
        self._places = [Place(index) for index in range(workers)]
        self._connection = ExitStack()
        self._connection.enter_context(connected(address, cpus=workers))
        try:
            self._make_actor = _actor_maker(env, group_size, seed, groups_per_worker)
            for place in self._places:
                self._start(place)
            self._wait_for_all()
        except BaseException:
            self.close()
            raise

    @property
    def inexact(self) -> list[str]:
        lag = self._max_lag
        asynchronous = [f"acting up to {lag} update{'s' * (lag > 1)} behind learning, as it happens"] if lag else []
        return [*asynchronous, *self._lost, *self._not_restored]

    def publish(self, policy: Policy, version: int) -> None:
        assert isinstance(policy, NetworkPolicy), "only a policy of networks can be sent"
        if policy is self._policy and version == self._version:
            return
        if policy is not self._policy:
            self._description = {key: value for key, value in policy.save().items() if key != "weights"}
        tensors = {name: tensor.detach().cpu().numpy() for name, tensor in named_tensors(policy).items()}
        self._published = ray.put(Published(self._description, tensors, policy.has_kernels))
        self._policy, self._version = policy, version

    def collect(self, horizon: int, mode: Mode = "explore") -> tuple[Batch, Metrics]:
        came: list[tuple[Asked, tuple[Arrays, list[Episode]]]] = []
        while len(came) < len(self._places):
            if not came:  # as is so again where all were lost, with their successors
                self._ask(horizon, mode)
            too_old = [ref for ref, asked in self._asked.items() if asked.version <= self._version - self._max_lag]
            if not self._asked:
                break
            if too_old:
                came += self._first(too_old, len(too_old), len(too_old))
            else:
                came += self._first(list(self._asked), 1, min(len(self._asked), len(self._places) - len(came)))
        came.sort(key=lambda part: (part[0].version, part[0].place.index))
        ended = [episode for _, (_, episodes) in came for episode in episodes]
        metrics: Metrics = {"rollout/workers": Mean(len({asked.place.index for asked, _ in came}))}
        if self._max_lag:
            lags = [self._version - asked.version for asked, _ in came]
            metrics["rollout/policy_lag_mean_updates"] = Mean(sum(lags) / len(lags))
            metrics["rollout/policy_lag_max_updates"] = Max(max(lags))
        parts: dict[int, Batch] = {}
        for asked, (arrays, _) in came:
            free = (index for index in range(len(self._places)) if index not in parts)
            parts[next(free) if asked.place.index in parts else asked.place.index] = as_tensors(arrays)
        return join_parts(parts, len(self._places)), episode_metrics(ended) | metrics

    def _ask(self, horizon: int, mode: Mode) -> None:
        """Gives every worker what it has to do with the newest policy."""
        each = 2 if self._max_lag else 1
        doing = Counter(asked.place.index for asked in self._asked.values())
        for place in self._working():
            for _ in range(each - doing[place.index]):
                reference = place.actor.collect.remote(self._published, horizon, mode, with_log_prob=self._max_lag > 0)
                self._asked[reference] = Asked(place, self._version)

    def _first(self, waiting: list[Any], least: int, most: int) -> list[tuple[Asked, Any]]:
        """The parts that come first, of those that are waited for."""
        asked = {reference: self._asked[reference] for reference in waiting}
        places = {reference: part.place for reference, part in asked.items()}
        # A worker makes its parts one after the other.
        parts = max(Counter(place.index for place in places.values()).values()) if least == len(places) else 1
        answers = self._answers(places, parts * self._timeout_s, least, most)
        for reference in answers:
            self._asked.pop(reference, None)
        return [(asked[reference], answer) for reference, answer in answers.items()]

    def state_dict(self) -> State:
        """A worker that has not begun yet, or that fails to answer, begins its next life when the run is resumed."""
        asked = {place.actor.save.remote(): place for place in self._places if self._has_begun(place)}
        parts = Counter(part.place.index for part in self._asked.values())  # which come first, one after the other
        timeout_s = (1 + max(parts.values(), default=0)) * self._timeout_s
        saved = {asked[reference].index: groups for reference, groups in self._answers(asked, timeout_s).items()}
        spent = {place.actor.spent.remote(): place for place in self._places if place.index in saved}
        for told in self._answers(spent, timeout_s).values():
            report(told)  # of processes on other machines nobody else knows
        return {"workers": [{"life": place.life, "groups": saved.get(place.index)} for place in self._places]}

    def load_state_dict(self, state: State) -> None:
        workers = len(self._places)
        require(len(state["workers"]) == workers, "workers", workers, f"{len(state['workers'])}, as in the saved state")
        self._not_restored = []
        self._asked.clear()
        for place, saved in zip(self._places, state["workers"], strict=True):
            place.life = saved["life"]
            place.begun = place.actor.begin.remote(saved["life"], saved["groups"])
            place.up_since = time.monotonic()
        self._wait_for_all()

    def close(self) -> None:
        """Ends the workers, and the Ray that was started for them."""
        if ray.is_initialized():
            with suppress(RayError, ValueError):
                closing = [place.actor.close.remote() for place in self._places if place.actor and not place.begun]
                if closing:
                    ray.wait(closing, num_returns=len(closing), timeout=CLOSE_TIMEOUT_S)
            for place in self._places:
                self._kill(place)
        self._connection.close()

    def _start(self, place: Place) -> None:
        """Asks Ray for a new process in this place, which comes when the cluster has room, and goes on meanwhile."""
        place.actor = self._make_actor(place.index)
        place.up = place.actor.__ray_ready__.remote()
        place.begun = place.actor.begin.remote(place.life, None)

    def _has_begun(self, place: Place) -> bool:
        """Whether the worker can be asked; never waits."""
        if place.begun is None:
            return True
        has_run = place.has_run()
        if _is_ready(place.begun):
            answer = self._answers({place.begun: place}, CLOSE_TIMEOUT_S).get(place.begun)
            if answer is None:
                return False
            place.up = place.begun = None
            place.failed_starts = 0
            self.observation_space, self.action_space = answer.observation_space, answer.action_space
            self._not_restored += answer.inexact
            return True
        if has_run and time.monotonic() > place.up_since + START_TIMEOUT_S:
            self._lose(place, f"its environments did not begin within {START_TIMEOUT_S:g} s")
        return False

    def _working(self) -> list[Place]:
        """The places whose workers can be asked; waits until there is one."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (working := [place for place in self._places if self._has_begun(place)]):
            if time.monotonic() > deadline:
                raise WorkersFailedError(
                    f"all Ray workers are lost and none could be started within {START_TIMEOUT_S:g} s"
                )
            self._wait_a_little()
        return working

    def _wait_for_all(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not all([self._has_begun(place) for place in self._places]):  # noqa: C419 - each is asked, every time
            if time.monotonic() > deadline:
                started = sum(place.begun is None for place in self._places)
                cpus = ray.cluster_resources().get("CPU", 0)
                takes = f"as many as the Ray cluster has CPUs: {started} could start within {START_TIMEOUT_S:g} s"
                require(False, "workers", len(self._places), f"{takes}, and it has {cpus:g}")  # noqa: FBT003
            self._wait_a_little()

    def _wait_a_little(self) -> None:
        interruption.check()
        beginning = [place.begun for place in self._places if place.begun is not None]
        ray.wait(beginning, num_returns=1, timeout=0.5)

    def _answers(
        self, asked: dict[Any, Place], timeout_s: float, least: int | None = None, most: int | None = None
    ) -> dict[Any, Any]:
        """What the workers answer to some references; those who fail, or hang, are lost and replaced.

        It waits for `least` of the answers and takes `most`, both by default all.
        """
        if not asked:
            return {}
        least, most = least or len(asked), most or len(asked)
        ready, late = ray.wait(list(asked), num_returns=least, timeout=timeout_s)
        failed: dict[Place, str] = {}  # each once, however many of its answers are missing
        if len(ready) < least:
            failed = {asked[reference]: f"it hangs: no answer within {timeout_s:g} s" for reference in late}
        elif least < most:
            ready += ray.wait(late, num_returns=most - least, timeout=0)[0]
        answers: dict[Any, Any] = {}
        for reference in ready:
            try:
                answers[reference] = ray.get(reference, timeout=timeout_s)
            except RayError as error:
                failed.setdefault(asked[reference], _why(error))
        for place, why in failed.items():
            self._lose(place, why)
        return answers

    def _lose(self, place: Place, why: str) -> None:
        """Ends the worker and starts the next in its place; raises WorkersFailedError when there were too many.

        One whose process never ran, as on a node that left before Ray knew, has lost nothing, and its life is still to
        be lived.
        """
        had_run = place.has_run()
        self._kill(place)
        self._asked = {reference: asked for reference, asked in self._asked.items() if asked.place is not place}
        place.life += had_run
        place.failed_starts += not had_run
        when = "before the first update" if self._version < 0 else f"at update {self._version}"
        failures = place.life + place.failed_starts
        if failures > self._max_replacements:
            raise WorkersFailedError(
                f"worker {place.index} failed {failures} times, which is more than max_replacements = "
                f"{self._max_replacements}; the last time, {when}: {why}"
            )
        if had_run:
            self._lost.append(f"worker {place.index} was lost and replaced {when}: {why}")
        what = "is lost" if had_run else "could not start"
        print(f"worker {place.index} {what} {when}: {why}; going on without it while another starts", file=sys.stderr)
        self._start(place)

    def _kill(self, place: Place) -> None:
        if place.actor is not None:
            with suppress(Exception):  # it may be dead already, and so may the cluster
                ray.kill(place.actor, no_restart=True)


def as_tensors(arrays: Arrays) -> Batch:
    """Without a copy: the memory is that of the object store, in which nothing may be written."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return {key: torch.from_numpy(array) for key, array in arrays.items()}


def join_parts(parts: dict[int, Batch], workers: int) -> Batch:
    """One batch [T, N] of the parts [T, n] that came, by worker; where one is missing no step is valid."""
    if len(parts) == workers:
        return join_groups([parts[index] for index in range(workers)])
    one = next(iter(parts.values()))
    parts = {index: {"valid": torch.ones_like(part["terminated"]), **part} for index, part in parts.items()}
    return join_groups([parts[index] if index in parts else _missing(one) for index in range(workers)])


def _missing(like: Batch) -> Batch:
    """A part of the same shape that nothing is learned from. Whatever comes after it is another episode."""
    part = {key: value[:0] if key.startswith("final_") else torch.zeros_like(value) for key, value in like.items()}
    part["is_first"] = torch.ones_like(like["is_first"])
    part["valid"] = torch.zeros_like(like["terminated"])
    if "action_mask" in part:
        part["action_mask"] = torch.ones_like(like["action_mask"])
    return part


def _actor_maker(env: EnvConfig, group_size: int, seed: int, groups: int) -> Any:
    """A function from a worker's index to a new actor."""
    # Spread, so that each node's network carries its share, and never restarted by Ray itself: the state would be lost
    # without a word.
    remote: Any = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD")
    actor_class = remote(RolloutWorker)
    return lambda index: actor_class.remote(env, group_size, seed, range(index * groups, (index + 1) * groups))


def _is_ready(reference: Any) -> bool:
    return bool(ray.wait([reference], timeout=0)[0])


def _why(error: Exception) -> str:
    """One line about what happened to a worker. Raises the UserError that it ran into: that would happen again."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, UserError):
        raise cause from None
    if cause is not None:
        return f"{type(cause).__name__}: {' '.join(str(cause).split())}"
    if isinstance(error, ActorUnavailableError):
        return "it can no longer be reached"
    # Ray adds the actor's data, one to an indented line, and guesses at causes.
    lines = [line for line in str(error).splitlines() if line and not line.startswith("\t")]
    return " ".join(" ".join(lines).partition("Some common causes")[0].split())
