"""The card of a shared run: a head that Hugging Face reads, and what a reader wants to know."""

from __future__ import annotations

from typing import Any

import yaml

from serving.card import card

SETTINGS: dict[str, Any] = {
    "experiment": "ppo_cartpole",
    "seed": 3,
    "id": "20260101T000000Z-seed3-ab12",
    "config": {"env": {"id": "CartPole-v1"}},
}
VERDICT = {"text": "evaluation/return_mean >= 475 on 70 % of seeds", "holds": True}
RESULT: dict[str, Any] = {
    "metrics": {"evaluation/return_mean": 500.0},
    "counters": {"env_steps": 100_096, "updates": 391},
    "claims": [VERDICT],
}


def test_it_says_what_the_run_is_what_it_reached_and_how_to_run_it() -> None:
    text = card(SETTINGS, RESULT, "hf://somebody/cartpole")
    _, head, body = text.split("---\n", 2)
    read = yaml.safe_load(head)
    assert read["library_name"] == "regimen"
    (measured,) = read["model-index"][0]["results"][0]["metrics"]
    assert (measured["type"], measured["value"]) == ("evaluation/return_mean", 500.0)
    for words in (
        "# ppo_cartpole, seed 3",
        "A policy for `CartPole-v1` after 100,096 env steps",
        "| evaluation/return_mean | 500 |",
        f"- `{VERDICT['text']}`: holds for this one seed.",
        "- `verify` on ",
        "regimen pull hf://somebody/cartpole",
        "regimen resume 20260101T000000Z-seed3-ab12 --env-steps 200192",
    ):
        assert words in body


def test_a_run_that_is_not_finished_or_not_judged_says_so() -> None:
    text = card(SETTINGS, {}, "shelf")
    assert "It was not finished" in text
    assert "model-index" not in text
    unjudged = {**RESULT, "claims": [], "not_judged": {"x >= 1": "env.id is not CartPole-v1"}}
    told = card({**SETTINGS, "config": {}}, unjudged, "shelf")
    assert "- `x >= 1`: not judged (env.id is not CartPole-v1)." in told
    assert "verify" not in told
    assert "A model that learned from data" in told
