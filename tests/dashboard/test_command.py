"""`batchup dashboard` at the command line."""

import json
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.library import batchup, manifest, start


@pytest.fixture
def file(tmp_path):
    (tmp_path / "photos").mkdir()
    return manifest(tmp_path)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_an_address_that_works_and_ends_at_once_when_told(file, tmp_path, signum):
    page = start("dashboard", file, "--json", cwd=tmp_path)
    address = json.loads("".join(iter(page.stdout.readline, "}\n")) + "}")

    with urlopen(f"http://127.0.0.1:{address['port']}/page/app.js") as answer:
        assert answer.status == 200
    page.send_signal(signum)
    _, err = page.communicate(timeout=10)

    assert (page.returncode, err) == (0, "")
    assert urlsplit(address["url"]).netloc == f"127.0.0.1:{address['port']}"


def test_an_address_that_cannot_be_used_is_said(file, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = batchup("dashboard", file, "--port", port, cwd=tmp_path, status=2)

    assert f"127.0.0.1:{port} cannot be used" in told.stderr


def test_a_manifest_that_is_wrong_is_said(tmp_path):
    (tmp_path / "wrong.yaml").write_text("version: 1")

    assert "wrong.yaml" in batchup("dashboard", "wrong.yaml", cwd=tmp_path, status=2).stderr


def test_who_lets_other_machines_in_is_warned(file, tmp_path):
    command = [sys.executable, "-m", "batchup", "dashboard", file, "--host", "0.0.0.0", "--until-eof"]

    told = subprocess.run(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )

    assert "can be reached from other machines, and what it sends is not encrypted" in told.stderr
    assert f"http://{socket.gethostname()}:" in told.stdout
