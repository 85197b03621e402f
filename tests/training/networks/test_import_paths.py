"""Networks by their import path: what is found, and what is said where there is none."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import pytest
from torch import nn

from tests.support.networks import Plain
from training.errors import UserError
from training.networks.import_paths import check_arguments, class_at, path_of

PATH = "tests.support.networks:Plain"


def test_a_class_is_found_by_the_path_that_it_has() -> None:
    assert path_of(Plain) == PATH
    assert class_at(PATH) is Plain
    assert class_at("torch.nn:Linear") is nn.Linear


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("tests.support.networks.Plain", "it takes package.module:Name.*; did you mean tests.support.networks:Plain?"),
        ("tests.support.networks:", "it takes package.module:Name"),
        (":Plain", "it takes package.module:Name"),
        (".networks:Plain", "it takes package.module:Name"),
        ("", "it takes package.module:Name"),
        ("no_such_file:Plain", "cannot import 'no_such_file' (No module named 'no_such_file')"),
        ("tests.support.networks:Plian", "tests.support.networks has no 'Plian'; did you mean Plain?"),
        ("tests.support.networks:no_network", "the import path of a torch.nn.Module, which <function no_network"),
        ("os:system", "the import path of a torch.nn.Module, which <built-in function system> is not"),
        ("__main__:Gone", "it was defined in another script or notebook; put it into a file"),
    ],
)
def test_a_path_of_no_network_is_one_line(path: str, told: str) -> None:
    with pytest.raises(UserError) as raised:
        class_at(path)
    assert re.search(re.escape(told).replace(r"\.\*", ".*"), str(raised.value)), raised.value
    assert str(raised.value).startswith(f"module = {path!r}: ")
    assert "\n" not in str(raised.value)
    assert raised.value.key == "module"


def test_a_class_of_a_notebook_is_found_in_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = ModuleType("__main__")
    notebook.Mine = type("Mine", (nn.Module,), {"__module__": "__main__"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    assert path_of(notebook.Mine) == "__main__:Mine"
    assert class_at("__main__:Mine") is notebook.Mine


def test_a_class_that_is_made_in_a_function_is_refused() -> None:
    class Inside(nn.Module): ...

    with pytest.raises(UserError, match=r"Inside': it takes a class at the top level of a file"):
        path_of(Inside)


def test_arguments_are_those_of_the_constructor() -> None:
    check_arguments(PATH, {"width": 3})
    with pytest.raises(UserError, match=r"module_kwargs = \{'depth': 3\}: .*Plain\(.*width.*unexpected .* 'depth'"):
        check_arguments(PATH, {"depth": 3})
