"""What a server answers: requests checked one by one, answered together, with the memory of each session."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.acting_module import NEXT_STATE, STATE
from serving.model_file import Arrays, Call
from serving.signature import Signature
from training.errors import UserError, require

MOST_ROWS = 4_096
"""Of one request."""
KEPT_TIMES = 10_000
"""Newest answers, over which latencies are told."""


@dataclass(frozen=True)
class Question:
    """A request that was checked."""

    inputs: Arrays
    rows: int
    session: str | None
    """Whose memory it goes on with; None for a policy without one."""


class Answers:
    """Answers questions about one model, counts them and keeps the memories of its sessions, the newest so many.

    A request is a JSON object of the model's inputs by their names, each a list of rows; of a policy with a memory also
    `session`, any text, and where an episode begins `is_first`: true. The answer has the outputs in the same way.
    """

    def __init__(self, call: Call, signature: Signature, *, most_sessions: int = 10_000) -> None:
        require(most_sessions >= 1, "most_sessions", most_sessions, "at least 1")
        self._call, self._most_sessions = call, most_sessions
        self._state = next((value for value in signature.inputs if value.name == STATE), None)
        self.asked = Signature(tuple(value for value in signature.inputs if value.name != STATE), signature.outputs)
        self._memories: OrderedDict[str, NDArray[Any]] = OrderedDict()
        self._counts = {"answered": 0, "refused": 0, "rows": 0, "batches": 0}
        self._times_s: deque[float] = deque(maxlen=KEPT_TIMES)

    def question(self, body: bytes) -> Question:
        """What a request asks. Raises UserError, in one line, for what does not fit; that is counted."""
        try:
            return self._question(body)
        except UserError:
            self._counts["refused"] += 1
            raise

    def answer(self, questions: Sequence[Question]) -> list[dict[str, Any]]:
        """The answers, in the same order. All rows are computed together, but those of one session after another."""
        found: dict[int, dict[str, Any]] = {}
        waiting = list(enumerate(questions))
        while waiting:
            now: list[tuple[int, Question]] = []
            later: list[tuple[int, Question]] = []
            busy: set[str | None] = set()
            for index, question in waiting:
                (later if question.session in busy else now).append((index, question))
                busy |= {question.session} - {None}
            found |= zip((index for index, _ in now), self._together([one for _, one in now]), strict=True)
            waiting = later
        return [found[index] for index in range(len(questions))]

    def schema(self) -> dict[str, Any]:
        """What is asked and answered, and whether in sessions."""
        outputs = tuple(value for value in self.asked.outputs if value.name != NEXT_STATE)
        return {"sessions": self._state is not None, **Signature(self.asked.inputs, outputs).as_json()}

    def took(self, seconds: float) -> None:
        """Counts the time of an answer, from its request on."""
        self._times_s.append(seconds)

    def numbers(self) -> dict[str, float]:
        """The counts since it began, the sessions that it remembers, and how long the newest answers took."""
        times_ms = 1e3 * np.array(self._times_s or [np.nan])
        ranks = {f"latency_ms_p{rank}": float(np.percentile(times_ms, rank)) for rank in (50, 95, 99)}
        told = {name: value for name, value in ranks.items() if np.isfinite(value)}
        return {**self._counts, "sessions": len(self._memories), **told}

    def prometheus(self) -> str:
        """The numbers as Prometheus reads them."""
        lines = [f"regimen_serve_{name} {value:.6g}" for name, value in self.numbers().items()]
        return "\n".join([*lines, ""])

    def _question(self, body: bytes) -> Question:
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise UserError(f"the request is not JSON ({str(error).splitlines()[0]})") from None
        if not isinstance(asked, dict):
            raise UserError(f"the request is a {type(asked).__name__}: it takes an object of inputs by their names")
        session, is_first = asked.pop("session", None), asked.pop("is_first", False)
        fits = session is None if self._state is None else isinstance(session, str) and 0 < len(session) <= 100
        takes = "none: the policy has no memory" if self._state is None else "a text of 1 to 100 letters"
        require(fits, "session", session, takes)
        require(isinstance(is_first, bool), "is_first", is_first, "true or false")
        inputs = self.asked.check(asked)
        rows = len(next(iter(inputs.values())))
        require(1 <= rows <= MOST_ROWS, "rows", rows, f"1 to {MOST_ROWS}")
        if is_first and session is not None:
            inputs["is_first"] = np.ones(rows, bool)
        return Question(inputs, rows, session)

    def _together(self, questions: Sequence[Question]) -> list[dict[str, Any]]:
        """Of as many sessions as questions."""
        names = [value.name for value in self.asked.inputs]
        inputs = {name: np.concatenate([one.inputs[name] for one in questions]) for name in names}
        if self._state is not None:
            inputs[STATE] = np.concatenate([self._memory(one, self._state.shape) for one in questions])
        outputs = self._call(inputs)
        ends = np.cumsum([one.rows for one in questions])
        self._counts["answered"] += len(questions)
        self._counts["rows"] += int(ends[-1])
        self._counts["batches"] += 1
        answers = []
        for question, end in zip(questions, ends, strict=True):
            own = {name: value[end - question.rows : end] for name, value in outputs.items()}
            if question.session is not None:
                self._remember(question.session, own.pop(NEXT_STATE))
            answers.append({name: value.tolist() for name, value in own.items()})
        return answers

    def _memory(self, question: Question, shape: tuple[int, ...]) -> NDArray[Any]:
        empty = np.zeros((question.rows, *shape), np.float32)
        known = self._memories.get(question.session or "")
        begins = "is_first" in question.inputs or known is None or len(known) != question.rows
        return empty if begins or known is None else known

    def _remember(self, session: str, memory: NDArray[Any]) -> None:
        self._memories[session] = memory.copy()
        self._memories.move_to_end(session)
        while len(self._memories) > self._most_sessions:
            self._memories.popitem(last=False)
