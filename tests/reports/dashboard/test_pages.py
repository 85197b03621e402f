"""What is on the pages, and that what is in a run's folder cannot become more than text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from reports.dashboard import pages as module
from reports.dashboard.pages import NoSuchPage, Pages, link_of
from tests.support import runs
from tests.support.compared import write_run
from training.errors import UserError

EVIL = "<script>alert(1)</script>\"'&"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    for seed in (1, 2, 3):
        write_run(root / f"ppo_cartpole/2026010{seed}T000000Z-seed{seed}-aaaa", 100.0 * seed, seed=seed)
    return root


def name(seed: int) -> str:
    return f"ppo_cartpole/2026010{seed}T000000Z-seed{seed}-aaaa"


def test_the_list_leads_to_every_run_and_sorts_and_filters(folder: Path) -> None:
    page = Pages(folder).all_runs({})
    for seed in (1, 2, 3):
        assert f'href="{link_of(name(seed))}"' in page
    assert "3 runs in" in page
    assert 'href="/?sort=score"' in page
    sorted_page = Pages(folder).all_runs({"sort": ["score"], "text": ["seed2"]})
    assert "1 runs in" in sorted_page
    assert 'href="/?text=seed2&amp;sort=score&amp;rising=1"' in sorted_page
    assert "no such run" in Pages(folder).all_runs({"text": ["nothing"]})
    assert "3 runs in" in Pages(folder).all_runs({"sort": ["__class__"]})


def test_an_empty_folder_and_none_are_no_error(tmp_path: Path) -> None:
    assert "0 runs in" in Pages(tmp_path / "runs").all_runs({})


def test_a_run_has_its_curves_values_config_and_diagnosis(folder: Path) -> None:
    page = Pages(folder).run(name(1))
    for words in ("completed", "exact", "evaluation/return_mean", "agent.horizon", "Nothing found", "<svg", "0:50"):
        assert words in page, words
    assert "refresh" not in page


def test_a_run_that_goes_on_is_read_again_and_shows_its_new_rows(folder: Path) -> None:
    pages = Pages(folder)
    with runs.create(folder / "example/one") as run:
        runs.train(run, 2)
        assert '<meta http-equiv="refresh" content="5">' in pages.run("example/one")
        with (folder / "example/one/metrics.jsonl").open("a") as log:
            log.write('{"env_steps": 30, "updates": 3, "newest": 7.25}\n')
        assert "7.25" in pages.run("example/one")


def test_runs_are_compared_by_seeds_and_options(folder: Path) -> None:
    write_run(folder / "ppo_cartpole/20260104T000000Z-seed1-bbbb", 10.0, horizon=64)
    query = {"run": [name(1), name(2), "ppo_cartpole/20260104T000000Z-seed1-bbbb"]}
    page = Pages(folder).compare(query)
    assert "agent.horizon" in page
    assert re.search(r"horizon 32</td><td class=\"number\">2</td><td class=\"number\">150</td>", page)
    assert page.count("<polyline") == 3
    other = Pages(folder).compare({**query, "metric": ["loss"]})
    assert "<option selected>loss</option>" in other


@pytest.mark.parametrize("names", [[], [f"a/{number}" for number in range(13)]])
def test_no_run_and_too_many_are_one_line(names: list[str], folder: Path) -> None:
    with pytest.raises(UserError, match="a comparison takes 1 to 12"):
        Pages(folder).compare({"run": names})


@pytest.mark.parametrize("wanted", ["no/run", "../secret", "ppo_cartpole", ""])
def test_another_name_is_no_page(wanted: str, folder: Path) -> None:
    with pytest.raises(NoSuchPage):
        Pages(folder).run(wanted)
    with pytest.raises(NoSuchPage):
        Pages(folder).compare({"run": [wanted, name(1)]} if wanted else {"run": ["..", name(1)]})


def test_what_is_in_a_folder_stays_text(folder: Path) -> None:
    one = write_run(folder / "evil" / EVIL.replace("/", ":"), 1.0, experiment=EVIL, inexact=[EVIL], exact=False)
    settings = json.loads((one / "config.json").read_text())
    settings["config"]["env"]["id"] = EVIL
    settings["config"][EVIL] = EVIL
    (one / "config.json").write_text(json.dumps(settings))
    result = json.loads((one / "result.json").read_text())
    (one / "result.json").write_text(json.dumps({**result, "findings": [{"name": EVIL}], "stopped_early": EVIL}))
    with (one / "metrics.jsonl").open("a") as log:
        log.write(json.dumps({"env_steps": 5000, "updates": 5, EVIL: 1.0}) + "\n")
    pages, own = Pages(folder), f"evil/{one.name}"
    for page in (
        pages.all_runs({"text": [EVIL]}),
        pages.all_runs({}),
        pages.run(own),
        pages.compare({"run": [own, name(1)], "metric": [EVIL]}),
    ):
        assert "<script" not in page
        assert not re.search(r"<[^>]*\bon\w+=", page)
        assert "style=" not in page
        assert "&lt;script&gt;" in page
    assert f"/run/{quote(own)}" in pages.all_runs({})


def test_no_more_runs_are_followed_than_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    pages = Pages(folder)
    for seed in (1, 2, 3, 1):
        pages.run(name(seed))
    assert list(pages._followed) == [name(3), name(1)]
