import json
import os
import shutil
import subprocess

import pytest

from tests.cli.conftest import spawn


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_asks_batchup_itself(call, shell):
    status, out, _ = call("completion", shell)

    assert status == 0
    assert f"_BATCHUP_COMPLETE={shell}_complete" in out


def test_the_script_is_one_json_document_where_that_is_asked_for(call):
    document = json.loads(call("completion", "fish", "--json").out)

    assert "complete" in document["script"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_bash_script_is_one_that_bash_reads(call):
    script = call("completion", "bash").out

    done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "found"),
    [("batchup led", "ledger"), ("batchup ledger ver", "verify"), ("batchup models lo", "local/lanczos")],
    ids=["command", "subcommand", "model"],
)
def test_the_word_under_the_cursor_is_completed(words, found):
    asked = {"_BATCHUP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}

    out = spawn(env={**os.environ, **asked}).out

    assert f"plain,{found}" in out.splitlines()


def test_an_unknown_shell_is_told_with_those_there_are(call):
    status, _, err = call("completion", "csh")

    assert status == 2
    assert "'bash', 'zsh', 'fish'" in err
