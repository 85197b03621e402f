"""What to run: each file is an experiment with its numbers and its claims."""

import os
from pathlib import Path

# Before NumPy is imported, by which small networks act: the threads of its products would wait beside torch's for the
# same cores, and as many as there are cores would give other last bits on another machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Before torch is imported: its threads sleep while they wait for each other. Otherwise they spin, and take the core of
# the one that they wait for where another process is busy: then two of them were up to 30 times slower than one.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Where this is installed, one's own scripts lie in the `experiments/` of the working directory, and count as these do.
_OWN = Path("experiments").absolute()
if _OWN.is_dir() and not _OWN.samefile(__path__[0]):
    __path__.append(str(_OWN))
