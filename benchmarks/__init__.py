"""What the project costs, measured: `python -m benchmarks` runs the comparisons, the other modules stand alone."""

import os

# Times are of one thread. NumPy reads this when it is first imported, which is later than here.
os.environ.setdefault("OMP_NUM_THREADS", "1")
