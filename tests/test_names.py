"""Whatever a folder holds: every name comes through, and what is no picture fails, or is left out, alone."""

import os
import sys
import unicodedata

import msgspec
import pytest

from tests.library import batchup, events, manifest, outputs, photo, size

NFC = unicodedata.normalize("NFC", "Zürich.png")
NFD = unicodedata.normalize("NFD", "Zürich.png")
ODD = [
    "with spaces .png",
    'it\'s "quoted".png',
    "two\nlines.png",
    "-rf.png",
    "--help.png",
    "$HOME `date` %s {stem}.png",
    "emoji 🏔️ 写真.png",
    "tab\there.png",
    "\u202egnp.evil.png",
    "back\\slash:colon*star?.png",
    "x" * 251 + ".png",
    "ü" * 125 + ".png",
]


def test_every_name_that_a_disk_holds_comes_through(tmp_path):
    for number, name in enumerate(ODD):
        photo(tmp_path / "photos" / name, seed=number)

    done = batchup("run", manifest(tmp_path), cwd=tmp_path)
    again = batchup("run", manifest(tmp_path), "--json", cwd=tmp_path)

    assert set(outputs(tmp_path / "out")) == set(ODD)
    assert msgspec.json.decode(again.stdout)["tasks"]["done"] == len(ODD)
    assert "\u202e" not in done.stdout + done.stderr


@pytest.mark.skipif(
    sys.platform != "linux", reason="other systems know one form of Unicode, or none but UTF-8"
)
def test_names_that_are_no_utf8_come_through(tmp_path):
    name = os.fsdecode(b"caf\xe9 \xff.png")
    photo(tmp_path / "photos/plain.png").rename(tmp_path / "photos" / name)

    batchup("run", manifest(tmp_path), cwd=tmp_path)
    again = batchup("run", manifest(tmp_path), "--json", cwd=tmp_path)

    assert set(outputs(tmp_path / "out")) == {name}
    assert len(events(tmp_path / "out/.batchup/holiday.jsonl", "done")) == 1
    assert msgspec.json.decode(again.stdout)["tasks"]["done"] == 1
    assert "\\xff" in batchup("plan", manifest(tmp_path), "--all", cwd=tmp_path).stdout


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know one form of Unicode only")
def test_two_forms_of_one_name_in_one_folder_stop_the_run_and_each_alone_comes_through(tmp_path):
    photo(tmp_path / "photos/a" / NFC)
    photo(tmp_path / "photos/b" / NFD)
    batchup("run", manifest(tmp_path), cwd=tmp_path)
    assert set(outputs(tmp_path / "out")) == {f"a/{NFC}", f"b/{NFD}"}

    photo(tmp_path / "photos/a" / NFD)
    done = batchup("run", manifest(tmp_path), cwd=tmp_path, status=2)

    assert "one name on many disks" in done.stderr


def test_a_name_that_would_be_too_long_stops_the_run_with_its_size(tmp_path):
    photo(tmp_path / "photos" / ("x" * 251 + ".png"))

    file = manifest(tmp_path, output='{dir: out, name: "{stem}-2x{ext}"}')
    done = batchup("run", file, cwd=tmp_path, status=2)

    assert "258 bytes" in done.stderr
    assert not (tmp_path / "out").exists()


def test_empty_cut_and_mislabelled_files_fail_or_are_left_out_alone(tmp_path):
    photos = tmp_path / "photos"
    whole = photo(photos / "whole.jpg", size=(200, 150)).read_bytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "empty.jpg").touch()
    (photos / "text.jpg").write_text("I am no picture")
    photo(photos / "really.png").rename(photos / "called.jpg")
    (photos / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x01\x86\xa0\x00\x01\x86\xa0\x08\x02\x00\x00\x00"
        + b"\0" * 200
    )

    done = batchup("run", manifest(tmp_path), "--json", cwd=tmp_path, status=1)

    summary = msgspec.json.decode(done.stdout)
    assert sorted(outputs(tmp_path / "out")) == ["called.png", "whole.jpg"]
    assert size(tmp_path / "out/called.png") == (96, 72)
    assert summary["tasks"]["failed"] + summary["tasks"]["skipped"] == 4
    assert summary["failures"]["image_truncated"] == 1
    assert summary["skipped"]["no image or video"] == 2


def test_symlink_loops_end_and_the_same_file_is_one_input(tmp_path):
    photo(tmp_path / "photos/sub/a.png")
    (tmp_path / "photos/sub/loop").symlink_to(tmp_path / "photos")
    (tmp_path / "photos/alias.png").symlink_to(tmp_path / "photos/sub/a.png")
    (tmp_path / "photos/gone.png").symlink_to(tmp_path / "nowhere")

    done = batchup("run", manifest(tmp_path), "--json", cwd=tmp_path)

    assert msgspec.json.decode(done.stdout)["tasks"]["total"] == 1


def test_hidden_and_system_files_are_counted_by_reason(tmp_path):
    photo(tmp_path / "photos/a.png")
    for name in (".hidden.png", "._a.png"):
        photo(tmp_path / "photos" / name)
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "notes.txt"):
        (tmp_path / "photos" / name).write_bytes(b"x")

    done = batchup("run", manifest(tmp_path), "--json", cwd=tmp_path)

    skipped = msgspec.json.decode(done.stdout)["skipped"]
    assert skipped == {"hidden": 1, "no image or video": 1, "system file": 4}
