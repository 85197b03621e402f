"""The meter's arithmetic gives the published energy and emissions of GPT-3's training from its published inputs.

Patterson et al. 2021, Carbon Emissions and Large Neural Network Training, https://arxiv.org/abs/2104.10350, table 4:
3.14e23 FLOP at 24.6 TFLOP/s on each V100 of 330 W, PUE 1.10, 0.429 kg CO2e per kWh: 1,287 MWh and 552.1 t. The paper
rounds its inputs, so that nothing closer than a thousandth can be asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from training.claims import Claim
from training.core import Counters
from training.energy.account import Energy, Estimate, as_result
from training.energy.intensity import JOULES_PER_KWH, EnergyOptions
from training.recipe import MeasureConfig
from training.run.run import Run

PUBLISHED_MWH, PUBLISHED_T = 1_287.0, 552.1


@dataclass(frozen=True, kw_only=True)
class Config(MeasureConfig):
    """The published inputs."""

    flop: float = 3.14e23
    flop_per_s: float = 24.6e12
    """Measured, of one chip."""
    watts: float = 330.0
    """Of a chip with its part of the host, measured."""
    pue: float = 1.10
    grams_per_kwh: float = 429.0


# There is no chance in it: two seeds say as much as twenty. It fails where joules, kWh, PUE or grams are mixed up.
CLAIMS = (
    Claim("energy/relative_error", "<=", 1e-3, seeds=2),
    Claim("co2e/relative_error", "<=", 1e-3, seeds=2),
)


def train(config: Config, run: Run) -> None:
    """Nothing is trained: the inputs go through what `result.json` of every run is made with."""
    joules = config.flop / config.flop_per_s * config.watts
    energy = Energy({"gpu": Estimate(joules, joules, joules)}, sources=frozenset({"model"}))
    told = as_result(energy, EnergyOptions(intensity=config.grams_per_kwh, pue=config.pue))
    mwh, tons = told["energy_j"] * config.pue / JOULES_PER_KWH / 1e3, told["co2e_g"] / 1e6
    measured = {
        "energy/mwh": mwh,
        "co2e/t": tons,
        "energy/relative_error": abs(mwh / PUBLISHED_MWH - 1),
        "co2e/relative_error": abs(tons / PUBLISHED_T - 1),
    }
    run.finish(Counters(), metrics=measured)
