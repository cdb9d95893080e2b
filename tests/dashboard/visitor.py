"""Somebody who has the token, and asks by plain HTTP what the page asks."""

from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import msgspec

from batchup.clock import SystemClock
from batchup.dashboard.desk import key_of
from batchup.dashboard.room import GRACE_S
from batchup.dashboard.server import Address, open_dashboard
from batchup.manifest import load


class Brisk(SystemClock):
    """The machine's clocks, and no long sleeps: a page looks at its runs ten times as often.

    Browsers have as long as ever to fetch the last that they have heard of.
    """

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds if seconds <= GRACE_S else seconds / 10)


class Visitor:
    """A browser without a screen.

    Attributes:
        base: Address of the page behind the token.
        key: Of the job that the dashboard was started for.
    """

    def __init__(self, address: Address, http: aiohttp.ClientSession, ledger: Path) -> None:
        self.address, self.http = address, http
        self.origin = f"http://{address.host}:{address.port}"
        self.key = key_of(str(ledger))
        self.base = ""

    async def come_in(self) -> None:
        async with self.http.get(self.address.url) as answer:
            assert answer.status == 200
            self.base = str(answer.url)

    async def get(self, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        async with self.http.get(self.base + path, headers=headers) as answer:
            return answer.status, await answer.read(), dict(answer.headers)

    async def do(self, do: str, *, status: int = 200, **more: Any) -> str:
        """Ask the run for something; return what was wrong."""
        wish = {"job": self.key, "do": do, **more}
        async with self.http.post(f"{self.base}do", json=wish, headers={"Origin": self.origin}) as answer:
            text = await answer.text()
            assert answer.status == status, text
            return msgspec.json.decode(text)["error"] if status == 200 else text

    async def told(self, true=lambda sections: "counts" in sections, job: str = "") -> dict[str, Any]:
        """Follow what is told of a job until that is *true*; return all sections."""
        sections: dict[str, Any] = {}
        with anyio.fail_after(20):
            async with self.http.get(f"{self.base}events?job={job or self.key}") as answer:
                assert answer.status == 200
                async for line in answer.content:
                    if line.startswith(b"data:"):
                        sections |= msgspec.json.decode(line[5:])
                        if true(sections):
                            return sections
        raise AssertionError("the stream ended")


@asynccontextmanager
async def visiting(manifest: Path, **options: Any):
    """Serve the page of a job in this process, and yield who visits it."""
    job = load(manifest)
    jar = aiohttp.CookieJar(unsafe=True)  # also of hosts that are addresses
    async with (
        open_dashboard(job, **{"clock": Brisk(), **options}) as address,
        aiohttp.ClientSession(cookie_jar=jar, read_bufsize=1 << 22) as http,
    ):
        found = Visitor(address, http, job.ledger_path)
        await found.come_in()
        yield found
