"""Classes by name: of one package, of one kind, and of the only file that is imported for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from training.errors import UserError
from training.saved_classes import find_class

FILES = {
    "__init__.py": "",
    "base.py": "class Animal: ...\n",
    "cats/__init__.py": "",
    "cats/cat.py": "from zoo.base import Animal\nclass Cat(Animal): ...\nclass CatConfig: ...\nclass Ball: ...\n",
    "twins.py": "from zoo.base import Animal\nclass Twin(Animal): ...\nclass TwinConfig: ...\n",
    "others.py": "from zoo.base import Animal\nclass Twin(Animal): ...\nclass TwinConfig: ...\n",
    "danger.py": "raise SystemExit('it ran')\n",
}


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type:
    for name, text in FILES.items():
        file = tmp_path / "zoo" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for loaded in [name for name in sys.modules if name.partition(".")[0] == "zoo"]:
        monkeypatch.delitem(sys.modules, loaded)
    from zoo.base import Animal  # type: ignore[import-not-found]

    animal: type = Animal
    return animal


def test_a_class_comes_with_its_config_and_nothing_else_is_imported(zoo: type) -> None:
    found, config = find_class("Cat", "zoo", zoo, source="the pet")
    assert (found.__module__, found.__name__, config.__name__) == ("zoo.cats.cat", "Cat", "CatConfig")
    assert not {"zoo.danger", "zoo.twins", "zoo.others"} & sys.modules.keys()


@pytest.mark.parametrize("name", ["Dog", "Animal", "Ball", "CatConfig", "Twin", "cats.cat", "Cat(Animal)", ".*", ""])
def test_what_is_no_such_class_is_told(name: str, zoo: type) -> None:
    with pytest.raises(UserError) as told:
        find_class(name, "zoo", zoo, source="the pet")
    assert str(told.value) == f"the pet is a {name!r}: it takes a class of zoo/"
