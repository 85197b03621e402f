"""What to run: each file is an experiment with its numbers and its claims."""

import os

# Before NumPy is imported, by which small networks act: the threads of its products would wait beside torch's for the
# same cores, and as many as there are cores would give other last bits on another machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
