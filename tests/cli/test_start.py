"""How the command line begins: quickly, and with help for everything."""

import subprocess
import sys

import click
import pytest

from batchup.cli import COMMANDS, cli
from batchup.terminal import program

HEAVY = ("pydantic", "PIL", "av", "aiohttp", "tqdm", "yaml", "anyio")


def commands():
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None, name
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {below}", one) for below, one in command.commands.items())


def test_help_imports_nothing_heavy():
    program = (
        "import sys, click\n"
        "from batchup.cli import cli\n"
        "cli.get_help(click.Context(cli))\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )

    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert out.strip() == "[]"


@pytest.mark.parametrize(("name", "command"), [pytest.param(*one, id=one[0]) for one in commands()])
def test_every_command_has_help_with_an_example_and_the_common_options(name, command):
    text = command.get_help(click.Context(command, info_name=name))

    assert f"Example:  batchup {name.split()[0]}" in text
    assert isinstance(command, click.Group) or {"--json", "--quiet", "--log-file"} <= set(text.split())
    assert "\\b" not in text


def test_the_root_help_keeps_its_examples_on_lines_of_their_own():
    text = cli.get_help(click.Context(cli))

    assert "  batchup run holiday.yaml " in text
    assert "\\b" not in text


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("holiday.yaml", "did you mean batchup run holiday.yaml?"),
        ("not there.yml", "did you mean batchup run 'not there.yml'?"),
        ("photos", "batchup init photos writes a manifest for this folder"),
        ("help", "did you mean batchup --help?"),
        ("frobnicate", "there are run, plan, "),
    ],
    ids=["manifest", "manifest that is not there", "folder", "help", "nothing"],
)
def test_what_is_no_command_but_stands_for_one_is_told_with_it(call, tmp_path, monkeypatch, word, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "holiday.yaml").touch()

    status, out, err = call(word)

    assert (status, out) == (2, "")
    assert hint.replace("batchup", program()) in err


def test_whoever_asks_for_a_dry_run_is_told_of_the_plan(call):
    status, out, err = call("run", "holiday.yaml", "--dry-run")

    assert (status, out) == (2, "")
    assert f"`{program()} plan` shows what a run would do" in err


@pytest.mark.parametrize(
    ("given", "there", "hint"),
    [
        ("photos", [], "photos: is a folder, and no manifest; batchup init photos writes one for it"),
        ("photos", ["photos.yaml"], "photos: is a folder, and no manifest; did you mean photos.yaml?"),
        (
            "my photos",
            ["my-photos.yaml"],
            "my photos: is a folder, and no manifest; did you mean my-photos.yaml?",
        ),
        ("photos", ["photos/photos.yml"], "did you mean photos/photos.yml?"),
        ("holyday.yaml", ["holiday.yaml"], "holyday.yaml: there is no such file; did you mean holiday.yaml?"),
        ("photos/a.yml", ["photos/a.yaml"], "did you mean photos/a.yaml?"),
        ("a", ["a.yaml"], "did you mean a.yaml?"),
        ("other.yaml", ["holiday.yaml"], "other.yaml: there is no such file\n"),
    ],
)
def test_what_is_no_manifest_is_told_with_what_may_have_been_meant(
    call, tmp_path, monkeypatch, given, there, hint
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "my photos").mkdir()
    for name in there:
        (tmp_path / name).touch()

    status, out, err = call("run", given)

    assert (status, out) == (2, "")
    assert hint.replace("batchup", program()) in err


@pytest.mark.parametrize(
    ("args", "hint"),
    [(["rnu"], "did you mean run?"), (["ledger", "verfy"], "Did you mean 'verify'?")],
    ids=["command", "subcommand"],
)
def test_a_misspelt_command_is_told_with_the_nearest(call, args, hint):
    status, out, err = call(*args)

    assert (status, out) == (2, "")
    assert hint in err
