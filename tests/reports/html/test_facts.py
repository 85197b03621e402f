"""What is known of a run, finished or not, and what its claims say over seeds."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from reports.html.facts import judgements, read_facts
from tests.support.compared import METRIC, write_run
from tests.support.reported import change, write_stopped
from training.claims import Claim, judge
from training.errors import UserError


def judged_run(folder: Path, score: float, *, seed: int, seeds: int = 5) -> Path:
    verdict = judge(Claim(METRIC, ">=", 150.0, seeds=seeds), {seed: score})
    return write_run(folder, score, seed=seed, claims=[verdict], not_judged={"other >= x": "judged by `verify`"})


def test_a_finished_run_is_read_with_its_speed_its_videos_and_what_was_measured_since(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 100.0)
    (folder / "videos").mkdir()
    (folder / "videos" / "one.mp4").write_bytes(b"")
    (folder / "evaluations.jsonl").write_text('{"at": "now"}\n')
    rows = [json.loads(line) for line in (folder / "timing.jsonl").read_text().splitlines()]
    more = [{**row, "env_steps_per_second": 50.0 + n, "peak_memory_bytes": 7.0 + n} for n, row in enumerate(rows)]
    (folder / "timing.jsonl").write_text("".join(json.dumps(row) + "\n" for row in more))
    facts = read_facts(folder)
    (part,) = facts.parts
    assert (facts.name, facts.state.status, part.unit, part.rate_name) == (
        "ppo_cartpole, seed 1", "completed", "env steps", "env steps",
    )  # fmt: skip
    assert part.speed is not None
    assert part.speed.values.tolist() == [50.0, 51.0, 52.0, 53.0]
    assert part.speed.steps.tolist() == [1024, 2048, 3072, 4096]
    assert facts.peak_memory_bytes == 10.0
    assert [path.name for path in facts.videos] == ["one.mp4"]
    assert facts.evaluations == [{"at": "now"}]
    assert list(part.curves[METRIC].values) == [20.0, 40.0, 60.0, 100.0], (
        "what was measured at the end is its last point"
    )


def test_a_run_that_goes_on_has_the_curves_that_it_has_until_now(tmp_path: Path) -> None:
    facts = read_facts(write_stopped(tmp_path / "run", "running"))
    assert facts.result == {}
    assert list(facts.parts[0].curves[METRIC].steps) == [1024, 2048, 3072]


def test_stages_are_parts_and_ancestors_are_followed_as_far_as_they_are_there(tmp_path: Path) -> None:
    parent = write_run(tmp_path / "parent", 1.0)
    change(parent, "config.json", parent=str(tmp_path / "gone"))
    folder = write_run(tmp_path / "run", 100.0)
    change(folder, "config.json", parent=str(parent))
    for stage in ("01-clone", "02-act"):
        write_run(folder / stage, 50.0)
        change(folder / stage, "config.json", stage=stage)
    facts = read_facts(folder)
    assert [part.name for part in facts.parts] == ["01-clone", "02-act"]
    assert facts.ancestors == [str(parent), str(tmp_path / "gone")]
    assert set(facts.findings) == {"01-clone", "02-act"}


def test_a_damaged_run_is_one_line(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 100.0)
    (folder / "metrics.jsonl").write_text("{half")
    with pytest.raises(UserError, match="run is damaged: JSONDecodeError"):
        read_facts(folder)


def test_claims_are_judged_over_the_seeds_and_called_an_indication(tmp_path: Path) -> None:
    facts = [read_facts(judged_run(tmp_path / str(seed), 160.0 + seed, seed=seed)) for seed in (1, 2, 3)]
    held, other = judgements(facts)
    assert held.holds is True
    assert held.words.startswith("evaluation/return_mean >= 150: holds (162, 95 % interval")
    assert held.words.endswith("an indication: `verify` judges it, on the 5 seeds from 101")
    assert asdict(other) == {"words": "other >= x: judged by `verify`", "holds": None}
    alone = judgements(facts[:1])[0].words
    assert alone == "evaluation/return_mean >= 150: holds for this one seed (161); `verify` judges it on 5"


def test_the_seeds_of_verify_are_its_verdict(tmp_path: Path) -> None:
    facts = [read_facts(judged_run(tmp_path / str(seed), 10.0 + seed, seed=seed, seeds=2)) for seed in (101, 102)]
    verdict = judgements(facts)[0]
    assert verdict.holds is False
    assert "indication" not in verdict.words


def test_a_run_that_did_not_end_is_not_judged(tmp_path: Path) -> None:
    assert judgements([read_facts(write_stopped(tmp_path / "run", "failed"))]) == []
