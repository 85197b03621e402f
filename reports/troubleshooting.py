"""The symptoms of a diagnosis as sections of a page: the same words that a run is told."""

from __future__ import annotations

from training.diagnosis.diagnose import SYMPTOMS
from training.diagnosis.finding import Remedy, Symptom


def sections() -> str:
    """A section for each symptom, in the order of the diagnosis."""
    return "\n".join(map(_section, SYMPTOMS))


def _section(symptom: Symptom) -> str:
    tries = "".join(f"- {_words(remedy)}\n" for remedy in symptom.remedies)
    return f"## {symptom.name.capitalize()}\n\n{symptom.wrong}\n\nSeen by: {symptom.seen}\n\n{tries}"


def _words(remedy: Remedy) -> str:
    if not remedy.option:
        return remedy.advice
    to = f" to {remedy.to}" if remedy.to is not None else ""
    times = f" times {remedy.times:g}" if remedy.times is not None else ""
    advice = f": {remedy.advice}" if remedy.advice else ""
    return f"`{remedy.option}`{to}{times}{advice}"
