"""Processors: how many this process may use, which may be fewer than the machine has."""

import os


def cores() -> int:
    """Return the number of processors that are this process's: fewer in a container, or under ``taskset``."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
