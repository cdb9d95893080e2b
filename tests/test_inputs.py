import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pillow_heif
import pytest
import yaml
from PIL import Image

from batchup.errors import ManifestError
from batchup.inputs import Found, Patterns, Skipped, find, matches
from batchup.inputs.seen import Seen
from batchup.inputs.urls import fault as url_fault
from batchup.manifest import parse
from batchup.source import Source, to_path

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ROOT_CAN_READ_ALL = os.geteuid() == 0


@pytest.fixture
def folder(tmp_path):
    """The manifest's folder."""
    made = tmp_path / "work"
    made.mkdir()
    return made


def photo(path, size=(8, 6), form="PNG"):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (9, 9, 9)).save(path, format=form)
    return path


def film(path, seconds=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for _ in range(5 * seconds):
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 32, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def manifest(folder, inputs, **more):
    whole = {"version": 1, "name": "a", "inputs": inputs, "model": "local/lanczos", "output": {"dir": "out"}}
    return parse(yaml.safe_dump(whole | more).encode(), "job.yaml", folder)


def search(folder, *inputs, own=lambda _: False, **more) -> Found:
    job = manifest(folder, list(inputs), **more)
    return find(
        job.inputs,
        resolve=job.resolve,
        fault=job.fault,
        output_dir=job.output_dir,
        ledger=job.ledger_path,
        own=own,
        now=NOW,
    )


def taken(found):
    return [item.label for item in found if isinstance(item, Source)]


def left_out(found):
    return {item.label: item.reason for item in found if isinstance(item, Skipped)}


def faults(folder, *inputs):
    with pytest.raises(ManifestError) as raised:
        search(folder, *inputs)
    return [str(fault) for fault in raised.value.faults]


def test_a_folder_gives_its_pictures_depth_first_in_the_order_of_their_names(folder):
    for name in ["b.png", "a/2.png", "a/1.png", "a/b/z.png", "B.png", "c.png"]:
        photo(folder / "in" / name)

    assert taken(search(folder, {"path": "in"})) == [
        "in/B.png",
        "in/a/1.png",
        "in/a/2.png",
        "in/a/b/z.png",
        "in/b.png",
        "in/c.png",
    ]


def test_a_source_tells_where_it_lies_and_what_it_is(folder):
    path = photo(folder / "in/deep/a.png")

    (source,) = search(folder, {"path": "./in/"})

    status = path.stat()
    assert isinstance(source, Source)
    assert (source.root, source.path, source.base) == ("in", "deep/a.png", str(folder / "in"))
    assert (source.size_bytes, source.mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert source.media is not None
    assert source.media.size == (8, 6)
    assert source.file == path


@pytest.mark.parametrize(
    "name",
    [
        "with space.png",
        "  leading and trailing .png ",
        "quotes'\"`.png",
        "new\nline.png",
        "-rf.png",
        "tab\tback\\slash.png",
        "e\u0301.png",
        "\u00e9.png",
        "名前.png",
        "x" * 251 + ".png",
        "[1].png",
        "$HOME ${HOME}.png",
        os.fsdecode(b"caf\xe9.png"),
    ],
    ids=ascii,
)
def test_a_file_of_any_name_is_found_and_can_be_opened_again(folder, name):
    path = folder / "in" / name
    photo(folder / "in" / "a.png").rename(path)

    (source,) = search(folder, {"path": "in"})

    assert isinstance(source, Source)
    source.path.encode()
    assert to_path(source.path) == name
    assert os.fsencode(source.file) == os.fsencode(path)


@pytest.mark.skipif(sys.platform == "darwin", reason="this disk holds one of the two only")
def test_both_normal_forms_are_two_files_and_one_pattern_fits_both(folder):
    photo(folder / "in/e\u0301.png")
    photo(folder / "in/\u00e9.png")

    assert len(taken(search(folder, {"path": "in", "include": ["\u00e9.*"]}))) == 2
    assert len(taken(search(folder, {"path": "in/\u00e9*"}))) == 2


def test_what_is_left_out_is_counted_by_reason(folder):
    for name in [".hidden.png", ".cache/a.png", "._a.png", "@eaDir/a.png", "ok.png"]:
        photo(folder / "in" / name)
    for name in ["Thumbs.db", ".DS_Store", "desktop.ini", "notes.txt"]:
        (folder / "in" / name).write_bytes(b"something")
    (folder / "in/empty.jpg").touch()
    (folder / "in/cut.png").write_bytes(photo(folder / "in/ok.png").read_bytes()[:20])
    photo(folder / "in/raw.nef", form="TIFF")
    os.mkfifo(folder / "in/pipe.png")

    found = list(search(folder, {"path": "in"}))

    assert taken(found) == ["in/ok.png"]
    assert left_out(found) == {
        "in/.DS_Store": "system file",
        "in/._a.png": "system file",
        "in/.cache/": "hidden",
        "in/.hidden.png": "hidden",
        "in/@eaDir/": "system file",
        "in/Thumbs.db": "system file",
        "in/cut.png": "unreadable",
        "in/desktop.ini": "system file",
        "in/empty.jpg": "no image or video",
        "in/notes.txt": "no image or video",
        "in/pipe.png": "no image or video",
        "in/raw.nef": "camera raw",
    }


def test_a_damaged_file_says_what_is_wrong_with_it(folder):
    cut = photo(folder / "in/cut.png").read_bytes()[:20]
    (folder / "in/cut.png").write_bytes(cut)

    (item,) = search(folder, {"path": "in"})

    assert isinstance(item, Skipped)
    assert item.detail == "it begins like a PNG but cannot be read: it ends within its header"


def test_heic_without_its_extra_is_counted_as_that(folder, monkeypatch):
    (folder / "in").mkdir()
    pillow_heif.from_pillow(Image.new("RGB", (64, 64))).save(folder / "in/a.heic")
    assert taken(search(folder, {"path": "in"})) == ["in/a.heic"]
    from batchup.media import images

    images._plugin.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.setitem(sys.modules, "pillow_heif.as_plugin", None)

    assert left_out(search(folder, {"path": "in"})) == {"in/a.heic": "HEIC without its extra"}


def test_a_hidden_name_that_the_manifest_names_is_taken(folder):
    photo(folder / ".secret/a.png")
    photo(folder / ".b.png")

    assert taken(search(folder, {"path": ".secret"}, {"path": ".b.png"})) == [".secret/a.png", ".b.png"]


@pytest.mark.skipif(ROOT_CAN_READ_ALL, reason="root may read everything")
def test_what_may_not_be_read_is_left_out_and_the_rest_goes_on(folder):
    photo(folder / "in/a.png").chmod(0)
    photo(folder / "in/b/b.png").parent.chmod(0)
    photo(folder / "in/c.png")

    found = list(search(folder, {"path": "in"}))

    (folder / "in/b").chmod(0o755)
    assert taken(found) == ["in/c.png"]
    assert left_out(found) == {"in/a.png": "unreadable", "in/b/": "unreadable"}


def test_symlinks_are_followed_and_loops_end(folder):
    photo(folder / "in/a/a.png")
    photo(folder / "elsewhere/b.png")
    (folder / "in/a/up").symlink_to("..")
    (folder / "in/self").symlink_to("self")
    (folder / "in/link").symlink_to(folder / "elsewhere")
    (folder / "in/broken.png").symlink_to("nowhere.png")

    found = list(search(folder, {"path": "in"}))

    assert taken(found) == ["in/a/a.png", "in/link/b.png"]
    assert left_out(found) == {
        "in/a/up/": "symlink loop",
        "in/broken.png": "broken link",
        "in/self": "unreadable",
    }


def test_folders_that_all_link_to_one_another_are_walked_in_no_time(folder):
    names = [f"d{number:02d}" for number in range(12)]
    for name in names:
        photo(folder / "in" / name / "a.png")
        for other in names:
            (folder / "in" / name / f"to {other}").symlink_to(f"../{other}")

    found = list(search(folder, {"path": "in"}))

    assert len(taken(found)) == len(names)
    assert len(found) < 1000


def test_the_same_file_reached_twice_is_one_input(folder):
    photo(folder / "in/a.png")
    photo(folder / "in/sub/b.png")
    (folder / "in/z.png").symlink_to("a.png")
    (folder / "list.txt").write_text("in/a.png\n")

    found = list(search(folder, {"path": "in"}, {"path": "in/sub"}, {"list": "list.txt"}))

    assert taken(found) == ["in/a.png", "in/sub/b.png"]
    assert left_out(found) == {
        "in/z.png": "same file twice",
        "in/sub/b.png": "same file twice",
        "in/a.png": "same file twice",
    }


@pytest.mark.parametrize(
    ("link", "target", "shown"),
    [("in/a.png", "z.png", "in/z.png"), ("in/a", "z", "in/z/b.png")],
    ids=["a file", "a folder"],
)
def test_a_file_keeps_its_name_whether_or_not_a_link_to_it_comes_first(folder, link, target, shown):
    photo(folder / shown)
    (folder / link).symlink_to(target)

    found = list(search(folder, {"path": "in"}))

    assert taken(found) == [shown]
    [skipped] = [item for item in found if isinstance(item, Skipped)]
    assert skipped.label.startswith(link)
    assert (skipped.reason, skipped.detail) == ("same file twice", f"a link to {shown}")


@pytest.mark.parametrize(
    ("target", "item"),
    [
        ("../elsewhere/b.png", {"path": "in"}),
        (".annex/b.png", {"path": "in"}),
        ("z/b.png", {"path": "in", "exclude": ["z/"]}),
        ("z/b.png", {"path": "in", "include": ["a.png"]}),
        ("z/b.png", {"path": "in/*.png"}),
        ("../in/z/b.png", {"path": "in/a.png"}),
        ("../out/b.png", {"path": "."}),
    ],
    ids=["elsewhere", "hidden", "excluded", "not included", "not matched", "not listed", "in the output"],
)
def test_a_link_to_what_is_no_input_by_itself_is_one(folder, target, item):
    photo(folder / "in" / target)
    (folder / "in/a.png").symlink_to(target)

    assert taken(search(folder, item)) == ["in/a.png"]


def test_one_file_from_several_items_says_what_it_is(folder):
    photo(folder / "in/a.png")
    (folder / "b.png").symlink_to("in/a.png")

    found = list(search(folder, {"path": "in"}, {"path": "in/a.png"}, {"path": "b.png"}))

    assert [item.detail for item in found if isinstance(item, Skipped)] == [
        "it is an earlier input",
        f"a link to {folder}/in/a.png",
    ]


def test_hard_links_are_files_of_their_own(folder):
    os.link(photo(folder / "in/a.png"), folder / "in/b.png")

    assert taken(search(folder, {"path": "in"})) == ["in/a.png", "in/b.png"]


def test_what_one_item_filters_out_another_may_take(folder):
    photo(folder / "in/a.png")
    film(folder / "in/b.mp4")

    found = search(folder, {"path": "in", "kind": "video"}, {"path": "in", "kind": "image"})

    assert taken(found) == ["in/b.mp4", "in/a.png"]


@pytest.mark.parametrize(
    ("text", "label", "root", "path"),
    [
        ("in/sub/a.png", "in/sub/a.png", "in/sub", "a.png"),
        ("in", "in/sub/a.png", "in", "sub/a.png"),
        ("./in//", "in/sub/a.png", "in", "sub/a.png"),
        (".", "in/sub/a.png", ".", "in/sub/a.png"),
        ("in/*/*.png", "in/sub/a.png", "in", "sub/a.png"),
        ("**/a.png", "in/sub/a.png", ".", "in/sub/a.png"),
        ("in/sub/[ab].png", "in/sub/a.png", "in/sub", "a.png"),
        ("in/s?b", "in/sub/a.png", "in", "sub/a.png"),
    ],
)
def test_the_root_is_what_the_manifest_writes(folder, text, label, root, path):
    photo(folder / "in/sub/a.png")

    (source,) = (item for item in search(folder, {"path": text}) if isinstance(item, Source))

    assert (source.label, source.root, source.path) == (label, root, path)


def test_an_absolute_path_is_its_own_root(folder):
    path = photo(folder / "in/a.png")

    (source,) = search(folder, {"path": str(path)})

    assert isinstance(source, Source)
    assert (source.root, source.path) == (str(path.parent), "a.png")


def test_a_home_is_written_as_the_manifest_does(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("WHERE", "in")
    photo(folder / "in/a.png")

    assert taken(search(folder, {"path": "~/${WHERE}"})) == ["~/${WHERE}/a.png"]
    assert taken(search(folder, {"path": "~/${WHERE}/*.png"})) == ["~/${WHERE}/a.png"]


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("in/*.png", ["a.png", "[1]*.png"]),
        ("in/**/*.png", ["[1]*.png", "a.png", "x/a.png", "x/y/a.png"]),
        ("in/**", ["[1]*.png", "a.png", "x/a.png", "x/y/a.png"]),
        ("in/**/y", ["x/y/a.png"]),
        ("in/*/y/*", ["x/y/a.png"]),
        ("in/x/**/a.png", ["a.png", "y/a.png"]),
        ("in/?.png", ["a.png"]),
        ("in/[!b].png", ["a.png"]),
        ("in/[1]*.png", ["[1]*.png"]),
        ("in/*.jpg", []),
    ],
)
def test_a_glob_means_what_a_shell_means_by_it(folder, glob, names):
    for name in ["a.png", "x/a.png", "x/y/a.png", "[1]*.png"]:
        photo(folder / "in" / name)

    found = [item.path for item in search(folder, {"path": glob}) if isinstance(item, Source)]

    assert sorted(found) == sorted(names)


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ({"include": ["*.png"]}, ["a.png", "x/a.png", "x/raw/b.png"]),
        ({"include": ["/*.png"]}, ["a.png"]),
        ({"include": ["x/"]}, ["x/a.png", "x/c.jpg", "x/raw/b.png"]),
        ({"include": ["**/*.jpg", "a.*"]}, ["a.png", "x/a.png", "x/c.jpg"]),
        ({"exclude": ["**/raw/**"]}, ["a.png", "x/a.png", "x/c.jpg"]),
        ({"exclude": ["raw"]}, ["a.png", "x/a.png", "x/c.jpg"]),
        ({"exclude": ["*.png", "!a.png"]}, ["a.png", "x/a.png", "x/c.jpg"]),
        ({"include": ["*.png"], "exclude": ["x/*.png"]}, ["a.png", "x/raw/b.png"]),
    ],
    ids=str,
)
def test_patterns_are_those_of_gitignore_below_the_root(folder, patterns, names):
    for name in ["a.png", "x/a.png", "x/raw/b.png"]:
        photo(folder / "in" / name)
    photo(folder / "in/x/c.jpg", form="JPEG")

    found = [item.path for item in search(folder, {"path": "in", **patterns}) if isinstance(item, Source)]

    assert found == names


def test_a_folder_that_is_excluded_is_not_entered(folder):
    for number in range(3):
        photo(folder / f"in/raw/{number}.png")
    photo(folder / "in/a.png")

    found = list(search(folder, {"path": "in", "exclude": ["raw/"], "include": ["*.jpg"]}))

    assert left_out(found) == {"in/raw/": "excluded", "in/a.png": "not included"}


FILTERS = [
    ({"kind": "image"}, {"film.mp4": "filter: kind"}),
    ({"kind": "video"}, {"large.png": "filter: kind", "small.png": "filter: kind"}),
    ({"min_pixels": 2000}, {"small.png": "filter: min_pixels", "film.mp4": "filter: min_pixels"}),
    ({"max_pixels": "0.001MP"}, {"large.png": "filter: max_pixels"}),
    ({"min_width": 20}, {"small.png": "filter: min_width"}),
    ({"max_width": 32}, {"large.png": "filter: max_width"}),
    ({"min_height": 16}, {"small.png": "filter: min_height"}),
    ({"max_height": 16}, {"large.png": "filter: max_height"}),
    ({"min_size": 1000}, {"small.png": "filter: min_size"}),
    ({"max_size": 1000}, {"film.mp4": "filter: max_size", "large.png": "filter: max_size"}),
    ({"min_duration": "1s"}, {"large.png": "filter: min_duration", "small.png": "filter: min_duration"}),
    ({"max_duration": "1s"}, {"film.mp4": "filter: max_duration"}),
    ({"newer_than": "2020-01-01"}, {"large.png": "filter: newer_than"}),
    ({"newer_than": "30d"}, {"large.png": "filter: newer_than", "small.png": "filter: newer_than"}),
    (
        {"min_pixels": 1, "kind": "image", "min_width": 64},
        {"film.mp4": "filter: kind", "small.png": "filter: min_width"},
    ),
]


@pytest.fixture
def mixed(folder):
    """A small picture of October, a large one of 2001, and a film of this minute."""
    photo(folder / "in/small.png")
    noise = np.random.default_rng(1).integers(0, 255, (48, 64, 3), np.uint8)
    Image.fromarray(noise).save(folder / "in/large.png")
    film(folder / "in/film.mp4")
    os.utime(folder / "in/small.png", (NOW.timestamp() - 40 * 86_400,) * 2)
    os.utime(folder / "in/large.png", (1_000_000_000,) * 2)
    os.utime(folder / "in/film.mp4", (NOW.timestamp(),) * 2)
    return folder


@pytest.mark.parametrize(("filters", "out"), FILTERS, ids=[str(filters) for filters, _ in FILTERS])
def test_filters_leave_out_what_does_not_fit_and_say_which(mixed, filters, out):
    found = list(search(mixed, {"path": "in", **filters}))

    assert left_out(found) == {f"in/{name}": reason for name, reason in out.items()}
    assert len(found) == 3


def rule(folder, **match):
    return manifest(folder, [{"path": "."}], rules=[{"match": match, "skip": True}]).rules[0].match


@pytest.mark.parametrize(
    ("match", "names"),
    [
        ({}, ["film.mp4", "large.png", "small.png"]),
        ({"kind": "video"}, ["film.mp4"]),
        ({"path": "*.png"}, ["large.png", "small.png"]),
        ({"path": ["small.*", "film.*"], "kind": "image"}, ["small.png"]),
        ({"path": "in/*.png"}, []),
        ({"min_width": 20, "max_height": 16}, ["film.mp4"]),
        ({"newer_than": "30d"}, ["film.mp4"]),
    ],
    ids=str,
)
def test_a_rule_fits_if_all_that_it_gives_holds(mixed, match, names):
    found = search(mixed, {"path": "in"})

    fit = [
        item.path for item in found if isinstance(item, Source) and matches(rule(mixed, **match), item, NOW)
    ]

    assert fit == names


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({"path": "*.mp4"}, True),
        ({"kind": "video"}, True),
        ({"kind": "image"}, False),
        ({"min_width": 1}, False),
    ],
    ids=str,
)
def test_a_rule_fits_a_url_only_by_what_its_address_tells(folder, match, fits):
    (source,) = search(folder, {"url": "https://example.org/a/film.mp4"})

    assert isinstance(source, Source)
    assert matches(rule(folder, **match), source, NOW) is fits


def test_no_patterns_match_nothing():
    assert not Patterns(()).match("a.png")
    assert Patterns(("a.*",)).match("x/a.png")
    with pytest.raises(ValueError, match="no patterns: bad"):
        Patterns(("bad[z-a]",))


def test_every_missing_input_is_told_at_once_with_its_place(folder):
    (folder / "list.txt").write_text("gone.png\n\nalso gone.png\n")

    told = faults(
        folder,
        {"path": "photos"},
        {"path": "in/nowhere/*.png"},
        {"list": "list.txt"},
        {"list": "no.csv"},
        {"path": "."},
        {"url": "http://127.0.0.1/a.png"},
    )

    text = "\n".join(told)
    assert len(told) == 6
    assert 'inputs.0.path: "photos" does not exist' in text
    assert f'inputs.1.path: "in/nowhere/*.png": the folder {folder}/in/nowhere does not exist; of its' in text
    assert f'{folder}/list.txt:1:1: "gone.png" does not exist' in text
    assert f'{folder}/list.txt:3:1: "also gone.png" does not exist' in text
    assert 'inputs.3.list: "no.csv": No such file or directory' in text
    assert 'inputs.5.url.0: "http://127.0.0.1/a.png" is an address of a private network' in text
    assert told[0].startswith("job.yaml:")


def test_a_link_to_nowhere_is_a_missing_input(folder):
    (folder / "disk").symlink_to("/media/unplugged")

    assert 'inputs.0.path: "disk" does not exist' in faults(folder, {"path": "disk"})[0]


@pytest.mark.parametrize("text", ["x" * 300, "a\0b", "a.png/b.png"], ids=["too long", "NUL", "below a file"])
def test_a_path_that_no_file_can_have_is_a_fault_and_no_crash(folder, text):
    photo(folder / "a.png")

    assert len(faults(folder, {"path": text})) == 1


def test_what_exists_and_gives_nothing_is_a_warning(folder):
    (folder / "empty").mkdir()
    photo(folder / "in/a.png")
    photo(folder / "more/b.png")
    items = [{"path": "empty"}, {"path": "in"}, {"path": "in/*.jpg"}, {"path": "more", "kind": "video"}]
    found = search(folder, *items)

    list(found)

    assert [warning.message for warning in found.warnings] == [
        "inputs.0.path: nothing is there",
        "inputs.2.path: nothing is there",
        "inputs.3.path: nothing in it is an input; 1 left out",
    ]


def test_an_output_folder_within_the_input_is_left_out_as_a_whole(folder):
    photo(folder / "in/a.png")
    photo(folder / "in/2x/a.png")

    found = list(search(folder, {"path": "in"}, output={"dir": "in/2x"}))

    assert taken(found) == ["in/a.png"]
    assert left_out(found) == {"in/2x/": "in the output folder"}


def test_an_output_folder_is_known_behind_a_symlink(folder):
    photo(folder / "in/a.png")
    photo(folder / "real/a.png")
    (folder / "in/2x").symlink_to(folder / "real")

    found = list(search(folder, {"path": "in"}, output={"dir": "real"}))

    assert left_out(found) == {"in/2x/": "in the output folder"}


@pytest.mark.parametrize("out", [".", "in", "in/../in"])
def test_own_outputs_in_the_input_folder_are_left_out(folder, out):
    photo(folder / "in/a.png")
    photo(folder / "in/a-2x.png")

    found = list(search(folder, {"path": "in"}, output={"dir": out}, own=lambda path: "2x" in path.name))

    assert taken(found) == ["in/a.png"]
    assert left_out(found) == {"in/a-2x.png": "own output"}


def test_nothing_outside_the_output_folder_is_an_own_output(folder):
    photo(folder / "in/a.png")

    assert taken(search(folder, {"path": "in"}, own=lambda _: True)) == ["in/a.png"]


def test_the_ledger_is_left_out(folder):
    photo(folder / "in/a.png")
    (folder / "in/job.jsonl").write_text('{"event":"run"}\n')

    assert left_out(search(folder, {"path": "in"}, ledger="in/job.jsonl")) == {"in/job.jsonl": "the ledger"}


def rows(found):
    return [(item.root, item.path, item.url, dict(item.row)) for item in found if isinstance(item, Source)]


def test_a_text_list_has_one_path_or_url_a_line(folder):
    for name in ["# 1.png", "b c.png", "sub/d.png"]:
        photo(folder / "lists" / name)
    text = "\ufeff# 1.png\r\n\r\nb c.png\r\nsub\r\nhttps://example.org/x%20y.jpg?size=2"
    (folder / "lists/all.txt").write_bytes(text.encode())

    assert rows(search(folder, {"list": "lists/all.txt"})) == [
        ("lists", "# 1.png", "", {}),
        ("lists", "b c.png", "", {}),
        ("lists", "sub/d.png", "", {}),
        ("", "x y.jpg", "https://example.org/x%20y.jpg?size=2", {}),
    ]


def test_a_csv_list_gives_its_other_columns_to_templates(folder):
    photo(folder / "a, b.png")
    photo(folder / "c.png")
    (folder / "all.csv").write_text(
        'title,path,url,year\n"One, two","a, b.png",,2019\n"Two\nlines",c.png\n,,https://example.org/d.png,7\n'
    )

    assert rows(search(folder, {"list": "all.csv"})) == [
        (".", "a, b.png", "", {"title": "One, two", "year": "2019"}),
        (".", "c.png", "", {"title": "Two\nlines", "year": ""}),
        ("", "d.png", "https://example.org/d.png", {"title": "", "year": "7"}),
    ]


def test_a_csv_with_semicolons_is_read(folder):
    photo(folder / "c.png")
    (folder / "all.csv").write_text("path;title\r\nc.png;a, b\r\n")

    assert rows(search(folder, {"list": "all.csv"})) == [(".", "c.png", "", {"title": "a, b"})]


def test_a_jsonl_list_gives_its_other_keys_as_texts(folder):
    photo(folder / "a.png")
    (folder / "all.jsonl").write_text(
        '{"path": "a.png", "n": 1.50, "ok": true, "none": null, "title": "\\u00e9"}\n'
        '\n{"url": "https://example.org/"}\n'
    )

    assert rows(search(folder, {"list": "all.jsonl"})) == [
        (".", "a.png", "", {"n": "1.50", "ok": "true", "none": "", "title": "é"}),
        ("", "download", "https://example.org/", {}),
    ]


def test_a_listed_path_that_is_no_utf8_is_found(folder):
    photo(folder / os.fsdecode(b"caf\xe9.png"))
    (folder / "all.txt").write_bytes(b"caf\xe9.png\n")

    (source,) = search(folder, {"list": "all.txt"})

    assert isinstance(source, Source)
    assert source.path == "caf\0e9.png"
    assert source.file.exists()


def test_listed_paths_outside_of_the_lists_folder_are_known_below_their_own(folder):
    far = photo(folder / "far/a.png")
    photo(folder / "far/deep/b.png")
    (folder / "lists").mkdir()
    (folder / "lists/all.txt").write_text(f"{far}\n../far/deep\n{folder}/lists/../far/deep/b.png\n")

    found = list(search(folder, {"list": "lists/all.txt"}))

    assert rows(found) == [(str(far.parent), "a.png", "", {}), ("far/deep", "b.png", "", {})]
    assert left_out(found) == {f"{folder}/far/deep/b.png": "same file twice"}


def test_a_listed_home_or_variable_is_expanded_where_nothing_has_that_name(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("YEAR", "2019")
    monkeypatch.setenv("FAL_KEY", "secret")
    for name in ["home/a.png", "2019/b.png", "${YEAR}.png"]:
        photo(folder / name)
    (folder / "all.txt").write_text("~/a.png\n${YEAR}/b.png\n${YEAR}.png\n")
    (folder / "bad.txt").write_text("${FAL_KEY}.png\n${NOT_SET_AT_ALL}.png\n")

    labels = taken(search(folder, {"list": "all.txt"}))
    told = "\n".join(faults(folder, {"list": "bad.txt"}))

    assert labels == ["~/a.png", "${YEAR}/b.png", "${YEAR}.png"]
    assert "FAL_* variables hold keys" in told
    assert "secret" not in told
    assert "NOT_SET_AT_ALL is not set" in told


def test_patterns_and_filters_of_a_list_apply_to_its_entries(folder):
    photo(folder / "a.png")
    photo(folder / "b.png", size=(80, 60))
    (folder / "all.txt").write_text(
        "a.png\nb.png\nhttps://x.org/p/c.png\nhttps://x.org/q/d.mp4\nhttps://x.org/q/e\n"
    )

    found = list(search(folder, {"list": "all.txt", "exclude": ["p/"], "max_width": 20, "kind": "image"}))

    assert taken(found) == ["a.png", "https://x.org/q/e"]
    assert left_out(found) == {
        "b.png": "filter: max_width",
        "https://x.org/p/c.png": "excluded",
        "https://x.org/q/d.mp4": "filter: kind",
    }


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.csv",
            "file,title\na.png,b\n",
            ["1:1: the first line must name the columns, and one of them path or url"],
        ),
        ("a.csv", "", ["1:1: the first line must name the columns, and one of them path or url"]),
        ("a.csv", "path,path\n", ["1:1: two columns have one name"]),
        ("a.csv", "path,url\n,\nok.png,http://x.org\n", ["3:1: the line has both a path and a url"]),
        ("a.csv", "title,path\nx,\n", ["2:1: the line names neither a path nor a url"]),
        ("a.csv", "path\nok.png,x\n", ["2:1: the line has 2 values for 1 columns"]),
        ("a.csv", 'path\n"ok.png\n', ["2:1: no CSV: unexpected end of data"]),
        (
            "a.csv",
            'title,path\n"a\nb",gone.png\nx,gone.png\n',
            ['2:1: "gone.png" does not', '4:3: "gone.png" does'],
        ),
        ("a.jsonl", '{"path": }\n[1]\n', ["1:10: no JSON: Expecting value", "2:1: a line must be an object"]),
        ("a.jsonl", '{"path": "ok.png", "tags": []}\n', ["1:1: tags: must be a text or a number"]),
        ("a.jsonl", '{"path": "gone.png"}\n', ['1:11: "gone.png" does not exist']),
        ("a.jsonl", '{"path": 7}\n', ['1:10: "7" does not exist']),
        ("a.jsonl", "[" * 100_000, ["1:1: no JSON that anybody wrote: too deep"]),
        ("a.txt", "x" * (1 << 20), ["1:1: the line is longer than 1048576 characters"]),
        ("a.txt", "http://localhost/a.png\n", ['1:1: "http://localhost/a.png" is an address of a private']),
        ("a.txt", "a\0b\n", ["1:1: "]),
        ("a.jsonl", '{"path": "\\ud800.png"}\n', ["1:1: "]),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_is_wrong_in_a_list_has_its_line_and_column(folder, name, content, told):
    photo(folder / "ok.png")
    (folder / name).write_text(content)

    found = faults(folder, {"list": name})

    assert len(found) == len(told)
    for fault, start in zip(found, told, strict=True):
        assert fault.startswith(f"{folder}/{name}:{start}")


def test_a_list_in_utf16_says_so(folder):
    (folder / "a.txt").write_bytes("ok.png\n".encode("utf-16"))

    assert "the list is UTF-16; save it as UTF-8" in faults(folder, {"list": "a.txt"})[0]


def test_a_list_of_another_ending_says_which_there_are(folder):
    (folder / "a.xlsx").touch()

    assert faults(folder, {"list": "a.xlsx"})[0].endswith(
        'inputs.0.list: "a.xlsx" is no list; its name must end in .txt, .csv, .jsonl'
    )


def test_of_very_many_faults_the_first_are_told_and_the_rest_counted(folder):
    (folder / "a.txt").write_text("".join(f"{number}.png\n" for number in range(1000)))

    told = faults(folder, {"list": "a.txt"})

    assert len(told) == 101
    assert told[-1] == "and 900 more such faults"


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://example.org/a/photo.jpg", "photo.jpg"),
        ("https://example.org/a/photo.jpg?x=/y.png#z", "photo.jpg"),
        ("https://example.org/..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("https://example.org/a%5Cb%00%0A.png", "a-b--.png"),
        ("https://example.org", "download"),
        ("https://example.org/a/", "download"),
        ("https://example.org/a/..", "download"),
        ("https://example.org/caf%E9.png", "caf\ufffd.png"),
    ],
)
def test_a_url_is_called_after_the_end_of_its_path_and_never_leaves_a_folder(folder, url, path):
    (source,) = search(folder, {"url": url})

    assert isinstance(source, Source)
    assert (source.url, source.root, source.base, source.path, source.media) == (url, "", "", path, None)


def test_the_same_url_twice_is_one_input(folder):
    found = search(folder, {"url": ["https://example.org/a.png", "https://example.org/a.png"]})

    assert len(taken(found)) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/a.png",
        "http://LOCALHOST:8000/a.png",
        "http://nas.local/a.png",
        "http://127.0.0.1/a.png",
        "http://127.1/a.png",
        "http://2130706433/a.png",
        "http://0x7f000001/a.png",
        "http://10.0.0.1/a.png",
        "http://192.168.1.1:9000/a.png",
        "http://169.254.169.254/latest/meta-data",
        "http://100.64.0.1/a.png",
        "http://0.0.0.0/a.png",
        "http://[::1]/a.png",
        "http://[fd00::1]/a.png",
        "http://[::ffff:10.0.0.1]/a.png",
    ],
)
def test_addresses_of_private_networks_are_refused_unless_allowed(url):
    assert "is an address of a private network" in (url_fault(url, allow_private=False) or "")
    assert url_fault(url, allow_private=True) is None


@pytest.mark.parametrize(
    "url", ["https://93.184.216.34/a.png", "https://10.example.org/a", "https://[2606:4700::1]/a"]
)
def test_public_addresses_are_taken(url):
    assert url_fault(url, allow_private=False) is None


@pytest.mark.parametrize(
    "url", ["ftp://example.org/a", "https:///a.png", "https://exa mple.org/", "https://[::1/", "file:///etc"]
)
def test_what_is_no_web_address_is_refused(url):
    assert "is no address" in (url_fault(url, allow_private=False) or "")


def test_a_password_in_a_url_is_refused_and_not_repeated():
    told = url_fault("https://me:hunter2@example.org/a.png?token=hunter2", allow_private=False)

    assert told is not None
    assert "would stand in the ledger" in told
    assert "hunter2" not in told


def test_sockets_are_no_pictures(tmp_path):
    (tmp_path / "in").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "in/a.png"))

        assert left_out(search(tmp_path, {"path": "in"})) == {"in/a.png": "no image or video"}


def test_a_tree_deeper_than_any_path_ends_without_a_crash(folder):
    here = os.open(folder, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=here)
        here, above = os.open("d" * 200, os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
    photo(folder / "z.png")

    found = list(search(folder, {"path": "."}))

    assert taken(found) == ["z.png"]
    assert [item.reason for item in found if isinstance(item, Skipped)] == ["unreadable"]


def test_the_set_of_inputs_that_were_met_forgets_none():
    seen = Seen()
    names = [f"/in/{number}.png" for number in range(5000)]

    for name in names:
        assert name not in seen
        seen.add(name)
        seen.add(name)

    assert all(name in seen for name in names)
    assert "/in/other.png" not in seen


def test_nothing_is_read_before_it_is_asked_for(folder):
    photo(folder / "in/a.png")
    found = search(folder, {"path": "in"})
    photo(folder / "in/b.png")

    assert taken(found) == ["in/a.png", "in/b.png"]
