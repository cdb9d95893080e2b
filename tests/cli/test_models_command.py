import json

import pytest

from batchup.manifest import parse
from batchup.models import find, names


def test_every_model_is_listed_with_its_price(call):
    status, out, _ = call("models")

    assert status == 0
    rows = {line.split()[0]: line for line in out.splitlines() if "/" in line}
    assert set(rows) == set(names())
    assert all(find(name).price_note in row for name, row in rows.items())


@pytest.mark.parametrize("name", names())
def test_a_model_is_shown_with_every_parameter_and_its_description(call, name):
    status, out, _ = call("models", name)

    assert status == 0
    for param, about in find(name).params.model_json_schema()["properties"].items():
        assert f"\n  {param} " in out
        assert about["description"].replace("`", "").split()[0] in out


@pytest.mark.parametrize("name", names())
def test_the_example_of_a_model_is_a_manifest(call, name, tmp_path):
    lines = call("models", name).out.partition("In a manifest:")[2].strip().splitlines()

    manifest = parse("\n".join(line.removeprefix("  ") for line in lines).encode(), "example.yaml", tmp_path)

    assert manifest.model == name


def test_types_ranges_and_defaults_are_said(call):
    out = call("models", "local/lanczos").out

    assert "number, from 1 to 16; default 2" in out
    assert "whole number, from 1 to 100" in out
    assert "jpeg | jpg | png" in out


def test_json_holds_the_schema_of_the_parameters(call):
    document = json.loads(call("models", "local/lanczos", "--json").out)

    assert document["params"]["properties"]["scale"]["default"] == 2
    assert document["price"] == "free"


def test_json_of_all_models_is_one_document(call):
    document = json.loads(call("models", "--json").out)

    assert [model["name"] for model in document["models"]] == list(names())


def test_a_misspelt_model_is_told_with_the_nearest_name(call):
    status, out, err = call("models", "lancsoz")

    assert status == 2
    assert out == ""
    assert "did you mean local/lanczos?" in err
