"""Output names."""

import pytest

from batchup.manifest.template import parse
from batchup.naming import About, UnnameableError, folded, render, safe
from batchup.source import Source, to_path, to_text


def source(path="2019/Zürich.JPG", **more):
    return Source(root="photos", base="/home/me/photos", path=path, **more)


def about(**more):
    given = {
        "model": "fal/aura-sr",
        "params": {"scale": 2.0, "mode": "a/b:c"},
        "ext": ".png",
        "number": 7,
        "width": 640,
        "height": 480,
        "sha256": lambda: "0123456789abcdef",
    }
    return About(**{**given, **more})


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{dir}/{stem}{ext}", "2019/Zürich.png"),
        ("{stem}-{model}{ext}", "Zürich-fal-aura-sr.png"),
        ("{root}/{stem}.{source_ext}{ext}", "photos/Zürich.JPG.png"),
        ("{index}-{width}x{height}{ext}", "7-640x480.png"),
        ("{hash}{ext}", "01234567.png"),
        ("{stem}-{scale}{ext}", "Zürich-2.png"),
        ("{stem}-{mode}{ext}", "Zürich-a-b-c.png"),
        ("{row.title}{ext}", "a-b.png"),
        ("./x//{stem}{ext}", "x/Zürich.png"),
    ],
)
def test_a_template_becomes_a_name_below_the_output_folder(template, name):
    assert render(parse(template), source(row={"title": "a/b"}), about()) == name


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("../{stem}{ext}", "leaves the output folder"),
        ("/tmp/{stem}{ext}", "leaves the output folder"),
        ("{dir}/../../{stem}{ext}", "leaves the output folder"),
        ("{row.missing}{ext}", "no column 'missing'"),
        ("{upscale_factor}{ext}", "no such parameter"),
        ("{dir}", None),
    ],
)
def test_a_template_that_gives_no_name_below_the_output_folder_is_refused(template, words):
    if words is None:
        assert render(parse(template), source(), about()) == "2019"
        return
    with pytest.raises(UnnameableError, match=words):
        render(parse(template), source(), about())


def test_a_file_at_the_top_is_no_absolute_path():
    assert render(parse("{dir}/{stem}{ext}"), source("a.jpg"), about()) == "a.png"


def test_names_of_files_come_through_to_the_letter():
    odd = 'it\'s "new"\nand: *odd*?.jpg'

    assert render(parse("{dir}/{stem}.jpg"), source(odd), about()) == odd


def test_a_name_that_no_disk_can_hold_is_refused_with_its_size():
    with pytest.raises(UnnameableError, match="257 bytes"):
        render(parse("{stem}-2{ext}"), source("x" * 251 + ".jpg"), about())


def test_a_byte_that_is_not_utf8_counts_as_one():
    name = to_text("\udcff" * 251 + ".jpg")

    assert render(parse("{stem}.jpg"), source(name), about()) == name


def test_a_width_that_nobody_knows_yet_is_no_name():
    with pytest.raises(UnnameableError, match="not known before"):
        render(parse("{width}{ext}"), source(), about(width=0))


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.0, "2"), (2.5, "2.5"), (True, "true"), ("a\nb", "a-b"), ("a/b", "a-b"), (None, "None")],
)
def test_a_value_becomes_what_may_stand_in_a_name(value, text):
    assert safe(value) == text


@pytest.mark.parametrize(
    ("one", "other"), [("A.png", "a.PNG"), ("Zu\u0308rich", "ZÜRICH"), ("straße", "STRASSE")]
)
def test_names_that_are_one_on_the_disks_people_use_fold_to_one(one, other):
    assert folded(one) == folded(other)


@pytest.mark.parametrize("path", ["plain", "Zürich", "\udcff", "a\udcfe\udc80b", "\udce4/x"])
def test_any_name_becomes_text_and_comes_back(path):
    text = to_text(path)

    assert to_path(text) == path
    text.encode()
