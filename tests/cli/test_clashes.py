"""Names that collide are told with the template that would do, and that template does."""

import re

import pytest

from tests.cli.conftest import photo

SUGGESTED = re.compile(r'output\.name: "([^"]+)"')


@pytest.fixture
def planned(tmp_path, call):
    """Ask for the plan of a folder of photos, with such an output."""

    def plan(output, text=""):
        file = tmp_path / "job.yaml"
        inputs = "" if "inputs:" in text else "inputs: [{path: photos}]\n"
        file.write_text(
            f"version: 1\nname: job\nmodel: local/lanczos\noutput: {{{output}}}\n{inputs}{text}\n"
        )
        return call("plan", file)

    return plan


def test_of_many_names_that_collide_the_first_are_told_and_the_rest_counted(tmp_path, planned):
    for number in range(30):
        photo(tmp_path / f"photos/{number:02}.png")

    told = planned("dir: photos").err.splitlines()

    assert len(told) == 21
    assert "photos/00.png would be written over an input, 00.png" in told[0]
    assert told[-1] == "and 10 more such faults"


def test_what_stands_in_the_way_of_many_outputs_is_counted_too(tmp_path, planned):
    for number in range(30):
        photo(tmp_path / f"photos/{number:02}.png")
        photo(tmp_path / f"out/{number:02}.png")

    assert planned("dir: out, exists: error").err.splitlines()[-1] == "and 10 more such faults"


def test_inputs_without_a_name_are_told_without_reading_all_the_others(tmp_path, planned):
    for number in range(30):
        photo(tmp_path / f"photos/{number:02}.png")

    told = planned('dir: out, name: "{stem}.jpg"').err.splitlines()

    assert len(told) == 21
    assert told[-1] == "and perhaps more: the inputs after these were not looked at"


COLLISIONS = {
    "over the inputs": (["a.png", "b/a.png"], "dir: photos"),
    "into a folder of inputs": (["x/a.png"], 'dir: ., name: "photos/{dir}/{stem}{ext}"'),
    "where a folder will be": (["a.bmp", "a.png/b.png"], "dir: out"),
    "one name for all": (["a.png", "b.png"], 'dir: out, name: "same{ext}"'),
    "two copies that only some disks keep apart": (["a.png", "A.png"], "dir: out"),
    "two pictures that only some disks keep apart": (["a.png", "A.bmp"], "dir: out"),
    "folders left out": (["x/a.png", "y/a.png"], 'dir: out, name: "{stem}{ext}"'),
    "two endings": (["a.png", "a.bmp"], 'dir: out, name: "{stem}.png"'),
}


@pytest.mark.parametrize(("names", "output"), COLLISIONS.values(), ids=COLLISIONS)
def test_the_template_that_is_suggested_does(tmp_path, planned, names, output):
    for name in names:
        photo(tmp_path / "photos" / name)
    folder = output.partition(",")[0]

    refused = planned(output, "params: {output_format: png}")
    suggested = SUGGESTED.search(refused.err)
    assert suggested is not None, refused.err

    again = planned(f'{folder}, name: "{suggested[1]}"', "params: {output_format: png}")

    assert again.status == 0, again.err


MIXED = {
    "what only one of two models takes": (
        "matrix: {model: [local/lanczos, fal/aura-sr], checkpoint: [v1, v2], overlapping_tiles: [true, false]}",
        "dir: out",
    ),
    "a parameter that is called as what every name may hold": (
        "matrix: {model: [{model: fal/topaz-image}, {model: fal/topaz-image, params: {model: CGI}}]}",
        "dir: out",
    ),
    "a parameter of the model by which two tasks differ": (
        "matrix: {model: [local/lanczos, fal/aura-sr], checkpoint: [v1, v2]}",
        'dir: out, name: "{stem}-{model}{ext}"',
    ),
    "two sizes that come to one": ("matrix: {width: [16, 32]}\nparams: {height: 12}", "dir: out"),
    "two pictures beside an address": (
        "inputs: [{path: photos}, {url: 'https://photos.example/c.png'}]",
        'dir: out, name: "same-{source_ext}-{root}{ext}"',
    ),
}


@pytest.mark.parametrize(("text", "output"), MIXED.values(), ids=MIXED)
def test_the_template_that_is_suggested_has_a_value_for_every_task(tmp_path, planned, text, output):
    photo(tmp_path / "photos/a.png", colour="teal")
    photo(tmp_path / "photos/A.png", colour="plum")

    refused = planned(output, text)
    suggested = SUGGESTED.search(refused.err)
    assert suggested is not None, refused.err

    again = planned(f'dir: out, name: "{suggested[1]}"', text)

    assert again.status == 0, again.err
