"""Answers: what a server says is what the policy does, one by one or together, with the memory of each session."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from serving.acting_module import ActingModule
from serving.answers import MOST_ROWS, Answers
from serving.model_file import as_call
from tests.support.exported import POLICIES
from training.errors import UserError

RNG = np.random.default_rng(0)


def answers(name: str, **options: Any) -> Answers:
    module = ActingModule(POLICIES[name]())
    return Answers(as_call(module), module.signature, **options)


def asked(obs: Any, **more: Any) -> bytes:
    return json.dumps({"obs": np.asarray(obs).tolist(), **more}).encode()


def test_requests_that_are_answered_together_get_their_own_rows() -> None:
    server, policy = answers("sac"), POLICIES["sac"]()
    obs = [RNG.standard_normal((rows, 5)).astype(np.float32) for rows in (1, 3, 2)]
    found = server.answer([server.question(asked(one)) for one in obs])
    for rows, answer in zip(obs, found, strict=True):
        expected = [policy.predict(row) for row in rows]
        assert np.allclose(answer["action"], expected, atol=1e-6)
    numbers = server.numbers()
    assert (numbers["answered"], numbers["rows"], numbers["batches"]) == (3, 6, 1)


@pytest.mark.parametrize("name", ["lstm", "gru", "transformer"])
def test_each_session_has_a_memory_of_its_own(name: str) -> None:
    server, policy = answers(name), POLICIES[name]()
    predict = {session: policy.predictor() for session in ("a", "b")}
    for step in range(6):
        if step == 4:
            predict["a"] = policy.predictor()  # another episode
        obs = {session: RNG.standard_normal(5).astype(np.float32) for session in predict}
        questions = [
            server.question(asked([obs[session]], session=session, is_first=step == 4 and session == "a"))
            for session in predict
        ]
        for session, answer in zip(predict, server.answer(questions), strict=True):
            assert set(answer) == {"action"}
            assert np.allclose(answer["action"][0], predict[session](obs[session]), atol=1e-5)
    assert server.numbers()["sessions"] == 2


def test_two_requests_of_one_session_go_one_after_the_other() -> None:
    together, alone = answers("lstm"), answers("lstm")
    steps = RNG.standard_normal((3, 1, 5)).astype(np.float32)
    asks = [asked(obs, session="a") for obs in steps]
    at_once = together.answer([together.question(one) for one in asks])
    in_turn = [alone.answer([alone.question(one)])[0] for one in asks]
    assert np.allclose([one["action"] for one in at_once], [one["action"] for one in in_turn], atol=1e-6)


def test_the_oldest_session_is_forgotten_first() -> None:
    server = answers("lstm", most_sessions=2)
    for session in ("a", "b", "a", "c"):
        server.answer([server.question(asked(np.zeros((1, 5)), session=session))])
    assert server.numbers()["sessions"] == 2
    assert set(server._memories) == {"a", "c"}


@pytest.mark.parametrize(
    ("name", "body", "told"),
    [
        ("ppo", b"nonsense", "the request is not JSON"),
        ("ppo", b"[1]", "the request is a list: it takes an object"),
        ("ppo", b'{"obs": [[0, 0, 0, 0, NaN]]}', r"obs holds nan at \[0, 4\]"),
        ("ppo", b'{"obs": []}', "obs"),
        ("ppo", b"{}", r"the inputs are \[\]: it takes \['obs'\]"),
        ("ppo", asked(np.zeros((MOST_ROWS + 1, 5))), f"rows = {MOST_ROWS + 1}: it takes 1 to"),
        ("ppo", asked(np.zeros((1, 5)), session="a"), "session = 'a': it takes none: the policy has no memory"),
        ("lstm", asked(np.zeros((1, 5))), "session = None: it takes a text"),
        ("lstm", asked(np.zeros((1, 5)), session="a" * 101), "it takes a text of 1 to 100 letters"),
        ("lstm", asked(np.zeros((1, 5)), session="a", is_first=1), "is_first = 1: it takes true or false"),
    ],
)
def test_what_does_not_fit_is_refused_and_counted(name: str, body: bytes, told: str) -> None:
    server = answers(name)
    with pytest.raises(UserError, match=told) as caught:
        server.question(body)
    assert "\n" not in str(caught.value)
    assert server.numbers()["refused"] == 1


def test_it_tells_how_long_it_took() -> None:
    server = answers("ppo")
    assert "latency_ms_p50" not in server.numbers()
    for milliseconds in range(1, 101):
        server.took(milliseconds / 1e3)
    numbers = server.numbers()
    assert numbers["latency_ms_p50"] == pytest.approx(50.5)
    assert numbers["latency_ms_p99"] == pytest.approx(99.01)
    assert "regimen_serve_latency_ms_p95 95.05\n" in server.prometheus()
    assert server.schema()["sessions"] is False
    assert [one["name"] for one in answers("lstm").schema()["outputs"]] == ["action"]
