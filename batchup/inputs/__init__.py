"""Folders, globs, lists and URLs → sources, one lazy stream; what is left out of it, and why."""

from batchup.inputs.find import Found, find
from batchup.inputs.left import Skipped
from batchup.inputs.match import Patterns, matches, misfit

__all__ = ["Found", "Patterns", "Skipped", "find", "matches", "misfit"]
