"""The JSON Schema tells an editor what the loader takes."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from batchup.manifest import schema, syntax
from tests.manifest.test_manifest import FULL, SMALLEST

TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": tuple,
    "string": str,
    "boolean": bool,
    "null": type(None),
}


def is_a(value: Any, name: str) -> bool:
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def fits(value: Any, node: dict[str, Any], root: dict[str, Any]) -> bool:
    """Check *value* by the keywords of JSON Schema that a manifest's uses."""
    if "$ref" in node:
        return fits(value, root["$defs"][node["$ref"].removeprefix("#/$defs/")], root)
    names = node.get("type", [])
    alternatives = node.get("anyOf") or node.get("oneOf")
    return (
        (not names or any(is_a(value, name) for name in ([names] if isinstance(names, str) else names)))
        and (not alternatives or any(fits(value, one, root) for one in alternatives))
        and value in node.get("enum", [value])
        and value == node.get("const", value)
        and parts_fit(value, node, root)
    )


def parts_fit(value: Any, node: dict[str, Any], root: dict[str, Any]) -> bool:
    match value:
        case dict():
            return set(node.get("required", ())) <= set(value) and all(
                below is not False and (below is True or fits(item, below, root))
                for key, item in value.items()
                for below in [node.get("properties", {}).get(key, node.get("additionalProperties", True))]
            )
        case tuple():
            few = len(value) < node.get("minItems", 0)
            return not few and all(fits(one, node.get("items", {}), root) for one in value)
        case str():
            return re.search(node.get("pattern", ""), value) is not None
        case int() | float():
            return bool(value >= node.get("minimum", value))
    return True


def accepts(text: str) -> bool:
    return fits(syntax.read(text.encode(), "job.yaml").value, schema(), schema())


@pytest.mark.parametrize("text", [SMALLEST, FULL], ids=["smallest", "full"])
def test_a_right_manifest_fits_the_schema(text):
    assert accepts(text)


@pytest.mark.parametrize(
    "text",
    [
        SMALLEST + 'run: {window: "22:00-07:00", budget: 5, memory: 1024}',
        SMALLEST + "run: {window: {hours: '22:00-07:00', days: [sat, sun]}}",
        SMALLEST + "timeouts: {task: 1h30m}\nretry: {initial: 250 ms}",
        SMALLEST + "rules: [{match: {path: ['a/**', b]}, skip: true}]",
        SMALLEST + "run:\nrules:\nmatrix:\n",
    ],
)
def test_every_way_to_write_a_value_fits_the_schema(text):
    assert accepts(text)


@pytest.mark.parametrize(
    "text",
    [
        SMALLEST + "runn: {}",
        SMALLEST + "run: {rate: fast}",
        SMALLEST + "run: {order: fastest}",
        SMALLEST + "timeouts: {task: 5}",
        SMALLEST + "on_finish: ./after.sh",
        SMALLEST + "matrix: {scale: []}",
        SMALLEST.replace("version: 1", "version: 2"),
        SMALLEST.replace("name: holiday", ""),
        SMALLEST.replace("path:", "pathh:"),
        SMALLEST.replace("path: ", "max_pixels: 8 megapixels, path: "),
    ],
)
def test_a_wrong_manifest_does_not_fit_the_schema(text):
    assert not accepts(text)


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for below in node.values():
            yield from mappings(below)
    elif isinstance(node, list):
        for below in node:
            yield from mappings(below)


def test_every_key_is_described_and_no_other_is_taken():
    sections = [node for node in mappings(schema()) if "properties" in node]

    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert len(sections) > 10
    for section in sections:
        assert "additionalProperties" in section
        assert all(field.get("description") for field in section["properties"].values())


def loaded(value: Any) -> Any:
    """Return JSON as the loader would have it: lists are tuples."""
    if isinstance(value, list):
        return tuple(map(loaded, value))
    return {key: loaded(item) for key, item in value.items()} if isinstance(value, dict) else value


def test_defaults_and_examples_are_written_as_the_schema_wants_them():
    for node in mappings(schema()):
        for value in [*node.get("examples", ()), *([node["default"]] if "default" in node else [])]:
            assert fits(loaded(value), node, schema()), (value, node)


def test_the_schema_is_plain_json():
    assert json.loads(json.dumps(schema())) == schema()
    assert yaml.safe_load(json.dumps(schema())) == schema()
