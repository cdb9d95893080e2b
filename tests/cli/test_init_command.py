import json
import os
import sys

import pytest

from batchup.cli.init import quoted
from batchup.manifest import load
from batchup.manifest.scalars import resolve
from batchup.manifest.unread import job_name
from tests.cli.conftest import photo
from tests.videos import make_video

NAMES = [
    "holiday",
    "hol iday",
    "2019",
    "no",
    "null",
    "1e3",
    "a: b",
    "#1",
    "-x",
    "~root",
    "[draft]",
    "it's",
    '"q"',
    "é😀",
    "*",
    "&a",
    "two\nlines",
]


def path_of(manifest):
    (given,) = manifest.inputs
    return given.path


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_any_name_gets_a_manifest_that_reads_it_and_runs(call, here, name):
    photo(here / name / "a.jpg")

    assert call("init", f"./{name}").status == 0
    (file,) = here.glob("*.yaml")
    manifest = load(file)
    status, out, err = call("run", file, "--json")

    assert manifest.resolve(path_of(manifest)) == here / name
    assert manifest.output_dir == here / f"{name}-2x"
    assert (status, json.loads(out)["tasks"]["done"]) == (0, 1), err
    assert (here / f"{name}-2x" / "a.jpg").exists()


def test_videos_among_images_get_a_rule_of_their_own(call, here):
    photo(here / "mixed/a.jpg")
    make_video(here / "mixed/b.mp4")

    out = call("init", "mixed").out

    assert "1 image (1 JPEG) and 1 video (1 MP4)" in out
    (rule,) = load(here / "mixed.yaml").rules
    assert (rule.match.kind, rule.model) == ("video", "local/lanczos-video")


def test_a_folder_of_videos_gets_a_model_for_videos(call, here):
    (here / "films").mkdir()
    make_video(here / "films/b.mp4")

    call("init", "films")

    manifest = load(here / "films.yaml")
    assert (manifest.model, manifest.rules) == ("local/lanczos-video", ())


def test_the_next_steps_are_printed_ready_to_copy(call, here, monkeypatch):
    photo(here / "holiday/a.jpg")
    monkeypatch.setattr(sys, "argv", ["env/bin/batchup"])

    out = call("init", "holiday", "--output", "my job.yaml").out

    assert "  env/bin/batchup plan 'my job.yaml'" in out
    assert "  env/bin/batchup run 'my job.yaml'" in out


def test_a_manifest_that_is_there_is_never_replaced_unasked(call, here):
    photo(here / "holiday/a.jpg")
    (here / "holiday.yaml").write_text("mine")

    status, _, err = call("init", "holiday")

    assert (status, (here / "holiday.yaml").read_text()) == (2, "mine")
    assert "--force" in err
    assert call("init", "holiday", "--force").status == 0
    assert load(here / "holiday.yaml").name == "holiday"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder.mkdir(), "there is no image or video in it; nothing was written"),
        (
            lambda folder: (folder.mkdir(), (folder / "a.txt").write_text("hi")),
            "there is no image or video in it (1 of other kinds)",
        ),
        (lambda _: None, "there is no such folder"),
        (lambda folder: folder.write_text(""), "this is a file"),
    ],
    ids=["empty", "no media", "missing", "file"],
)
def test_what_cannot_be_upscaled_is_said_and_nothing_written(call, here, make, message):
    make(here / "holiday")

    status, out, err = call("init", "holiday")

    assert (status, out) == (2, "")
    assert message in err
    assert not list(here.glob("*.yaml"))


@pytest.mark.parametrize(
    "name", ["a\x1bb", "${HOME}", os.fsdecode(b"\xff")], ids=["control", "variable", "bytes"]
)
def test_a_name_that_no_manifest_can_hold_is_refused(call, here, name):
    photo(here / name / "a.jpg")

    status, _, err = call("init", here / name)

    assert status == 2
    assert "rename it" in err
    assert not list(here.glob("*.yaml"))


def test_this_folder_is_read_when_none_is_named(call, here, monkeypatch):
    photo(here / "holiday/a.jpg")
    monkeypatch.chdir(here / "holiday")

    call("init")

    manifest = load(here / "holiday/holiday.yaml")
    assert (path_of(manifest), manifest.output.dir) == (".", "../holiday-2x")


def test_a_manifest_elsewhere_names_the_folder_from_there(call, here):
    photo(here / "holiday/a.jpg")
    (here / "far/jobs").mkdir(parents=True)

    call("init", "holiday", "--output", "far/jobs/x.yaml")

    manifest = load(here / "far/jobs/x.yaml")
    assert manifest.resolve(path_of(manifest)) == here / "holiday"
    assert manifest.output_dir == here / "holiday-2x"


def test_what_was_found_is_one_json_document(call, here):
    size = photo(here / "holiday/a.jpg").stat().st_size
    photo(here / "holiday/.hidden.png")

    document = json.loads(call("init", "holiday", "--json").out)

    assert document["images"] == {"JPEG": 1}
    assert (document["size_bytes"], document["skipped"]) == (size, {"hidden": 1})
    assert document["manifest"] == "holiday.yaml"


@pytest.mark.parametrize(
    "text", ["yes", "12:30", "0x1F", "1.5", "true", "~", "", " a", "a ", "a\u2028b", "\ufeffa", "x\x85y"]
)
def test_what_yaml_would_take_for_something_else_is_quoted(text):
    assert quoted(text).startswith('"')


@pytest.mark.parametrize("text", ["holiday", "~/Pictures/a-b_c.d", "../x", "/media/library"])
def test_plain_paths_stay_plain(text):
    assert quoted(text) == text == resolve(text)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("my photos!", "my-photos"), ("...", "photos"), ("", "photos"), ("é", "é"), ("a" * 300, "a" * 100)],
    ids=["signs", "dots", "root", "letters", "long"],
)
def test_a_job_has_a_name_that_a_manifest_takes(folder, name):
    assert job_name(folder) == name
