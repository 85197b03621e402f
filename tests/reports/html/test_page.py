"""The page: what it holds, that nothing on it is trusted, that it needs no network, and how large it is."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from reports.html.asked import Again
from reports.html.page import LIMIT, write_page
from tests.support.compared import write_run
from tests.support.reported import HOSTILE, Read, asked_of, change, write_stopped
from training.errors import UserError

OUTSIDE = ("src", "href", "action", "data", "poster", "srcset", "formaction")
"""The attributes by which a page asks for something."""


def page_of(tmp_path: Path, *folders: Path, **more: object) -> Read:
    return Read(write_page(asked_of(*folders, **more), tmp_path / "page.html").read_text())


def two_groups(tmp_path: Path) -> list[Path]:
    return [
        write_run(tmp_path / name / str(seed), 100.0 * seed + more, experiment=name, seed=seed)
        for name, more in (("ppo_cartpole", 50.0), ("a2c_cartpole", 0.0))
        for seed in (1, 2, 3)
    ]


def test_the_first_screen_answers_four_questions(tmp_path: Path) -> None:
    folders = two_groups(tmp_path)
    again = {folder: Again(commands=[f"train --seed={folder.name} --x=1"]) for folder in folders}
    page = page_of(tmp_path, *folders, again=again)
    first = page.text[: page.text.index("Claims Comparison")]
    assert "Which is better CartPole-v1: not settled, ppo_cartpole has the best mean ppo_cartpole: 250" in first
    assert "How sure is that ppo_cartpole over a2c_cartpole: a run is better with probability" in first
    assert "What went wrong Nothing was found." in first
    assert "train --x=1 --seeds 1,2,3" in first


def test_several_runs_have_tables_intervals_and_curves(tmp_path: Path) -> None:
    page = page_of(tmp_path, *two_groups(tmp_path))
    assert "percentile bootstrap over seeds" in page.text
    assert "3 seeds are few" in page.text
    figures = json.loads(page.scripts["figures"])
    curve = figures["curve-0"]["data"]
    assert {trace["name"] for trace in curve if "name" in trace} == {"ppo_cartpole", "a2c_cartpole"}
    assert sum(trace.get("fill") == "toself" for trace in curve) == 2, "each has the band of its interval"
    places = [attributes["data-figure"] for attributes in page.all("div") if "data-figure" in attributes]
    assert sorted(places) == sorted(figures), "every figure has its place"


def test_plotly_is_inside_and_can_be_unpacked(tmp_path: Path) -> None:
    page = page_of(tmp_path, *two_groups(tmp_path))
    script = gzip.decompress(base64.b64decode(page.scripts["plotly"])).decode()
    assert "Plotly" in script
    (policy,) = [one["content"] or "" for one in page.all("meta") if one.get("http-equiv")]
    (own,) = [one for one in page.all("script") if "nonce" in one]
    assert f"script-src 'nonce-{own['nonce']}'" in policy
    assert "default-src 'none'" in policy


def test_nothing_on_it_is_trusted(tmp_path: Path) -> None:
    folder = write_run(
        tmp_path / "run",
        100.0,
        experiment=HOSTILE,
        inexact=[HOSTILE],
        stopped_early=HOSTILE,
        not_judged={HOSTILE: HOSTILE},
    )
    config = json.loads((folder / "config.json").read_text())["config"]
    change(folder, "config.json", config={**config, "note": HOSTILE, HOSTILE: HOSTILE}, chosen={"device": HOSTILE})
    change(folder, "environment.json", packages={HOSTILE: HOSTILE}, commit=HOSTILE, python=HOSTILE)
    rows = [{"env_steps": n, "updates": n, "samples": n, "epochs": 0, "optimizer/loss": 1.0 * n} for n in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    again = {folder: Again(HOSTILE, [(HOSTILE, HOSTILE, HOSTILE)], [HOSTILE], unknown="")}
    asked = asked_of(folder, again=again)
    page = Read(write_page(asked, tmp_path / "page.html").read_text())
    assert HOSTILE in " ".join(page.words), "it is shown as it is"
    plain = Read(write_page(asked_of(write_run(tmp_path / "plain", 100.0)), tmp_path / "page.html").read_text())
    assert len(page.all("script")) == len(plain.all("script")) == 3
    assert not [one for one in page.elements if any(name.startswith("on") for name in one[1])]
    assert not [one for one in page.all("img") if not (one["src"] or "").startswith("data:image/")]
    assert "<" not in page.scripts["figures"]
    names = [trace["name"] for one in json.loads(page.scripts["figures"]).values() for trace in one["data"]]
    assert names
    assert not [name for name in names if "<" in name], "plotly would read it as markup"


@pytest.mark.parametrize("several", [False, True])
def test_it_needs_no_network_and_is_small(several: bool, tmp_path: Path) -> None:
    page = page_of(tmp_path, *(two_groups(tmp_path) if several else [write_run(tmp_path / "run", 100.0)]))
    asks = [value for _, attributes in page.elements for name, value in attributes.items() if name in OUTSIDE]
    assert all((value or "").startswith(("data:", "#")) for value in asks), asks
    assert not re.search(r"url\(|@import", page.scripts["style"])
    assert not re.search(r"fetch\(|XMLHttpRequest|import\(|https?:", page.scripts["page"])
    assert (tmp_path / "page.html").stat().st_size < LIMIT


def test_a_run_that_was_stopped_or_goes_on_has_a_page(tmp_path: Path) -> None:
    for status in ("interrupted", "failed", "running"):
        page = page_of(tmp_path, write_stopped(tmp_path / status, status))
        shown = "interrupted" if status == "running" else status  # no process holds it
        assert f"{shown} at" in page.text
        assert f"not judged: it is {shown}" in page.text
        assert "Nothing was measured at the end" in page.text
        assert "curve-0" in json.loads(page.scripts["figures"])
        assert "python -m experiments resume" in page.text
    empty = write_stopped(tmp_path / "empty", "running")
    (empty / "metrics.jsonl").unlink()
    (empty / "timing.jsonl").unlink()
    assert "The log holds no curve" in page_of(tmp_path, empty).text


def test_small_videos_are_inside_and_large_ones_are_linked(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 100.0)
    (folder / "videos").mkdir()
    (folder / "videos" / "small.mp4").write_bytes(b"0" * 1000)
    (folder / "videos" / "a large one.mp4").write_bytes(b"0" * 4_000_000)
    page = page_of(tmp_path, folder)
    (video,) = page.all("video")
    assert (video["src"] or "").startswith("data:video/mp4;base64,")
    assert "run/videos/a%20large%20one.mp4" in [one.get("href") for one in page.all("a")]
    assert (tmp_path / "page.html").stat().st_size < LIMIT


def test_it_can_be_read_by_everyone(tmp_path: Path) -> None:
    page = page_of(tmp_path, *two_groups(tmp_path))
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels)), "no level is skipped"
    assert all(one.get("alt") for one in page.all("img"))
    assert all(one.get("scope") in ("col", "row") for one in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {(one["href"] or "")[1:] for one in page.all("a")} <= set(ids), "each link within the page leads somewhere"
    # What scrolls can be reached with the keyboard.
    assert all(one.get("tabindex") == "0" for one in page.all("div") if one.get("class") == "scroll")


def test_a_file_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken.html").mkdir()
    with pytest.raises(UserError, match="it cannot be written"):
        write_page(asked_of(write_run(tmp_path / "run", 100.0)), tmp_path / "taken.html")
    assert {path.name for path in tmp_path.iterdir()} == {"run", "taken.html"}


@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium")
def test_a_browser_draws_it_without_an_error(tmp_path: Path) -> None:
    out = write_page(asked_of(*two_groups(tmp_path)), tmp_path / "page.html")
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    told = ["--enable-logging=stderr", "--virtual-time-budget=20000", "--timeout=60000", "--dump-dom"]
    done = subprocess.run(["chromium", *quiet, *told, out.as_uri()], capture_output=True, text=True, timeout=300)
    assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    drawn = Read(done.stdout)
    assert [one for one in drawn.all("svg") if one.get("class") == "main-svg"], "plotly has drawn"
    assert [one for one in drawn.all("figure") if one.get("class") == "drawn"]
