"""The JSON Schema of a manifest, for editors; and which keys may stand where."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from batchup.manifest.job import Manifest

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_NOTES = frozenset({"title", "description", "default", "examples"})


@cache
def _schema() -> dict[str, Any]:
    found = {"$schema": DIALECT, **Manifest.model_json_schema(by_alias=True)}
    for section in (found, *found["$defs"].values()):
        required = section.get("required", ())
        for key, field in section.get("properties", {}).items():
            if key not in required:
                _may_be_empty(field)
    return found


def _may_be_empty(field: dict[str, Any]) -> None:
    """Let a key stand with nothing behind it, as the loader does: ``rules:`` before its first rule is written."""
    kind = {key: field.pop(key) for key in list(field) if key not in _NOTES}
    kinds = kind.get("anyOf", [kind])
    field["anyOf"] = kinds if {"type": "null"} in kinds else [*kinds, {"type": "null"}]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a manifest: what an editor needs to complete and check one as it is typed."""
    return dict(_schema())


def keys_at(loc: Sequence[str | int]) -> tuple[str, ...]:
    """Return the keys that may stand in the mapping at *loc*; of all its kinds, where it may be of several."""
    return tuple(dict.fromkeys(key for node in _nodes(loc) for key in node.get("properties", ())))


def example_at(loc: Sequence[str | int]) -> str:
    """Return an example of the value at *loc* as YAML, empty where there is none."""
    return next((_flow(node["examples"][0]) for node in _fields(loc) if node.get("examples")), "")


def _flow(value: Any) -> str:
    match value:
        case dict():
            return f"{{{', '.join(f'{key}: {_flow(below)}' for key, below in value.items())}}}"
        case list():
            return f"[{', '.join(map(_flow, value))}]"
    return str(value)


def _nodes(loc: Sequence[str | int]) -> Iterator[dict[str, Any]]:
    for node in _fields(loc):
        yield from _alternatives(node)


def _fields(loc: Sequence[str | int]) -> list[dict[str, Any]]:
    """Return the subschemas at *loc* as their parents hold them, with the examples that stand beside a ``$ref``."""
    nodes = [_schema()]
    for part in loc:
        nodes = [below for node in nodes for kind in _alternatives(node) for below in _below(kind, part)]
    return nodes


def _alternatives(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield *node* without references, taken apart where it allows several kinds of value."""
    if "$ref" in node:
        yield from _alternatives(_schema()["$defs"][node["$ref"].rpartition("/")[2]])
    elif several := node.get("anyOf") or node.get("oneOf"):
        for one in several:
            yield from _alternatives(one)
    else:
        yield node


def _below(node: dict[str, Any], part: str | int) -> Iterator[dict[str, Any]]:
    below = node.get("items") if isinstance(part, int) else node.get("properties", {}).get(part)
    if below is None and isinstance(part, str):
        below = node.get("additionalProperties")
    if isinstance(below, dict):
        yield below
