"""Acme's upscalers: a platform that is paid by the output, and a local model."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from batchup.errors import FatalError
from batchup.providers.plugin import Plugin, Supplies

from .models import DOUBLE
from .provider import AcmeProvider


def check(environment: Mapping[str, str]) -> None:
    if not environment.get("ACME_KEY"):
        raise FatalError("there is no key for acme: set ACME_KEY", stopped="account")


@asynccontextmanager
async def opened(supplies: Supplies) -> AsyncIterator[AcmeProvider]:
    check(supplies.environment)
    headers = {"Authorization": f"Bearer {supplies.environment['ACME_KEY']}"}
    timeout = aiohttp.ClientTimeout(sock_connect=supplies.connect_s, sock_read=supplies.stall_s)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        yield AcmeProvider(session, supplies, supplies.environment["ACME_URL"])


PLUGIN = Plugin(open=opened, models=(DOUBLE,), check=check, slots=3)
