"""The README says what is so."""

import re
from pathlib import Path

import pytest

from batchup.cli import COMMANDS
from batchup.manifest import parse
from batchup.models import names
from batchup.variants import variants

README = (Path(__file__).parent.parent / "README.md").read_text()


MANIFESTS = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("text", MANIFESTS, ids=lambda text: text.split("\n", 1)[0])
def test_a_manifest_in_the_readme_is_one(text, tmp_path):
    whole = text if text.startswith("version") else MANIFESTS[0] + text

    manifest = parse(whole.encode(), "README.md", tmp_path)

    assert manifest.inputs
    if "local/ncnn" not in text:  # its networks are the reader's own
        assert variants(manifest)


def test_the_readme_names_every_command_and_every_model():
    assert [command for command in COMMANDS if f"batchup {command}" not in README] == []
    assert [model for model in names() if f"`{model}`" not in README] == []


def test_every_file_that_the_readme_names_is_there():
    named = re.findall(r"\]\(([^)#:]+)\)|`((?:batchup|tests)/[\w/.]+)`", README)

    assert [path for pair in named for path in pair if path and not Path(path).exists()] == []
