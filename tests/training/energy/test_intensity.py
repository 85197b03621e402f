"""Grams of a kilowatt-hour: of a country, given, or of the world; and what is refused."""

from __future__ import annotations

import pytest

from training.energy.intensity import EnergyOptions
from training.errors import UserError


def test_a_country_has_the_intensity_of_the_table() -> None:
    france, germany = (EnergyOptions(country=code).carbon for code in ("FRA", "deu"))
    assert 20 < france.g_per_kwh < 100 < germany.g_per_kwh < 500
    assert france.source.startswith("France 20")


def test_what_is_given_is_taken_and_the_world_has_a_range() -> None:
    assert EnergyOptions(intensity=0.0).carbon[:3] == (0.0, 0.0, 0.0)
    world = EnergyOptions().carbon
    assert world.low < world.g_per_kwh < world.high
    assert "not given" in world.source
    assert EnergyOptions(country="FRA", pue=1.2).given == {"country": "FRA", "pue": 1.2}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"country": "XYZ"}, "energy.country = 'XYZ' is not known"),
        ({"country": "France"}, "country = 'France': it takes the three letters"),
        ({"country": "FRA", "intensity": 3.0}, "intensity = 3.0: it takes None where country says it"),
        ({"intensity": -1.0}, "intensity = -1.0: it takes 0 to 5,000 g/kWh"),
        ({"pue": 0.9}, "pue = 0.9: it takes at least 1"),
        ({"watts_per_core": 0.0}, "watts_per_core = 0.0: it takes above 0 W"),
        ({"watts_per_core": float("nan")}, "watts_per_core = nan: it takes above 0 W"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(given: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told.replace("(", r"\(")) as raised:
        EnergyOptions(**given)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_without_the_extra_a_country_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.energy.intensity.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs the extra `energy`: .*\[energy\]"):
        EnergyOptions(country="FRA")
