"""A scheduler that asks for certificates works for whoever has them, and for nobody else."""

import os
import shutil
import subprocess

import pytest

from batchup.cluster.commands import Layout
from batchup.cluster.local import open_local
from tests.cluster.machines import job, layout
from tests.library import batchup, outputs, photo

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make certificates")


def certified(folder) -> Layout:
    """Return a cluster whose certificates are made as `batchup cluster --tls` says."""
    planned = layout(certificates=folder)
    for command in planned.certify():
        subprocess.run(command, check=True, capture_output=True)
    return planned


def test_only_who_has_the_certificates_reaches_the_scheduler(tmp_path):
    photo(tmp_path / "photos/a.png")
    ours, strangers = certified(tmp_path / "ours"), certified(tmp_path / "strangers")
    file = job(tmp_path, ours.address)
    home = dict(os.environ)
    with open_local(ours, 1, nanny=False, scratch=tmp_path / "worker"):
        stranger = {**home, "BATCHUP_CLUSTER_TLS": str(strangers.certificates)}
        wrong = batchup("run", file, cwd=tmp_path, status=2, env=stranger)
        none = batchup("run", file, cwd=tmp_path, status=2, env=home)
        bare = batchup(
            "run", file, "--cluster", ours.address.replace("tls", "tcp"), cwd=tmp_path, status=2, env=home
        )
        assert not outputs(tmp_path / "out")
        ours_too = {**home, "BATCHUP_CLUSTER_TLS": str(ours.certificates)}
        batchup("run", file, cwd=tmp_path, env=ours_too)

    for refused in (wrong, none, bare):
        assert f"127.0.0.1:{ours.port}: no scheduler answers there" in refused.stderr
    assert len(outputs(tmp_path / "out")) == 1
