"""The energy counters of the hardware: RAPL of Intel's and AMD's processors, and NVML of NVIDIA's GPUs.

RAPL counts microjoules and begins anew at `max_energy_range_uj`; since 2020 only root may read it (CVE-2020-8694).
https://www.kernel.org/doc/html/latest/power/powercap/powercap.html. NVML counts millijoules since the driver was loaded
(Volta and newer): https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
_PACKAGE = re.compile(r"intel-rapl:\d+")


class Rapl:
    """The processor packages of this machine. `readable` is False where there are none or they may not be read."""

    def __init__(self, root: Path = POWERCAP) -> None:
        # Subdomains (intel-rapl:0:0) are parts of their package, and `psys` is the whole platform: both would be twice.
        folders = sorted(folder for folder in root.glob("intel-rapl:*") if _PACKAGE.fullmatch(folder.name))
        try:
            self._packages = [folder for folder in folders if _word(folder / "name").startswith("package")]
            self._ranges = [int(_word(folder / "max_energy_range_uj")) for folder in self._packages]
            self._before = self._read()
        except (OSError, ValueError):
            self._packages = []
        self.readable = bool(self._packages)

    def joules_since_last(self) -> float:
        """Of all packages since it was last asked. A counter must not pass its whole range between two questions: at
        100 W that takes most of an hour."""
        now = self._read()
        used = [
            (new - old) % span if new < old else new - old
            for new, old, span in zip(now, self._before, self._ranges, strict=True)
        ]
        self._before = now
        return sum(used) / 1e6

    def _read(self) -> list[int]:
        return [int(_word(folder / "energy_uj")) for folder in self._packages]


class Gpu:
    """The GPU that this process computes on; of others nothing is counted. `why_not` says why it cannot be read."""

    def __init__(self) -> None:
        self.why_not: str | None = None
        self._handle: Any = None
        try:
            import pynvml
            import torch

            pynvml.nvmlInit()
            uuid = torch.cuda.get_device_properties(torch.cuda.current_device()).uuid
            self._handle, self._nvml = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}"), pynvml
            self._before = self._read()
        except ImportError:
            self.why_not = "nvidia-ml-py is missing, of the extra `energy`"
        except Exception as error:  # NVML's own errors, of a container that does not see it or of a part of a GPU
            self.why_not = f"NVML: {error}"

    def joules_since_last(self) -> float:
        """Since it was last asked; other processes on the same GPU are in it."""
        now = self._read()
        used, self._before = max(0, now - self._before), now
        return used / 1e3

    def _read(self) -> int:
        return int(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))


def _word(file: Path) -> str:
    return file.read_text(encoding="ascii").strip()
