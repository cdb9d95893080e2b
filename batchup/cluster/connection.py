"""The connection: from a scheduler's address to an engine with workers, told of who comes and who goes."""

import logging
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup
from distributed import Client, Security

from batchup.cluster.call import ABOUT, OPEN, WORKERS, pack
from batchup.cluster.commands import TLS
from batchup.cluster.engine import Engine
from batchup.cluster.identity import account, code, plugged
from batchup.cluster.members import Member
from batchup.disk import translated
from batchup.errors import FatalError, Fault, ManifestError
from batchup.manifest import Manifest
from batchup.models import FAL, PROVIDERS
from batchup.shutdown import Shutdown

CONNECT_S = 10.0
WORKERS_S = 30.0
"""How long the first worker is waited for."""
LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run wants of a cluster.

    Attributes:
        address: Of the scheduler, ``tcp://host:port`` or ``tls://host:port``.
        models: Of which there are tasks; fal's need the account's key.
        environment: Holds it, and where the certificates are.
        shutdown: Of the run. One that ends waits for no worker.
        tell: Called with what a person wants to know.
    """

    manifest: Manifest
    address: str
    models: AbstractSet[str]
    environment: Mapping[str, str]
    shutdown: Shutdown
    tell: Callable[[str], None]

    @property
    def providers(self) -> frozenset[str]:
        """Whose tasks there are."""
        return frozenset(model.partition("/")[0] for model in self.models)

    def refused(self, message: str) -> ManifestError:
        """Return the error of a cluster that cannot be used."""
        return ManifestError([Fault("", 0, 0, f"cluster {self.address}: {message}")])


@asynccontextmanager
async def open_engine(wanted: Wanted) -> AsyncIterator[Engine]:
    """Give an engine with at least one worker while the block lasts.

    Raises:
        ManifestError: The cluster cannot be used.
        FatalError: Its scheduler went away.
    """
    # Where the outputs are, so that what is there can be renamed.
    scratch = wanted.manifest.output_dir / ".batchup" / f"{wanted.manifest.name}.cluster"
    await to_thread.run_sync(_made_empty, scratch)
    try:
        async with _open_client(wanted) as (client, fence), anyio.create_task_group() as group:
            run = secrets.token_hex(6)
            engine = Engine(client, fence, run, scratch, wanted.tell)
            newcomers = _Newcomers(wanted, client, engine, run, scratch)
            group.start_soon(_watch, client, client.scheduler_comm, wanted.address)
            await newcomers.begin(group)
            group.start_soon(_end_with, wanted.shutdown, engine)
            yield engine
            group.cancel_scope.cancel()
    finally:
        await to_thread.run_sync(shutil.rmtree, scratch, True)


def _made_empty(folder: Path) -> None:
    """Make a folder, without what a killed run left in it. The ledger's lock makes it ours."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise translated(error, folder) from error


@asynccontextmanager
async def _open_client(wanted: Wanted) -> AsyncIterator[tuple[Any, str]]:
    """Give a connection and the name of the scheduler's fence."""
    await _check_there(wanted)
    # What Dask says of lost connections is said by us, once. It sets a level for each of several loggers.
    for name in list(logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = await Client(  # type: ignore[no-untyped-call]  # Dask's
            wanted.address,
            asynchronous=True,
            set_as_default=False,
            timeout=CONNECT_S,
            security=security(wanted),
        )
    # Dask raises OSError for no connection, ValueError and TypeError for addresses, ssl's for certificates.
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise wanted.refused(f"no scheduler answers there: {error}") from error
    try:
        yield client, await _checked_fence(wanted, client)
    finally:
        with anyio.move_on_after(CONNECT_S, shield=True):
            await client.close(timeout=1)


async def _check_there(wanted: Wanted) -> None:
    """Raise at once if nobody listens there: Dask would try again and again."""
    place = urlsplit(wanted.address)
    try:
        with anyio.fail_after(CONNECT_S):
            stream = await anyio.connect_tcp(place.hostname or "", place.port or 0)
    except (OSError, TimeoutError) as error:
        raise wanted.refused(f"no scheduler listens there: {str(error) or 'no answer'}") from error
    await stream.aclose()


async def _checked_fence(wanted: Wanted, client: Any) -> str:
    """Return the name of the scheduler's fence. Raises ManifestError if there is none, or of another version."""
    try:
        about = await getattr(client.scheduler, ABOUT)()
    # Dask raises whatever the other side raised, and AttributeError or ValueError for an unknown question.
    except Exception as error:
        raise wanted.refused(
            "its scheduler was started without --preload batchup.cluster.fence; `batchup cluster` shows how"
        ) from error
    if about["code"] != code():
        raise wanted.refused(
            f"its scheduler runs batchup {about['code']}, this is {code()}: update one of them"
        )
    fence: str = about["fence"]
    return fence


def security(wanted: Wanted) -> Security | None:
    """Return the certificates that are shown and asked for; None for none."""
    folder = wanted.environment.get(TLS)
    if not wanted.address.startswith("tls://"):
        return None
    if not folder:
        dasks = Security(require_encryption=True)  # type: ignore[no-untyped-call]  # its own settings may say where they are
        if dasks.tls_ca_file is None:  # type: ignore[attr-defined]  # set by its name
            raise wanted.refused(f"it asks for certificates; set {TLS} to the folder with them")
        return dasks
    ca, cert, key = (str(Path(folder).expanduser() / name) for name in ("ca.pem", "cert.pem", "key.pem"))
    missing = [name for name in (ca, cert, key) if not Path(name).is_file()]
    if missing:
        raise wanted.refused(f"{TLS} names a folder without {missing[0]}")
    return Security(  # type: ignore[no-untyped-call]  # Dask's
        require_encryption=True, tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key
    )


async def _end_with(shutdown: Shutdown, engine: Engine) -> None:
    await shutdown.wait_draining()
    engine.members.end()


async def _watch(client: Any, connection: Any, address: str) -> None:
    """End the run when the scheduler is gone: nothing can be asked any more of what is under way.

    Dask connects again to one that is started anew, which knows nothing of this run.
    """
    while client.status == "running" and client.scheduler_comm is connection:  # noqa: ASYNC110 - Dask tells nobody
        await anyio.sleep(LOOK_EVERY_S)
    message = f"the cluster's scheduler at {address} is gone; start it and run again, which goes on where this stopped"
    raise FatalError(message, stopped="account")


class _Newcomers:
    """Looks at each worker that comes before it is given anything."""

    def __init__(self, wanted: Wanted, client: Any, engine: Engine, run: str, scratch: Path) -> None:
        self._wanted, self._client, self._engine, self._run = wanted, client, engine, run
        # Where a run's end is announced to is nobody's business who works for it.
        self._manifest = pack(wanted.manifest.model_copy(update={"notify": (), "on_finish": ()}))
        self._token = scratch / secrets.token_hex(16)
        self._nonce = secrets.token_hex(16)
        # Only these are done by workers, and only what is not built in may be missing there.
        done_there = [name for name in wanted.models if name.partition("/")[0] in PROVIDERS]
        self._plugged = {name: found for name in done_there if (found := plugged(name))}
        self._asked: set[str] = set()
        self._refused: list[str] = []
        self._looked = anyio.Event()

    async def begin(self, group: TaskGroup) -> None:
        """Hear of workers from now on, and return when there is one to work with."""
        await to_thread.run_sync(self._token.touch)

        async def heard(event: tuple[float, Mapping[str, str]]) -> None:
            _, told = event
            if "gone" in told:
                self._gone(told["gone"])
            else:
                group.start_soon(self._look, told["came"])

        self._client.subscribe_topic(WORKERS, heard)
        self._client.subscribe_topic(f"batchup-{self._run}", self._engine.heard)
        known = await self._client.scheduler.identity()
        async with anyio.create_task_group() as first:
            for address in known["workers"]:
                first.start_soon(self._look, address)
        if not self._engine.members.slots and not self._refused:
            self._wanted.tell(f"waiting for a worker at {self._wanted.address}")
        with anyio.move_on_after(0.0 if self._refused else WORKERS_S):
            await self._looked.wait()
        if not self._engine.members.slots:
            why = "; ".join(self._refused) or "it has no worker; `batchup cluster` shows how to start one"
            raise self._wanted.refused(why)
        has_account = any(member.has_account for member in self._engine.members)
        if FAL in self._wanted.providers and not has_account:
            raise self._wanted.refused(
                "no worker's environment has this machine's FAL_KEY and addresses of fal"
            )

    def _gone(self, address: str) -> None:
        self._asked.discard(address)
        if self._engine.gone(address):
            self._wanted.tell(f"worker {address} is gone{self._rest()}")

    def _rest(self) -> str:
        return "" if self._engine.members.slots else ": what is left waits for another"

    async def _look(self, address: str) -> None:
        """Take in a worker, or say why not."""
        if address in self._asked:
            return
        self._asked.add(address)
        try:
            worker = self._client.rpc(address)
            about = await getattr(worker, ABOUT)(
                nonce=self._nonce, token=str(self._token), models=list(self._plugged)
            )
            reason = self._reason(about)
            if not reason:
                await getattr(worker, OPEN)(run=f"batchup-{self._run}", manifest=self._manifest)
        except OSError:
            self._asked.discard(address)  # it is gone already; its nanny may start another
            return
        # Dask raises whatever the other side raised, ValueError and its kin for an unknown question.
        except Exception as error:  # noqa: BLE001 - see above: it is told, and the worker not used
            reason = f"it was not started with --preload batchup.cluster.worker, or is of another version ({error})"
        if reason:
            self._refused.append(f"worker {address}: {reason}")
            self._wanted.tell(f"worker {address} gets nothing to do: {reason}")
            return
        if address in self._asked:
            self._engine.members.came(self._member(address, about))
            self._looked.set()

    def _reason(self, about: Mapping[str, Any]) -> str:
        if about["code"] != code():
            return f"it runs batchup {about['code']}, this is {code()}: update one of them"
        for model, ours in self._plugged.items():
            theirs = about["plugged"][model]
            if not theirs:
                return f"it has no {model}: install {ours} there"
            if theirs != ours:
                return f"its {model} is of {theirs}, this machine's of {ours}: update one of them"
        if self._wanted.providers == {FAL} and not self._has_account(about):
            return (
                "its environment has no FAL_KEY, another one, or other addresses of fal than this machine's"
            )
        return ""

    def _has_account(self, about: Mapping[str, Any]) -> bool:
        return bool(about["account"]) and about["account"] == account(self._wanted.environment, self._nonce)

    def _member(self, address: str, about: Mapping[str, Any]) -> Member:
        return Member(
            address,
            {"work": about["slots"], "transfer": about["transfers"]},
            about["labels"],
            about["shares"],
            self._has_account(about),
            about["folder"],
        )
