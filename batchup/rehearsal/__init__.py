"""A fal of our own: the platform's protocol on loopback, with nothing paid, and everything that can go wrong.

async with open_fal(Settings(task_s=0.2)) as fal:
    ...  # a client with fal.environment() in its environment
    assert fal.billed_usd == 0
"""

from batchup.rehearsal.answers import Answer
from batchup.rehearsal.endpoints import Custom
from batchup.rehearsal.faults import (
    Chance,
    Cut,
    Damaged,
    Delay,
    Elsewhere,
    Faults,
    Redirect,
    Resized,
    Script,
    Slow,
    rough,
)
from batchup.rehearsal.job import Job
from batchup.rehearsal.record import Call
from batchup.rehearsal.server import Fal, open_fal
from batchup.rehearsal.settings import Settings

__all__ = [
    "Answer",
    "Call",
    "Chance",
    "Custom",
    "Cut",
    "Damaged",
    "Delay",
    "Elsewhere",
    "Fal",
    "Faults",
    "Job",
    "Redirect",
    "Resized",
    "Script",
    "Settings",
    "Slow",
    "open_fal",
    "rough",
]
