"""`verify`: seeds are trained once, and claims judged over all of them."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from experiments.__main__ import main
from reports.results import read_results
from reports.tables import write_docs
from tests.support.counting import PACKAGE, command, train_for_verify

pytestmark = pytest.mark.usefixtures("workplace")


def test_verify_judges_finished_seeds_against_target_and_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    folder = "runs/compared/verify"
    train_for_verify("compared", folder, range(101, 106))
    train_for_verify("counting", f"{folder}/baseline-counting", range(101, 106))
    capsys.readouterr()
    assert command("verify compared") == 1
    said = capsys.readouterr()
    assert said.err.count("finished before") == 10
    assert "claim: score >= 400: does not hold (306, " in said.out
    assert "claim: score >= counting: holds (103, " in said.out

    report = json.loads(Path(folder, "verdict.json").read_text())
    assert [claim["holds"] for claim in report["claims"]] == [False, True]
    assert [figures["final"]["score"] for figures in report["runs"]["compared"]] == [302, 304, 306, 308, 310]
    assert [figures["final"]["score"] for figures in report["runs"]["counting"]] == [201, 202, 203, 204, 205]
    assert report["command"] == "python -m experiments verify compared"
    assert {"commit", "dirty", "source_hash", "date", "hardware", "packages", "python"} <= set(report)


def test_the_verdict_on_committed_source_is_published(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train_for_verify("counting", "runs/counting/verify", range(101, 104))
    capsys.readouterr()
    monkeypatch.setattr("reports.tables.uncommitted", lambda files: True)
    assert command("verify counting") == 0
    assert "docs/results is left as it is: the source of counting has uncommitted changes" in capsys.readouterr().out
    assert not Path("docs").exists()
    monkeypatch.setattr("reports.tables.uncommitted", lambda files: False)
    assert command("verify counting") == 0
    published = json.loads(Path("docs/results/counting.json").read_text())
    assert published == json.loads(Path("runs/counting/verify/verdict.json").read_text())

    Path("README.md").write_text("before\n<!-- results:count* -->\nold\n<!-- /results -->\nafter\n")
    assert command("results") == 0
    text = Path("README.md").read_text()
    assert "| `counting` | score >= 150 | 202, 95 % interval 199.516 to 204.484 | 3 | yes | 100 % | 40 | " in text
    assert text.startswith("before\n<!-- results:count* -->\n| experiment |")
    assert text.endswith("|\n<!-- /results -->\nafter\n")
    assert write_docs(Path()) == []

    Path("docs/results/counting.json").write_text(json.dumps({**published, "source_hash": "of another source"}))
    assert command("results") == 0
    assert "| 3 | yes (stale) | 100 % |" in Path("README.md").read_text()


PUBLISHED = Path("docs/results/compared.json")


def publish_of_other_source(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The verdict on record of an experiment and its baseline; the code has changed since."""
    monkeypatch.setattr("reports.tables.uncommitted", lambda files: False)
    monkeypatch.setattr("reports.confirming.uncommitted", lambda files: False)
    train_for_verify("compared", "runs/compared/verify", range(101, 106))
    train_for_verify("counting", "runs/compared/verify/baseline-counting", range(101, 106))
    assert command("verify compared") == 1
    record: dict[str, Any] = {**json.loads(PUBLISHED.read_text()), "source_hash": "of another source"}
    PUBLISHED.write_text(json.dumps(record))
    shutil.rmtree("runs")
    return record


@pytest.mark.full
def test_a_verdict_is_of_newer_code_too_where_one_seed_ends_to_the_bit_as_on_record(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = publish_of_other_source(monkeypatch)
    assert [report["stale"] for report in read_results(Path())] == [True]
    capsys.readouterr()
    assert command("verify compared --confirm") == 1, "its first claim does not hold, as on record"
    said = capsys.readouterr()
    assert "confirmed: seed 101 of compared and seed 101 of counting ended to the bit as on record" in said.out
    assert said.err.count(": trains, see") == 2
    now = json.loads(PUBLISHED.read_text())
    assert now["confirmed"]["seeds"] == {"compared": 101, "counting": 101}
    assert {name: now[name] for name in record} == record
    assert [report["stale"] for report in read_results(Path())] == [False]


@pytest.mark.full
def test_a_seed_that_ends_otherwise_confirms_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = publish_of_other_source(monkeypatch)
    record["runs"]["counting"][0]["final"]["score"] += 1e-13
    PUBLISHED.write_text(json.dumps(record))
    assert command("verify compared --confirm") == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: counting seed 101 ends otherwise than on record (final): "
        "what it rests on has changed, train all seeds with verify compared"
    )
    assert json.loads(PUBLISHED.read_text()) == record


def test_what_cannot_be_confirmed_is_said_before_a_seed_is_trained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(line: str) -> str:
        assert command(f"verify compared --confirm {line}") == 2
        assert not Path("runs").exists()
        return capsys.readouterr().err.splitlines()[-1]

    assert told("") == (f"error: {PUBLISHED} is missing: there is no verdict to confirm, make it with verify compared")
    record = publish_of_other_source(monkeypatch)
    capsys.readouterr()
    assert "--confirm takes no options of compared" in told("--gain 3")
    assert told("--seeds 2").startswith("error: seeds = 2: it takes nothing beside --confirm")
    PUBLISHED.write_text(json.dumps({**record, "dirty": True}))
    assert f"{PUBLISHED} is of uncommitted or unknown source" in told("")
    record["claims"][0]["claim"]["target"] = 100.0
    PUBLISHED.write_text(json.dumps(record))
    assert f"{PUBLISHED} is of other claims than compared makes now" in told("")


def test_another_number_of_seeds_is_no_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    train_for_verify("counting", "out", range(101, 103))
    assert command("verify counting --seeds 2 --run-dir out") == 1
    assert "no verdict: the claims of counting are judged on 3 seeds, not on 2" in capsys.readouterr().out
    assert command("verify counting --seeds 1 --run-dir out") == 1
    assert not Path("docs").exists()


def test_a_seed_that_fails_is_a_claim_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "--broken=crash\\ of\\ 102"
    assert main(shlex.split(f"verify counting --run-dir out {asked}"), PACKAGE) == 1
    said = capsys.readouterr()
    assert "counting seed 102: failed with exit code 1" in said.err
    assert "RuntimeError: the bridge fell" in said.err
    assert "score >= 150: does not hold (seed 102 failed: RuntimeError: the bridge fell)" in said.out
    report = json.loads(Path("out/verdict.json").read_text())
    assert report["holds"] is False
    assert report["claims"][0]["failed"] == {"102": "RuntimeError: the bridge fell"}
    assert [figures.get("failed") for figures in report["runs"]["counting"]] == [
        None,
        "RuntimeError: the bridge fell",
        None,
    ]


def test_a_score_that_is_no_number_is_a_claim_that_fails(capsys: pytest.CaptureFixture[str]) -> None:
    train_for_verify("counting", "out", range(101, 104), "--broken nan")
    capsys.readouterr()
    assert command("verify counting --run-dir out --broken nan") == 1
    assert "score >= 150: does not hold (seed 101 failed: score = nan and 2 more)" in capsys.readouterr().out


def test_what_a_claim_is_about_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("verify counting --dataset letters") == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == "error: dataset is not numbers, which the claims of counting are about"
    assert not Path("runs").exists()
