"""A browser for the page, and one finished job that many tests look at."""

import pytest

from tests.browser import browser, chromium
from tests.dashboard.visitor import visiting
from tests.report.job import Job, finished

__all__ = ["browser", "chromium"]


@pytest.fixture(scope="session")
def job(tmp_path_factory) -> Job:
    """Give a job with all that can happen in it. To be looked at, not changed."""
    return finished(tmp_path_factory.mktemp("job"))


@pytest.fixture
async def visitor(job):
    """Serve that job's page, and give somebody who has its token."""
    async with visiting(job.manifest) as found:
        await found.told()
        yield found
