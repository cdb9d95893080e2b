"""Server: all services on loopback, for as long as a block lasts."""

import socket
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import msgspec
from aiohttp import web
from anyio.abc import TaskGroup

from batchup.clock import Clock, SystemClock
from batchup.rehearsal.account import Account
from batchup.rehearsal.faults import Dice, Script
from batchup.rehearsal.gate import Gate
from batchup.rehearsal.inputs import Inputs
from batchup.rehearsal.job import Job
from batchup.rehearsal.record import Call, Record
from batchup.rehearsal.services.api import Api
from batchup.rehearsal.services.cdn import Cdn
from batchup.rehearsal.services.queue import Queue
from batchup.rehearsal.services.storage import Tokens
from batchup.rehearsal.settings import Settings
from batchup.rehearsal.store import Store
from batchup.rehearsal.work import Work

HOST = "127.0.0.1"
BODY_BYTES = 64 << 20
"""The largest JSON body, for inputs as ``data:`` addresses. Uploads have no limit: they go to disk."""

END_S = 0.2
"""How long connections may take to end when the server does."""


class Fal:
    """A fal of our own. Made by :func:`open_fal`.

    Attributes:
        record: Every call that came in.
        account: Every request that was accepted, and the bill.
        addresses: Service (``queue``, ``run``, ``rest``, ``api``, ``cdn``) -> its origin.
    """

    def __init__(self, settings: Settings, clock: Clock, folder: Path, group: TaskGroup) -> None:
        self.settings = settings
        self._clock = clock
        self.record = Record(settings.key)
        self.account = Account(settings, clock)
        self.addresses: dict[str, str] = {}
        self._dice = Dice(settings.faults, settings.seed)
        self._store = Store(folder, clock)
        self._gate = Gate(self.record, self._dice, clock, settings.key, self.account.endpoint_of)
        self._group = group
        self._lines: list[_Line] = []

    @property
    def accepted(self) -> list[Job]:
        """Every accepted request, in order."""
        return self.account.accepted

    @property
    def billed_usd(self) -> Decimal:
        """What the account has been charged."""
        return self.account.billed_usd

    @property
    def inputs_billed(self) -> Counter[tuple[str, str]]:
        """How often was paid for the same endpoint and body, with an input of the same contents."""
        return self.account.inputs_billed

    @property
    def calls(self) -> Counter[str]:
        """Step -> how many calls came in."""
        return self.record.calls

    @property
    def log(self) -> list[Call]:
        """The latest calls, whole."""
        return list(self.record.log)

    @property
    def peak_running(self) -> int:
        """The most tasks that ran at once."""
        return self._work.runners.peak

    def environment(self) -> dict[str, str]:
        """Return the environment variables with which batchup talks to this server, its key among them."""
        found = {f"FAL_{name.upper()}_URL": self.addresses[name] for name in ("queue", "run", "rest", "api")}
        return {**found, "FAL_KEY": self.settings.key}

    def script(self, *scripts: Script) -> None:
        """Let more go wrong, counted from now."""
        for script in scripts:
            self._dice.add(script)

    def expire(self, *request_ids: str) -> None:
        """Forget requests now, as time would."""
        for request_id in request_ids:
            self.account.forget(request_id)

    def expire_file(self, url: str) -> None:
        """Let the file at *url* expire now."""
        self._store.forget(url.split("/")[-2])

    @asynccontextmanager
    async def unplugged(self) -> AsyncIterator[None]:
        """Be out of reach while the block lasts: connections are torn, and new ones refused. The work goes on."""
        for line in self._lines:
            await line.cut()
        try:
            yield
        finally:
            for line in self._lines:
                await line.restore()

    def state(self) -> dict[str, Any]:
        """Return what the server knows, as JSON can hold it."""
        return {
            "accepted": [_row(job) for job in self.accepted],
            "billed_usd": str(self.billed_usd),
            "billed_twice": sum(count - 1 for count in self.inputs_billed.values()),
            "calls": dict(self.calls),
            "faults": dict(self.record.faults),
            "leaks": len(self.record.leaks),
            "unfinished": self.account.unfinished,
            "peak_running": self.peak_running,
            "peak_accepted": self.account.peak,
            "peaks": dict(self.record.peaks),
        }

    async def _open(self, stack: AsyncExitStack, port: int) -> None:
        settings = self.settings
        tokens = Tokens(settings.clock_s(settings.token_ttl_s), self._clock)
        cdn = Cdn(settings, self._store, tokens, self.record)
        apps = {
            name: web.Application(client_max_size=BODY_BYTES)
            for name in ("cdn", "queue", "run", "rest", "api")
        }
        shared = settings.cdn_shares_origin
        cdn.add(apps["queue" if shared else "cdn"].router, self._gate)
        # The CDN's origin must be known before any address is given away, the work's before any job begins.
        self._wire(apps, tokens, cdn)
        for offset, (name, app) in enumerate(apps.items()):
            app.router.add_route("*", "/{rest:.*}", self._gate.stranger(name))
            line = await stack.enter_async_context(_listening(app, port and port + offset))
            self._lines.append(line)
            self.addresses[name] = f"http://{HOST}:{line.port}"
        tokens.cdn_url = self.addresses["queue" if shared else "cdn"]

    def _wire(self, apps: Mapping[str, web.Application], tokens: Tokens, cdn: Cdn) -> None:
        settings = self.settings
        inputs = Inputs(self._store, tokens, settings.foreign, settings.foreign_s)
        self._work = Work(settings, self._clock, self._dice, self._store, inputs, self.account.bill)

        async def work(job: Job) -> None:
            await self._work.process(job, cdn.address)
            self.account.close()

        def start(job: Job) -> None:
            self._group.start_soon(work, job)

        queue = Queue(settings, self.account, self._work, start)
        queue.add_queue(apps["queue"].router, self._gate)
        queue.add_run(apps["run"].router, self._gate)
        tokens.add(apps["rest"].router, self._gate)
        Api(self.account).add(apps["api"].router, self._gate)
        apps["api"].router.add_get("/_rehearsal/state", self._tell)
        apps["api"].router.add_post("/_rehearsal/scripts", self._take)

    async def _tell(self, _: web.Request) -> web.Response:
        return web.json_response(self.state())

    async def _take(self, request: web.Request) -> web.Response:
        """Take scripts from another process."""
        try:
            self.script(*msgspec.json.decode(await request.read(), type=list[Script]))
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            return web.json_response({"detail": str(error)}, status=400)
        return web.json_response({})


@asynccontextmanager
async def open_fal(
    settings: Settings | None = None, *, port: int = 0, clock: Clock | None = None
) -> AsyncIterator[Fal]:
    """Run a fal of our own on loopback; nothing beyond this machine is asked for anything.

    Args:
        settings: How it behaves.
        port: The first of five ports in a row; 0 takes free ones.
        clock: By which it lives, and which its clients must share; the machine's own by default.

    Raises:
        OSError: A port is taken.
    """
    failure: Exception | None = None
    # The folder outlives the work: a thread that writes into it cannot be interrupted.
    with tempfile.TemporaryDirectory(prefix="batchup-rehearsal-") as folder:
        async with anyio.create_task_group() as group, AsyncExitStack() as stack:
            fal = Fal(settings or Settings(), clock or SystemClock(), Path(folder), group)
            try:
                await fal._open(stack, port)  # noqa: SLF001 - this block is what opens it
                yield fal
            except Exception as error:  # noqa: BLE001 - raised below, where the group does not wrap it
                failure = error
            finally:
                group.cancel_scope.cancel()
    if failure:
        raise failure


class _Line:
    """One service's port."""

    def __init__(self, runner: web.AppRunner, site: web.BaseSite) -> None:
        self._runner, self._site = runner, site
        self._kept: socket.socket | None = None
        self.port: int = runner.addresses[0][1]

    async def cut(self) -> None:
        await self._site.stop()
        # Bound, and not listening: whoever connects is refused, and nobody else is given the port.
        self._kept = socket.socket()
        self._kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._kept.bind((HOST, self.port))
        server = self._runner.server
        for connection in list(server.connections) if server else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def restore(self) -> None:
        if self._kept is not None:
            self._site = web.SockSite(self._runner, self._kept)
            await self._site.start()


@asynccontextmanager
async def _listening(app: web.Application, port: int) -> AsyncIterator[_Line]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=END_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        yield _Line(runner, site)
    finally:
        with anyio.CancelScope(shield=True):
            await runner.cleanup()


def _row(job: Job) -> dict[str, Any]:
    return {
        "request_id": job.id,
        "endpoint": job.endpoint.id,
        "body": job.body,
        "mode": job.mode,
        "state": job.state,
        "status_code": job.failure.status if job.failure else 200 if job.output else None,
        "input_sha256": job.input_sha256,
        "units": None if job.units is None else str(job.units),
        "cost_usd": str(job.cost_usd),
    }
