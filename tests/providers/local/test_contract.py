"""The provider of this machine keeps what every provider promises."""

from contextlib import asynccontextmanager
from functools import partial

from batchup.providers.local.pool import open_pool
from batchup.providers.local.provider import LocalProvider
from batchup.testing import Bench, ProviderContract, job


@asynccontextmanager
async def local():
    async with open_pool(2, 1 << 30) as pool:
        yield LocalProvider(pool)


def damage(job):
    job.file.write_bytes(job.file.read_bytes()[:60])


class TestLocal(ProviderContract):
    @asynccontextmanager
    async def bench(self, folder):
        yield Bench(local, partial(job, folder, "local/lanczos"), causes={("complete", "rejected"): damage})
