"""A browser for pages, and one finished job that many tests look at."""

import pytest

from tests.browser import browser, chromium
from tests.report.job import Job, finished, report

__all__ = ["browser", "chromium"]


@pytest.fixture(scope="session")
def job(tmp_path_factory) -> Job:
    """Give a job with all that can happen in it, and its report. To be looked at, not changed."""
    made = finished(tmp_path_factory.mktemp("job"))
    report(made)
    return made
