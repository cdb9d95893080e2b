"""YAML is read as people mean it, and nothing in it can hurt the reader."""

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from batchup.errors import ManifestError
from batchup.manifest import parse, syntax


def read(text: str) -> syntax.Document:
    return syntax.read(text.encode(), "job.yaml")


def refusal(text: str) -> str:
    with pytest.raises(ManifestError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("Off", "Off"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("~/photos", "~/photos"),
        ("12:30", "12:30"),
        ("22:00-07:00", "22:00-07:00"),
        ("2019-01-01", "2019-01-01"),
        ("12", 12),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("007", "007"),
        ("0x1F", 31),
        ("0o17", 15),
        ("0b11", "0b11"),
        ("1_000", "1_000"),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000),
        ("1e-3", 0.001),
        ("1.5e3", 1500.0),
        ("1e999", "1e999"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1.2.3", "1.2.3"),
        ("0.1.0", "0.1.0"),
        ("9" * 5000, "9" * 5000),
        ("=", "="),
        ("'12'", "12"),
        ('"true"', "true"),
        ('"\\u00e9"', "é"),
        ("[a, 1]", ("a", 1)),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("&x 1", 1),
    ],
)
def test_a_scalar_means_what_it_looks_like(written, value):
    found = read(f"key: {written}").value["key"]

    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("key", ["on", "no", "y", "'1'", "12:30"])
def test_a_key_that_looks_like_a_word_is_that_word(key):
    document = read(f"{key}: 1")

    assert document.value == {key.strip("'"): 1}
    assert not document.faults


def test_an_alias_stands_for_its_anchor():
    document = read("a: &x {b: [1]}\nc: *x\nd: *x\n")

    assert document.value == {"a": {"b": (1,)}, "c": {"b": (1,)}, "d": {"b": (1,)}}


def test_a_place_counts_characters_from_1_and_a_byte_order_mark_for_nothing():
    document = read("\ufeffé: ü\nöl: {ä: x, ß: y}\n")

    fault = document.fault(("öl", "ß"), "wrong")

    assert str(fault) == "job.yaml:2:15: öl.ß: wrong"
    assert str(document.fault(("é",), "wrong")) == "job.yaml:1:4: é: wrong"


def test_a_place_that_the_file_does_not_hold_is_the_nearest_above_it():
    document = read("a:\n  - b: 1\n")

    assert str(document.fault(("a", 0, "c", "d"), "wrong")) == "job.yaml:2:5: a.0.c.d: wrong"
    assert str(document.fault(("z",), "wrong")) == "job.yaml:1:1: z: wrong"
    assert str(document.fault((), "wrong")) == "job.yaml:1:1: wrong"


def test_lines_that_end_as_on_windows_are_counted_once():
    document = read("a: 1\r\nb: 2\r\n")

    assert str(document.fault(("b",), "wrong")) == "job.yaml:2:4: b: wrong"


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


def test_aliases_that_expand_without_bound_are_refused_before_they_expand():
    began = time.perf_counter()

    told = refusal(bomb(50))

    assert told.startswith("job.yaml:5:5: a4: aliases (*) that expand to 111,111 values; write them out")
    assert time.perf_counter() - began < 1


def test_what_aliases_expand_to_is_held_once():
    document = read(bomb(4))

    assert len({id(part) for part in document.value["a3"]}) == 1


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? ", "[{a: "])
def test_nesting_that_would_overflow_a_stack_is_refused(opening):
    told = refusal("deep: \n  " + opening * 100_000)

    assert "nested more than 64 levels deep" in told or "cannot be read as YAML" in told


def test_a_manifest_of_60000_lines_is_read_in_seconds():
    item = "  - path: /media/{}\n    max_pixels: 8MP\n    include: ['*.jpg']\n"
    head = "version: 1\nname: x\nmodel: local/lanczos\noutput: {dir: o}\ninputs:\n"
    data = (head + "".join(item.format(n) for n in range(20_000))).encode()
    began = time.perf_counter()

    manifest = parse(data, "job.yaml", Path("/"))

    assert len(manifest.inputs) == 20_000
    # It takes 0.8 s; the bound is for machines that do other things as well.
    assert time.perf_counter() - began < 15


def test_the_parser_in_python_finds_the_same(monkeypatch):
    text = "a: &x [1, 'b', {c: no}]\nd: *x\na: 2\ne: !t 3\n1: f\n<<: *x\n"
    fast = read(text)

    monkeypatch.setattr(syntax, "_Loader", yaml.SafeLoader)

    assert read(text) == fast


def outcome(data: bytes) -> None:
    faults = []
    try:
        parse(data, "job.yaml", Path("/jobs"))
    except ManifestError as error:
        faults = [str(fault) for fault in error.faults]
    assert all(fault.isprintable() for fault in faults)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_faults(data):
    outcome(data)


WORDS = "inputs matrix rules run params prices models window limits exclude match path url scale null no"
MARKS = "-{}[],:?'\"|>#%@\\\t\x85\u2028é~1"
LINES = ["version: 1\n", "name: x\n", "model: local/lanczos\n", "output: {dir: o}\n", "---\n", "...\n", "\n"]
BITS = [
    "  ",
    "- ",
    "- - ",
    ": ",
    "*a ",
    "&a ",
    "!t ",
    "!!str ",
    "<<: ",
    "1.5",
    "1e3",
    "0x1",
    "-1",
    "local/x",
    "${A",
]
SHARDS = st.sampled_from([*LINES, *BITS, *MARKS, *(f"{word}: " for word in WORDS.split())])


@settings(max_examples=400, deadline=None)
@given(st.lists(SHARDS, max_size=25))
def test_no_shards_of_a_manifest_raise_anything_but_faults(shards):
    outcome("".join(shards).encode())


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["30d", "4MP", "1/s"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "version",
    "name",
    "inputs",
    "model",
    "params",
    "matrix",
    "rules",
    "models",
    "prices",
    "output",
    "run",
    "retry",
]
BELOW = [
    "window",
    "rate",
    "limits",
    "exclude",
    "model",
    "scale",
    "match",
    "params",
    "dir",
    "path",
    "url",
    "kind",
    "hours",
]


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(KEYS), VALUES | st.dictionaries(st.sampled_from(BELOW), VALUES, max_size=3)
    )
)
def test_no_value_anywhere_raises_anything_but_faults(tree):
    outcome(yaml.safe_dump(tree, allow_unicode=True).encode(errors="surrogatepass"))
