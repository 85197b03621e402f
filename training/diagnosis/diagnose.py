"""The diagnosis of a run: every symptom that its files show, causes before what they cause."""

from __future__ import annotations

from pathlib import Path

from training.diagnosis import held_out, numbers, policies, returns, values
from training.diagnosis.finding import Finding, Symptom, found
from training.diagnosis.record import Record, read_record
from training.run.stages import stage_folders

SYMPTOMS: tuple[Symptom, ...] = (
    *numbers.SYMPTOMS,
    *policies.SYMPTOMS,
    *values.SYMPTOMS,
    *held_out.SYMPTOMS,
    *returns.SYMPTOMS,
)


def diagnose(record: Record) -> list[Finding]:
    """What is wrong with a run; a general finding only where no other says what it is."""
    results = [(symptom, finding) for symptom in SYMPTOMS if (finding := found(symptom, record))]
    telling = [finding for symptom, finding in results if not symptom.general]
    return telling or [finding for _, finding in results]


def diagnose_run(folder: Path) -> dict[str, list[Finding]]:
    """The findings of a run in its folder, by stage; of a run without stages under the name "".

    Raises UserError when the folder is not a run.
    """
    stages = stage_folders(folder) or [folder]
    return {"" if stage == folder else stage.name: diagnose(read_record(stage)) for stage in stages}
