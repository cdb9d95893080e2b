"""Super-resolution by networks of the user's own, in the worker process of one device."""

import os

# Before OpenMP is loaded, which otherwise waits for its threads by spinning: beside other work (an encoder, another task)
# a video took 3 to 20 times as long (ncnn 1.0.20261020 with libgomp, two cores, 2026-11).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
