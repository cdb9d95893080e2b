import json

import pytest

GOOD = """\
version: 1
name: holiday
inputs: [{path: photos}, {path: more}]
model: local/lanczos
matrix: {scale: [2, 4]}
rules:
  - {match: {kind: video}, skip: true}
output: {dir: out}
"""
BAD = """\
version: 1
name: holiday
inputs: [{path: photos}]
model: local/lancsoz
output: {dri: out}
"""
TOGETHER = """\
version: 1
name: holiday
inputs: [{path: photos}]
model: local/lanczos
matrix: {scale: [2, 3], width: [100]}
output: {dir: out}
"""


@pytest.fixture
def manifest(tmp_path):
    return tmp_path / "holiday.yaml"


def test_a_right_manifest_is_told_in_one_line(call, manifest):
    manifest.write_text(GOOD)

    status, out, err = call("validate", manifest)

    assert (status, err) == (0, "")
    assert out.startswith(
        f"{manifest}: ok: job holiday, 2 input items, model local/lanczos, 1 rule, 2 combinations"
    )


def test_a_right_manifest_is_valid_in_json(call, manifest):
    manifest.write_text(GOOD)

    status, out, _ = call("validate", manifest, "--json")

    document = json.loads(out)
    assert status == 0
    assert (document["valid"], document["faults"], document["inputs"]) == (True, [], 2)


def test_every_fault_goes_to_stderr_with_its_place(call, manifest):
    manifest.write_text(BAD)

    status, out, err = call("validate", manifest)

    assert (status, out) == (2, "")
    assert f"{manifest}:4:8: " in err
    assert "did you mean local/lanczos?" in err
    assert f"{manifest}:5:10: " in err


def test_faults_are_json_where_that_is_asked_for(call, manifest):
    manifest.write_text(BAD)

    status, out, err = call("validate", manifest, "--json")

    document = json.loads(out)
    assert (status, err, document["valid"]) == (2, "", False)
    assert {(fault["line"], fault["column"]) for fault in document["faults"]} >= {(4, 8), (5, 10)}
    assert set(document["faults"][0]) == {"file", "line", "column", "message"}


def test_parameters_that_exclude_each_other_in_a_matrix_are_a_fault(call, manifest):
    manifest.write_text(TOGETHER)

    status, _, err = call("validate", manifest)

    assert status == 2
    assert "scale and width exclude each other" in err


def test_a_manifest_that_is_not_there_is_a_fault(call, manifest):
    status, out, _ = call("validate", manifest, "--json")

    assert status == 2
    assert json.loads(out)["faults"][0]["message"] == "there is no such file"


def test_a_quiet_check_says_nothing(call, manifest):
    manifest.write_text(GOOD)

    assert call("validate", manifest, "-q") == (0, "", "")


def test_the_schema_is_json_with_every_key_of_a_manifest(call):
    status, out, _ = call("schema")

    document = json.loads(out)
    assert status == 0
    assert {"version", "inputs", "output", "run", "retry"} <= set(document["properties"])
