"""Ctrl-C of what goes on until somebody ends it: the terminal is left as a shell wants it."""

import pytest

from tests.cli.typist import Typist
from tests.library import manifest, photo

LASTING = {
    "watch": ("holiday.yaml; Ctrl-C ends it", 130),
    "dashboard": ("?token=", 0),
}


@pytest.mark.parametrize(("command", "begun", "status"), [(name, *told) for name, told in LASTING.items()])
def test_the_shells_prompt_begins_a_line_of_its_own(tmp_path, command, begun, status):
    photo(tmp_path / "photos/a.png")
    file = manifest(tmp_path, "params: {scale: 2}")
    with Typist(command, file, cwd=tmp_path) as person:
        person.until(begun)
        person.until("\n")

        person.interrupt()

        assert person.end() == status
        assert person.shown.endswith("\n")
