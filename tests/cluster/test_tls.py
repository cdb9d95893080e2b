"""A scheduler that asks for certificates works for whoever has them, and for nobody else."""

import os
import shutil
import subprocess

import pytest

from batchup.cluster.commands import Layout
from batchup.cluster.local import open_local
from tests.cluster.machines import job, layout
from tests.library import batchup, outputs, photo, start

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make certificates")


def certified(folder) -> Layout:
    """Return a cluster whose certificates are made as `batchup cluster --tls` says."""
    planned = layout(certificates=folder)
    for command in planned.certify():
        subprocess.run(command, check=True, capture_output=True)
    return planned


def ended(process):
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said
    assert "RuntimeWarning" not in said
    return process.returncode, said


def test_only_who_has_the_certificates_reaches_the_scheduler(tmp_path):
    photo(tmp_path / "photos/a.png")
    ours, strangers = certified(tmp_path / "ours"), certified(tmp_path / "strangers")
    file, bare = job(tmp_path, ours.address), ours.address.replace("tls", "tcp")

    def run(*options, folder=None):
        more = {"BATCHUP_CLUSTER_TLS": str(folder)} if folder else {}
        return start("run", str(file), *options, cwd=tmp_path, env={**os.environ, **more})

    with open_local(ours, 1, nanny=False, scratch=tmp_path / "worker"):
        wrong, without = ended(run(folder=strangers.certificates)), ended(run())
        unencrypted = ended(run("--cluster", bare))
        assert not outputs(tmp_path / "out")
        assert ended(run(folder=ours.certificates))[0] == 0

    for status, said in (wrong, unencrypted):
        assert status == 2
        assert f"127.0.0.1:{ours.port}: no scheduler answers there" in said
    assert without[0] == 2
    assert "it asks for certificates; set BATCHUP_CLUSTER_TLS to the folder with them" in without[1]
    assert len(outputs(tmp_path / "out")) == 1


def test_without_certificates_a_try_says_how_they_are_made(tmp_path):
    done = batchup("cluster", "--local", 1, "--tls", tmp_path / "none", cwd=tmp_path, status=1)

    assert f"there are no certificates in {tmp_path}/none; make them:\n  mkdir -p -m 700" in done.stderr
