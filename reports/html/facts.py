"""What is known of one run, finished or not: read from its folder, and nothing is run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reports.comparison.records import Curve
from reports.comparison.runs import read_curves
from training.claims import FIRST_SEED, claim_of, describe, judge, scores_by_seed
from training.diagnosis.diagnose import diagnose_run
from training.diagnosis.finding import Finding
from training.errors import UserError
from training.run import runs
from training.run.folder import read_environment, read_settings
from training.run.logger import read_rows
from training.run.result import read_result, unit_of
from training.run.runs import RunState
from training.run.stages import stage_folders

EVALUATIONS = "evaluations.jsonl"
"""What `evaluate` keeps in a run's folder."""
RATE = "_per_second"
ANCESTORS = 20
"""The most parents of parents that are told."""


@dataclass(frozen=True)
class Part:
    """What was trained in one go: a run without stages, or one stage."""

    name: str
    """Of the stage; "" for a run without stages."""
    result: Mapping[str, Any]
    curves: Mapping[str, Curve]
    unit: str
    timing: Sequence[Mapping[str, float]]

    @property
    def speed(self) -> Curve | None:
        """The rate of its work over its steps; None: nothing of it is known."""
        rates = [(row, value) for row in self.timing for name, value in row.items() if name.endswith(RATE)]
        if not rates:
            return None
        unit = unit_of(self.timing[-1])
        points = [(row[unit], row["wall_time_s"], value) for row, value in rates]
        return Curve(*np.array(points, np.float64).T)

    @property
    def rate_name(self) -> str:
        """Of what the speed is."""
        names = [name for row in self.timing for name in row if name.endswith(RATE)]
        return names[-1].removesuffix(RATE).replace("_", " ") if names else "updates"


@dataclass(frozen=True)
class Facts:
    """One run."""

    folder: Path
    state: RunState
    settings: Mapping[str, Any]
    result: Mapping[str, Any]
    """Empty where no part of it has ended yet."""
    environment: Mapping[str, Any]
    parts: Sequence[Part]
    findings: Mapping[str, Sequence[Finding]]
    """By stage."""
    evaluations: Sequence[Mapping[str, Any]] = ()
    videos: Sequence[Path] = ()
    ancestors: Sequence[str] = field(default_factory=list)
    """The folders of its parent, of that one's parent, and so on."""

    @property
    def name(self) -> str:
        return f"{self.settings['experiment']}, seed {self.settings['seed']}"

    @property
    def found(self) -> list[tuple[str, Finding]]:
        """Every finding, with its stage."""
        return [(stage, finding) for stage, group in self.findings.items() for finding in group]

    @property
    def peak_memory_bytes(self) -> float | None:
        peaks = [row["peak_memory_bytes"] for part in self.parts for row in part.timing if "peak_memory_bytes" in row]
        return max(peaks, default=None)


def read_facts(folder: Path) -> Facts:
    """Raises UserError for a folder that is no run, or a run whose files are damaged."""
    settings = read_settings(folder)
    try:
        stages = stage_folders(folder)
        return Facts(
            folder=folder,
            state=runs.describe(folder, settings),
            settings=settings,
            result=read_result(folder),
            environment=read_environment(folder),
            parts=[_part(stage, stage.name) for stage in stages] or [_part(folder, "")],
            findings=diagnose_run(folder),
            evaluations=_json_lines(folder / EVALUATIONS),
            videos=sorted(folder.glob("**/videos/*.mp4")),
            ancestors=_ancestors(settings["parent"]),
        )
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder} is damaged: {type(error).__name__}: {error}") from None


def _part(folder: Path, name: str) -> Part:
    result, timing = read_result(folder), folder / "timing.jsonl"
    rows = read_rows(timing) if timing.exists() else []
    counters = result.get("counters") or (rows[-1] if rows else {"env_steps": 0})
    unit = unit_of(counters).replace("_", " ")
    return Part(name, result, read_curves(folder, result), unit, rows)


def _json_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def _ancestors(parent: str | None) -> list[str]:
    """As far as their folders are there."""
    found: list[str] = []
    while parent is not None and parent not in found and len(found) < ANCESTORS:
        found.append(parent)
        try:
            parent = read_settings(Path(parent))["parent"]
        except UserError:
            break
    return found


@dataclass(frozen=True)
class Judgement:
    """A claim and what came of it, in words; `holds` is None where it is not judged."""

    words: str
    holds: bool | None


def judgements(several: Sequence[Facts]) -> list[Judgement]:
    """What the claims say of runs that differ in their seed alone: of one, what its result says."""
    finished = [facts for facts in several if facts.state.status == "completed"]
    unjudged = {
        claim: Judgement(f"{claim}: {why}", None)
        for facts in finished
        for claim, why in facts.result.get("not_judged", {}).items()
    }
    claims = {verdict["text"]: claim_of(verdict) for facts in finished for verdict in facts.result["claims"]}
    results = {int(facts.settings["seed"]): facts.result for facts in finished}
    judged = []
    for words, claim in claims.items():
        if words in unjudged:
            continue
        try:
            verdict = judge(claim, scores_by_seed(claim, results))
        except UserError as error:
            unjudged[words] = Judgement(f"{words}: not judged: {error}", None)
            continue
        told = describe(verdict)
        if len(results) > 1 and (len(results) != claim.seeds or min(results) < FIRST_SEED):
            told += f"; an indication: `verify` judges it, on the {claim.seeds} seeds from {FIRST_SEED}"
        judged.append(Judgement(told, verdict["holds"]))
    return [*judged, *unjudged.values()]
