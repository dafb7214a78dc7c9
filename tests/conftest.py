"""For all tests: one thread per model. Toy models gain nothing from more, and threads that wait for a core spin."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
