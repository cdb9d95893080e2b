"""Every mistake is told with its file, line and column, and a sentence that helps."""

import re
from pathlib import Path

import pytest

from batchup.errors import ManifestError
from batchup.manifest import parse

BASE = """\
version: 1
name: holiday
inputs: [{path: photos}]
model: local/lanczos
params: {scale: 2}
output: {dir: out}
"""


def faults(text: str | bytes) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    try:
        parse(data, "jobs/photos.yaml", Path("/jobs"))
    except ManifestError as error:
        return [str(fault) for fault in error.faults]
    return []


def base(**lines: str) -> str:
    """Return the base manifest with the lines of some keys replaced (by nothing, to remove them)."""
    text = BASE
    for key, line in lines.items():
        text, count = re.subn(rf"^{key}:.*\n", line and f"{line}\n", text, flags=re.MULTILINE)
        assert count == 1
    return text


# What is appended to the base manifest (its first line is line 7), where the fault is, and what is said.
APPENDED = {
    "unknown key": ("runn: {}", "7:1: runn: no such key; did you mean run?"),
    "unknown key below": ("run:\n  budgett: 5", "8:3: run.budgett: no such key; did you mean budget?"),
    "unknown key like nothing": (
        "retry: {zzz: 1}",
        "7:9: retry.zzz: no such key; there is attempts, initial, max, multiplier",
    ),
    "rate": (
        "run:\n  rate: fast",
        '8:9: run.rate: "fast" is no rate; write 10/s or 120/min',
    ),
    "rate of nothing": ("run: {rate: 0/s}", '7:13: run.rate: "0/s" must be above 0'),
    "currency": ("run: {budget: $5}", '7:15: run.budget: "$5" is no amount; write 5 USD'),
    "negative budget": ("run: {budget: -1}", "7:15: run.budget: -1 is no amount; write 5 USD"),
    "concurrency of none": (
        "run: {concurrency: 0}",
        "7:20: run.concurrency: 0 is below 1, the least allowed",
    ),
    "concurrency as text": (
        'run: {concurrency: "8"}',
        '7:20: run.concurrency: "8" is no whole number',
    ),
    "half an attempt": ("retry: {attempts: 2.5}", "7:19: retry.attempts: 2.5 is no whole number"),
    "duration without unit": ("retry: {initial: 5}", "7:18: retry.initial: 5 has no unit; write 5s"),
    "duration out of order": (
        "timeouts: {task: 30m1h}",
        '7:18: timeouts.task: "30m1h": units go from long to short, each once, as in 1h30m',
    ),
    "time-out of nothing": ("timeouts: {stall: 0s}", '7:19: timeouts.stall: "0s" must be above 0'),
    "misspelt choice": (
        "run: {order: smalest}",
        (
            '7:14: run.order: "smalest" is not allowed; did you mean smallest? '
            "(one of listed, smallest, largest, cheapest)"
        ),
    ),
    "no longer a boolean": (
        "fal: {store_payloads: yes}",
        '7:23: fal.store_payloads: "yes" is neither true nor false',
    ),
    "hours": (
        'run: {window: "22-07"}',
        '7:15: run.window: "22-07" are no hours; write 22:00-07:00',
    ),
    "hours that do not exist": (
        'run: {window: {hours: "22:00-25:00"}}',
        '7:23: run.window.hours: "22:00-25:00": hours go from 00:00 to 23:59; write 22:00-07:00',
    ),
    "day": (
        'run: {window: {hours: "22:00-07:00", days: mon-fry}}',
        (
            '7:44: run.window.days: "mon-fry" is no day of the week; write mon, tue, wed, thu, fri, sat, sun, '
            "or a range such as mon-fri"
        ),
    ),
    "time zone": (
        'run: {window: {hours: "22:00-07:00", zone: Europe/Berlinn}}',
        '7:44: run.window.zone: "Europe/Berlinn" is no time zone known here; did you mean Europe/Berlin?',
    ),
    "limits of an unknown model": (
        "run:\n  limits:\n    local/lancsoz: {concurrency: 1}",
        '9:5: run.limits.local/lancsoz: "local/lancsoz" is no model; did you mean local/lanczos?',
    ),
    "price of an unknown model": (
        "prices: {local/lancsoz: 1 USD/MP}",
        '7:10: prices.local/lancsoz: "local/lancsoz" is no model; did you mean local/lanczos?',
    ),
    "price without unit": (
        "prices: {local/lanczos: 5 USD}",
        '7:25: prices.local/lanczos: "5 USD" is no unit price; write 0.03 USD/MP, 0.01 USD/s or 0.05 USD/output',
    ),
    "own endpoint as an address": (
        "models: {x: {endpoint: 'https://fal.run/a', kind: image, input: image_url, output: image.url}}",
        (
            '7:24: models.x.endpoint: "https://fal.run/a" is no endpoint\'s id; '
            "write one such as fal-ai/clarity-upscaler"
        ),
    ),
    "own endpoint without its output": (
        "models:\n  x:\n    {endpoint: a/b, kind: image, input: image_url}",
        "9:5: models.x.output: is missing; write output: image.url",
    ),
    "program as one text": (
        "on_finish: ./after.sh --quiet",
        '7:12: on_finish: "./after.sh --quiet" is no list; write [one, another], or a line with - for each',
    ),
    "number where text is wanted": (
        "notify:\n- 12",
        "8:3: notify.0: 12 is a number, where text is wanted; put it in quotes",
    ),
    "rule that does nothing": (
        "rules:\n- match: {kind: video}",
        "8:3: rules.0: does nothing; write model, params, or skip: true",
    ),
    "rule without match": ("rules: [{skip: true}]", "7:9: rules.0.match: is missing"),
    "rule with an unknown model": (
        "rules:\n- match: {}\n  model: local/lancsoz",
        '9:10: rules.0.model: "local/lancsoz" is no model; did you mean local/lanczos?',
    ),
    "rule with an unknown parameter": (
        "rules:\n- match: {}\n  params:\n    scal: 3",
        "10:5: rules.0.params.scal: no such parameter of local/lanczos; did you mean scale?",
    ),
    "matrix of a parameter that no model has": (
        "matrix:\n  qualty: [1, 2]",
        "8:3: matrix.qualty: no such parameter of local/lanczos; did you mean quality?",
    ),
    "matrix with a value out of range": (
        "matrix: {scale: [2, 99]}",
        "7:21: matrix.scale.1: 99 is above 16, the most allowed (local/lanczos)",
    ),
    "matrix over nothing": (
        "matrix: {scale: []}",
        "7:17: matrix.scale: a list with nothing in it; write at least one item",
    ),
    "matrix model with a wrong parameter": (
        "matrix:\n  model: [{model: local/lanczos, params: {quality: 101}}]",
        "8:52: matrix.model.0.params.quality: 101 is above 100, the most allowed (local/lanczos)",
    ),
    "exclude of what does not vary": (
        "matrix: {scale: [2, 4], exclude: [{scal: 4}]}",
        "7:36: matrix.exclude.0.scal: no such name in the matrix; did you mean scale?",
    ),
    "exclude of a value that is not there": (
        "matrix: {scale: [2, 4], exclude: [{scale: 3}]}",
        "7:43: matrix.exclude.0.scale: 3 is no value of scale; there is 2, 4",
    ),
    "variable not set": (
        "ledger: ${BATCHUP_NOT_SET}/x.jsonl",
        "7:9: ledger: the variable BATCHUP_NOT_SET is not set",
    ),
    "key in a path": (
        "ledger: ${FAL_KEY}",
        "7:9: ledger: ${FAL_KEY} cannot stand in a path: FAL_* variables hold keys",
    ),
    "duplicate key": ("name: again", "7:1: name: written twice; it already stands on line 2"),
    "duplicate key below": (
        "run:\n  rate: 1/s\n  rate: 2/s",
        "9:3: run.rate: written twice; it already stands on line 8",
    ),
    "tag": (
        "ledger: !!python/name:os.system x",
        (
            "7:9: ledger: the tag tag:yaml.org,2002:python/name:os.system is not allowed; "
            "a manifest holds plain values only"
        ),
    ),
    "merge": (
        "retry: &r {attempts: 1}\ntimeouts:\n  <<: *r",
        "9:3: timeouts: << (a merge) is not read; name the whole mapping by its alias, or write its keys",
    ),
    "number as a key": ("models:\n  1: x", "8:3: models: 1 cannot be a key; keys are text"),
    "escaped control character": (
        'ledger: "a\\0b"',
        "7:9: ledger: an escaped control character (U+0000) is not allowed",
    ),
    "second document": ("---\nversion: 1", "7:1: a second document; a manifest is one, so remove this ---"),
    "tab": ("run:\n\trate: 1/s", "8:1: a tab cannot indent; use spaces"),
    "colon inside": (
        "ledger: a: b",
        "7:10: a colon where none can stand; put a text that holds one in quotes, or check the indentation",
    ),
    "unquoted pattern": (
        "ledger: @x",
        "7:9: a text that begins with @ needs quotes",
    ),
    "bracket not closed": (
        "notify: [a\nledger: b",
        (
            "8:7: cannot be read as YAML: did not find expected ',' or ']'; "
            "check indentation, quotes and brackets around here"
        ),
    ),
    "pattern without quotes": ("notify: [**/*.jpg]", "7:10: a text that begins with * needs quotes"),
    "pattern taken for an alias": (
        "ledger: *jpg",
        "7:9: ledger: there is no &jpg above; put a text that begins with * in quotes",
    ),
    "alias of itself": ("notify: &a [*a]", "7:13: notify.0: *a stands inside of what it names, without end"),
}

# Lines of the base manifest that are replaced.
REPLACED = {
    "version to come": ({"version": "version: 2"}, "1:10: version: 2 is no version known here; write 1"),
    "version missing": ({"version": ""}, "1:1: version: is missing; write version: 1"),
    "version empty": ({"version": "version:"}, "1:9: version: is empty; write version: 1"),
    "name with a slash": (
        {"name": "name: a/b"},
        '2:7: name: "a/b" is no name; write letters, digits, - _ and . (a number in quotes)',
    ),
    "name of a folder above": (
        {"name": "name: .."},
        '2:7: name: ".." is no name; write letters, digits, - _ and . (a number in quotes)',
    ),
    "name misspelt": ({"name": "nane: holiday"}, "2:1: nane: no such key; did you mean name?"),
    "no inputs": (
        {"inputs": "inputs: []"},
        "3:9: inputs: a list with nothing in it; write at least one item",
    ),
    "inputs as text": (
        {"inputs": "inputs: photos"},
        '3:9: inputs: "photos" is no list; write [one, another], or a line with - for each',
    ),
    "input as text": (
        {"inputs": "inputs: [photos]"},
        '3:10: inputs.0: "photos" is no input; write {path: ...}, {url: ...} or {list: ...}',
    ),
    "input of two kinds": (
        {"inputs": "inputs: [{path: a, list: b}]"},
        "3:10: inputs.0: has path and list; an input is one of the three",
    ),
    "input of no kind": (
        {"inputs": "inputs:\n- kind: image"},
        "4:3: inputs.0: has neither path, url nor list; an input is one of the three",
    ),
    "filter misspelt": (
        {"inputs": "inputs: [{path: a, maxpixels: 8MP}]"},
        "3:20: inputs.0.maxpixels: no such key; did you mean max_pixels?",
    ),
    "filter of one kind of input only": (
        {"inputs": "inputs: [{path: a, allow_privat: true}]"},
        "3:20: inputs.0.allow_privat: no such key; did you mean allow_private?",
    ),
    "pixels": (
        {"inputs": "inputs: [{path: a, max_pixels: 8 megapixels}]"},
        '3:32: inputs.0.max_pixels: "8 megapixels" is no number of pixels; write 4MP',
    ),
    "size": (
        {"inputs": "inputs: [{path: a, max_size: 8 MP}]"},
        '3:30: inputs.0.max_size: "8 MP" is no size; write 500 KB or 2GiB',
    ),
    "bounds that leave nothing": (
        {"inputs": "inputs: [{path: a, min_width: 9, max_width: 8}]"},
        "3:10: inputs.0: min_width is above max_width, so nothing can fit",
    ),
    "age": (
        {"inputs": "inputs: [{path: a, newer_than: yesterday}]"},
        '3:32: inputs.0.newer_than: "yesterday" is no date or age; write 2019-01-01 or 30d',
    ),
    "day that never was": (
        {"inputs": "inputs: [{path: a, newer_than: 2019-02-30}]"},
        '3:32: inputs.0.newer_than: "2019-02-30" is not in the calendar; write a date such as 2019-01-01',
    ),
    "pattern": (
        {"inputs": "inputs: [{path: a, include: ['*.jpg', '!']}]"},
        '3:39: inputs.0.include.1: "!" is no pattern; write one such as **/*.jpg',
    ),
    "address": (
        {"inputs": "inputs: [{url: [https://a/b.jpg, ftp://a/b.jpg]}]"},
        '3:34: inputs.0.url.1: "ftp://a/b.jpg" is no address; write one that begins with https://',
    ),
    "model misspelt": (
        {"model": "model: local/lancsoz"},
        '4:8: model: "local/lancsoz" is no model; did you mean local/lanczos?',
    ),
    "model without its provider": (
        {"model": "model: lanczos"},
        '4:8: model: "lanczos" is no model; did you mean local/lanczos?',
    ),
    "model missing": ({"model": "", "params": ""}, "1:1: model: is missing; write model: local/lanczos"),
    "parameter misspelt": (
        {"params": "params:\n  scalee: 2"},
        "6:3: params.scalee: no such parameter of local/lanczos; did you mean scale?",
    ),
    "parameter out of range": (
        {"params": "params: {scale: 17}"},
        "5:17: params.scale: 17 is above 16, the most allowed (local/lanczos)",
    ),
    "parameter as text": (
        {"params": "params: {scale: 2x}"},
        '5:17: params.scale: "2x" is no number (local/lanczos)',
    ),
    "output missing": ({"output": ""}, "1:1: output: is missing; write output: {dir: ~/Pictures/holiday-2x}"),
    "output without folder": (
        {"output": "output: {exists: skip}"},
        "6:9: output.dir: is missing; write dir: ~/Pictures/holiday-2x",
    ),
    "template with an unknown field": (
        {"output": "output: {dir: out, name: '{sten}{ext}'}"},
        "6:26: output.name: no such field: {sten}; did you mean stem?",
    ),
    "template with an open brace": (
        {"output": "output: {dir: out, name: '{stem'}"},
        '6:26: output.name: "{stem": the { at character 1 is not closed',
    ),
}

CASES = [
    *(pytest.param(BASE + text, said, id=name) for name, (text, said) in APPENDED.items()),
    *(pytest.param(base(**lines), said, id=name) for name, (lines, said) in REPLACED.items()),
]


def test_the_base_of_the_table_has_no_mistake():
    assert faults(BASE) == []


@pytest.mark.parametrize(("text", "said"), CASES)
def test_a_mistake_is_told_once_and_at_its_place(text, said):
    assert faults(text) == [f"jobs/photos.yaml:{said}"]


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file():
    text = base(name="name: a/b", model="model: local/lancsoz", output="output: {dir: '${BATCHUP_NOT_SET}'}")

    told = faults(f"{text}run: {{rate: fast}}\nrun: {{}}\nprices: {{local/lanczos: !x 1}}\n")

    assert [re.findall(r"jobs/photos.yaml:(\d+):\d+: ([a-z./]+)", line)[0] for line in told] == [
        ("2", "name"),
        ("4", "model"),
        ("6", "output.dir"),
        ("7", "run.rate"),
        ("8", "run"),
        ("9", "prices.local/lanczos"),
        ("9", "prices.local/lanczos"),
    ]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", "1:1: is empty; a manifest begins with version: 1", id="empty"),
        pytest.param(b"# only a comment\n", "1:1: is empty; a manifest begins with version: 1", id="comment"),
        pytest.param(b"- a\n", "1:1: holds a list, where keys such as version: 1 belong", id="list"),
        pytest.param(b"hello\n", '1:1: holds "hello", where keys such as version: 1 belong', id="text"),
        pytest.param(b"a: 1\nb: \xe4\n", "2:4: byte 0xe4 is not UTF-8; save it as UTF-8", id="Latin-1"),
        pytest.param(
            "version: 1".encode("utf-16"),
            "1:1: byte 0xff is not UTF-8; it looks like UTF-16; save it as UTF-8",
            id="UTF-16",
        ),
        pytest.param(
            b"a: \x00", "1:4: a control character (U+0000); a manifest is plain text", id="control character"
        ),
    ],
)
def test_what_is_no_text_of_keys_is_told_so(data, said):
    assert faults(data) == [f"jobs/photos.yaml:{said}"]


def test_a_file_of_more_than_10_mb_is_refused_without_being_parsed():
    told = faults(b"#" * 10_000_001)

    assert told == ["jobs/photos.yaml: is larger than 10 MB; long lists of inputs belong into a list: file"]


def test_a_fault_is_one_line_whatever_the_file_holds():
    told = faults(BASE + '"a\\nb\\e": "\\u202e"\n' + "x" * 500 + ": 1\n")

    assert told
    assert all(line.isprintable() and len(line) < 400 for line in told)
