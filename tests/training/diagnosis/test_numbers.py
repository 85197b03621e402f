"""Each symptom of training/diagnosis/numbers.py is found where its fault was planted."""

from __future__ import annotations

import pytest

from tests.support.diagnosed_runs import planted, read
from training.diagnosis import numbers
from training.diagnosis.finding import Symptom, found


@pytest.mark.parametrize(("fault", "symptom"), planted(numbers.SYMPTOMS))
def test_it_is_found_where_it_was_planted(fault: str, symptom: Symptom) -> None:
    finding = found(symptom, read(fault))
    assert finding is not None
    assert finding.tries
    assert finding.since <= finding.until
