"""Acme's package installed, and acme itself."""

import os
import sys

import pytest

from batchup import plugins
from tests.cli.conftest import call  # noqa: F401 - pytest finds it here
from tests.plugins.install import ACME, install
from tests.plugins.server import open_acme


@pytest.fixture
def acme():
    with open_acme() as platform:
        yield platform


@pytest.fixture(scope="session")
def acme_site(tmp_path_factory):
    """A folder of packages in which acme's is installed."""
    return install(ACME, tmp_path_factory.mktemp("site"))


@pytest.fixture
def environment(acme, acme_site):
    """The environment of a process that has the package and an account."""
    return {**os.environ, **acme.environment, "PYTHONPATH": str(acme_site)}


@pytest.fixture
def here(monkeypatch):
    """Have the packages of a folder in this process, while the test lasts."""
    sites = []

    def use(site):
        sites.append(str(site))
        monkeypatch.syspath_prepend(str(site))
        plugins.installed.cache_clear()

    yield use
    plugins.installed.cache_clear()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(tuple(sites)):
            del sys.modules[name]
