"""Secrecy: which variables of the environment hold keys, and what programs that we start may see of it."""

from collections.abc import Mapping

_PREFIX = "FAL_"


def is_secret(name: str) -> bool:
    """Return whether a variable may hold a key, by its name in any case: Windows knows no other."""
    return name.upper().startswith(_PREFIX)


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a program that we start may see."""
    return {name: value for name, value in environment.items() if not is_secret(name)}
