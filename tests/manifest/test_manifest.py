"""A manifest that is right says what it says, and nothing else."""

import hashlib
from datetime import time
from decimal import Decimal
from pathlib import Path

import pytest

from batchup.errors import Fault, ManifestError
from batchup.manifest import (
    Hours,
    ListInput,
    Manifest,
    ModelChoice,
    PathInput,
    Price,
    Rate,
    UrlInput,
    load,
    parse,
)

SMALLEST = """\
version: 1
name: holiday
inputs: [{path: ~/Pictures/holiday}]
model: local/lanczos
params: {scale: 2}
output: {dir: ~/Pictures/holiday-2x}
"""

FULL = """\
version: 1
name: library
inputs:
  - path: /media/library
    include: ["**/*.jpg", "**/*.mp4"]
    exclude: ["**/.thumbnails/**"]
    max_pixels: 8MP
    newer_than: 2019-01-01
  - list: extra.csv            # columns path or url; others are {row.title} in templates
  - url: https://example.org/a.jpg
    allow_private: true
model: local/lanczos
params: {output_format: png}
matrix:
  scale: [2, 4]
  model: [local/lanczos, {model: fal/clarity, params: {checkpoint: v2}}]
  exclude: [{model: fal/clarity, scale: 2}]
rules:
  - match: {path: "portraits/**", kind: image}
    model: fal/clarity
    params: {scale_factor: 2}
  - match: {kind: video, max_height: 720}
    model: fal/clarity
  - match: {min_pixels: 20MP}
    skip: true
models:
  clarity: {endpoint: fal-ai/clarity-upscaler, kind: image, input: image_url, output: image.url, price: 0.03 USD/MP, factor: upscale_factor}
output: {dir: /media/upscaled, name: "{dir}/{stem}-{model}{ext}", metadata: keep}
run:
  concurrency: 8
  rate: 120/min
  budget: 25 USD
  window: {hours: "22:00-07:00", days: mon-fri, zone: Europe/Berlin}
  limits: {fal/clarity: {concurrency: 2, budget: 5 USD}}
  memory: 8GiB
notify: ["ntfy://my-topic"]
on_finish: [./after.sh, --quiet]
"""


def read(text: str) -> Manifest:
    return parse(text.encode(), "job.yaml", Path("/jobs"))


def test_the_smallest_manifest_has_the_documented_defaults():
    job = read(SMALLEST)

    assert (job.version, job.name, job.model, job.params) == (1, "holiday", "local/lanczos", {"scale": 2})
    assert (job.matrix, job.rules, job.models, job.prices, job.ledger) == (None, (), {}, {}, None)
    assert job.output.model_dump() == {
        "dir": "~/Pictures/holiday-2x",
        "name": None,
        "exists": "skip",
        "metadata": "keep",
        "missing": "heal",
        "sidecar": False,
    }
    assert job.run.model_dump() == {
        "concurrency": None,
        "rate": None,
        "budget_usd": None,
        "window": None,
        "order": "listed",
        "limits": {},
        "stop_after": 20,
        "memory_bytes": None,
        "cluster": None,
    }
    assert job.retry.model_dump() == {"attempts": 5, "initial_s": 1.0, "max_s": 120.0, "multiplier": 2.0}
    assert job.timeouts.model_dump() == {"connect_s": 30.0, "stall_s": 60.0, "task_s": 3600.0}
    assert job.fal.model_dump() == {
        "mode": "queue",
        "priority": "normal",
        "keep_inputs_s": 86400.0,
        "store_payloads": True,
        "settle_s": 120.0,
        "resubmit_below_usd": Decimal("0.05"),
    }
    assert (job.notify, job.on_finish) == ((), ())


def test_a_manifest_that_uses_most_of_it_is_understood():
    job = read(FULL)

    first, second, third = job.inputs
    assert isinstance(first, PathInput)
    assert first.include == ("**/*.jpg", "**/*.mp4")
    assert first.filters.max_pixels == 8_000_000
    assert first.filters.newer_than is not None
    assert isinstance(second, ListInput)
    assert second.list == "extra.csv"
    assert isinstance(third, UrlInput)
    assert (third.urls, third.allow_private) == (("https://example.org/a.jpg",), True)
    assert [(rule.match.path, rule.match.filters.kind, rule.model, rule.skip) for rule in job.rules] == [
        (("portraits/**",), "image", "fal/clarity", False),
        ((), "video", "fal/clarity", False),
        ((), None, None, True),
    ]
    assert job.models["clarity"].price == Price(Decimal("0.03"), "MP")
    assert job.run.rate == Rate(120.0, 60.0)
    assert job.run.window is not None
    assert job.run.window.hours == Hours(time(22), time(7))
    assert job.run.window.days == (0, 1, 2, 3, 4)
    assert job.run.limits["fal/clarity"].budget_usd == Decimal(5)
    assert job.run.memory_bytes == 8 * 1024**3
    assert job.on_finish == ("./after.sh", "--quiet")


def test_a_matrix_keeps_its_order_and_makes_choices_of_models():
    matrix = read(FULL).matrix

    assert matrix is not None
    assert list(matrix.values.items()) == [
        ("scale", (2, 4)),
        (
            "model",
            (
                ModelChoice(model="local/lanczos"),
                ModelChoice(model="fal/clarity", params={"checkpoint": "v2"}),
            ),
        ),
    ]
    assert matrix.exclude == ({"model": "fal/clarity", "scale": 2},)


def test_a_model_comes_first_in_the_matrix_where_it_is_written_first():
    text = SMALLEST + "matrix: {quality: [80], model: [local/lanczos], scale: [2, 3]}\n"

    matrix = read(text).matrix

    assert matrix is not None
    assert list(matrix.values) == ["quality", "model", "scale"]


def test_a_bare_window_is_every_day_in_local_time():
    window = read(SMALLEST + 'run: {window: "22:00-07:00"}\n').run.window

    assert window is not None
    assert (window.hours, window.days, window.zone) == (Hours(time(22), time(7)), (0, 1, 2, 3, 4, 5, 6), None)


def test_a_section_left_empty_is_as_if_it_were_not_there():
    job = read(SMALLEST + "run:\n  # rate: 1/s\nrules:\nmatrix:\nnotify:\n")

    assert job.model_dump() == read(SMALLEST).model_dump()


def test_money_is_never_a_binary_fraction():
    job = read(SMALLEST + "run: {budget: 0.1}\nfal: {resubmit_below: 0.3}\n")

    assert str(job.run.budget_usd) == "0.1"
    assert str(job.fal.resubmit_below_usd) == "0.3"


def test_a_manifest_cannot_be_changed():
    job = read(SMALLEST)

    with pytest.raises(ValueError, match="frozen"):
        job.name = "other"  # type: ignore[misc] # that it cannot be is the point


def test_a_file_is_named_as_the_person_named_it_and_its_folder_is_absolute(tmp_path, monkeypatch):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "a.yaml").write_text(SMALLEST)
    monkeypatch.chdir(tmp_path)

    job = load(Path("jobs/a.yaml"))

    assert job.file == Path("jobs/a.yaml")
    assert job.folder == tmp_path / "jobs"
    assert job.sha256 == hashlib.sha256(SMALLEST.encode()).hexdigest()


def test_paths_are_relative_to_the_manifest_and_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DISK", "/media/disk")

    job = read(SMALLEST)

    assert job.resolve("photos/../a") == Path("/jobs/a")
    assert job.resolve("/a/./b") == Path("/a/b")
    assert job.resolve("${DISK}/$DISK") == Path("/media/disk/$DISK")
    assert job.output_dir == tmp_path / "Pictures/holiday-2x"
    assert job.ledger_path == tmp_path / "Pictures/holiday-2x/.batchup/holiday.jsonl"
    assert read(SMALLEST + "ledger: x.jsonl\n").ledger_path == Path("/jobs/x.jsonl")


@pytest.mark.parametrize("text", ["${FAL_KEY}", "${fal_key}", "${BATCHUP_NOT_SET}", "${", "${A-B}", "${}"])
def test_a_key_or_a_variable_that_is_not_set_never_becomes_a_path(monkeypatch, text):
    monkeypatch.setenv("FAL_KEY", "secret")
    monkeypatch.setenv("fal_key", "secret")

    with pytest.raises(ManifestError, match=r"is not set|is no variable|hold keys") as caught:
        read(SMALLEST).resolve(text)

    assert "secret" not in str(caught.value)


def test_a_variable_is_expanded_in_paths_only(monkeypatch):
    monkeypatch.setenv("X", "expanded")

    job = read(
        SMALLEST.replace("dir: ~/Pictures/holiday-2x", "dir: o, name: '{stem}$X'") + "notify: ['${X}']\n"
    )

    assert job.output.name == "{stem}$X"
    assert job.notify == ("${X}",)


def test_a_later_check_can_point_at_a_place():
    job = read(FULL)

    fault = job.fault(("inputs", 1, "list"), "there is no such file")

    assert fault == Fault("job.yaml", 9, 11, "inputs.1.list: there is no such file")


def test_a_file_that_cannot_be_read_is_told_with_its_name(tmp_path):
    with pytest.raises(ManifestError, match=r"none\.yaml: there is no such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(ManifestError, match="is a folder, and no manifest"):
        load(tmp_path)
    with pytest.raises(ManifestError, match="is no name that a file can have"):
        load(tmp_path / "a\0b")


def test_a_device_without_end_is_not_read_to_its_end():
    with pytest.raises(ManifestError, match="is larger than 10 MB"):
        load(Path("/dev/zero"))
