"""How many grams of CO2 equivalents a kilowatt-hour emits, and how the energy of a run becomes these.

Of a country it is the average of all its power plants over a year, which CodeCarbon's table has from Our World in Data;
what one kilowatt-hour more emits (the marginal intensity) is another number.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from training.errors import UserError, require
from training.extras import install_command
from training.names import nearest

JOULES_PER_KWH = 3.6e6
WORLD = (481.0, 43.0, 730.0)
"""g/kWh: the mean over 212 countries by what they generate, and between what nine of ten are. From the same table in
CodeCarbon 3.3.2 (2022 and 2023)."""
_TABLE = Path("data", "private_infra", "global_energy_mix.json")


@dataclass(frozen=True)
class EnergyOptions:
    """What the machine's energy is reckoned with. None of it changes what is trained."""

    country: str | None = None
    """Three letters of the country where the machine stands, such as FRA, for its carbon intensity; needs the extra
    `energy`. Without it and `intensity`: the world's average."""
    intensity: float | None = None
    """Grams of CO2e per kilowatt-hour there, where it is known."""
    pue: float = 1.0
    """Energy of the whole building for each joule of the machine (power usage effectiveness)."""
    watts_per_core: float | None = None
    """Of a busy core (a hardware thread), where no counter can be read; by default 4, between 1.5 and 8."""

    def __post_init__(self) -> None:
        country, intensity, watts = self.country, self.intensity, self.watts_per_core
        is_code = country is None or (len(country) == 3 and country.isalpha())
        require(is_code, "country", country, "the three letters of a country, such as FRA")
        is_alone = intensity is None or country is None
        require(is_alone, "intensity", intensity, "None where country says it")
        fits = intensity is None or 0 <= intensity <= 5_000
        require(fits, "intensity", intensity, "0 to 5,000 g/kWh")
        require(1 <= self.pue <= 10, "pue", self.pue, "at least 1")
        require(watts is None or (watts > 0 and math.isfinite(watts)), "watts_per_core", watts, "above 0 W")
        if country is not None:
            intensity_of(country)

    @property
    def given(self) -> dict[str, Any]:
        """What is asked for, as `config.json` keeps it."""
        return {key: value for key, value in vars(self).items() if value != getattr(EnergyOptions, key)}

    @property
    def carbon(self) -> Intensity:
        """By what joules become grams."""
        if self.country is not None:
            return intensity_of(self.country)
        if self.intensity is not None:
            return Intensity(self.intensity, self.intensity, self.intensity, "given by --energy.intensity")
        return Intensity(*WORLD, "the world's average: the country was not given")


class Intensity(NamedTuple):
    """Grams of CO2e per kilowatt-hour, between what it lies, and whence it is known."""

    g_per_kwh: float
    low: float
    high: float
    source: str


def intensity_of(country: str) -> Intensity:
    """The yearly average of a country. Raises UserError for an unknown one and where CodeCarbon is not installed."""
    found = find_spec("codecarbon")
    if found is None or found.origin is None:
        raise UserError(f"energy.country = {country!r}: it needs the extra `energy`: {install_command('energy')}")
    table = json.loads((Path(found.origin).parent / _TABLE).read_text(encoding="utf-8"))
    known = {code: row for code, row in table.items() if row.get("carbon_intensity")}
    code = country.upper()
    if code not in known:
        raise UserError(f"energy.country = {country!r} is not known: {nearest(code, known)}")
    value, version = float(known[code]["carbon_intensity"]), metadata.version("codecarbon")
    return Intensity(value, value, value, f"{known[code]['country_name']} {known[code]['year']}, CodeCarbon {version}")
