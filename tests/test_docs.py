"""What the documentation names is there: files, folders, headings, experiments."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.support import ROOT
from training.experiments import find_experiments

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCES = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
FOLDERS = (
    *("training", "reports", "envs", "agents", "pretraining", "finetuning", "regimes", "serving", "commands"),
    *("experiments", "benchmarks", "tests", "docs", "deploy"),
)


def text_of(page: Path) -> str:
    """The page without its blocks of code, whose examples name files that the reader makes."""
    return FENCES.sub("", page.read_text(encoding="utf-8"))


def anchors_of(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


def test_there_are_pages_and_they_have_links() -> None:
    assert {page.name for page in PAGES} >= {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "architecture.md"}
    assert sum(len(LINK.findall(text_of(page))) for page in PAGES) > 100


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(text_of(page)):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_every_path_that_is_named_is_there(page: Path) -> None:
    for code in CODE.findall(text_of(page)):
        if code.startswith(tuple(f"{folder}/" for folder in FOLDERS)) and re.fullmatch(r"[\w./]+", code):
            assert "NAME" in code or (ROOT / code).exists(), code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_experiment_that_a_command_names_is_there(page: Path) -> None:
    known = find_experiments("experiments")
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"python -m experiments (?:train|verify|sweep|rates|submit) ([a-z]\w+)", text)
    named += re.findall(r"EXPERIMENT=([a-z]\w+)", text)
    examples = set(re.findall(r"^# experiments/(\w+)\.py$", text, re.MULTILINE))
    assert set(named) - examples <= set(known)


def test_the_picture_of_the_rooms_names_those_that_there_are() -> None:
    picture = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
    rooms = set(re.findall(r'class="name">(\w+)/<', picture))
    assert rooms == set(FOLDERS) - {"benchmarks", "tests", "docs", "deploy"}
    inner = {name for note in re.findall(r'class="note">([^<]*)<', picture) for name in re.findall(r"(\w+)/", note)}
    there = {folder.name for room in rooms for folder in (ROOT / room).iterdir() if folder.is_dir()}
    assert inner <= there
    assert "prefers-color-scheme: dark" in picture


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()  # what version 1.2.0 of the format asks for
    assert cited["cff-version"] == "1.2.0"
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    assert cited["authors"] == project["authors"]
    assert f"## [{project['version']}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
