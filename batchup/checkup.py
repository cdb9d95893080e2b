"""Checkup: what of this machine, this network and this account works, and what to do about what does not."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
from filelock import FileLock, Timeout

from batchup import plugins
from batchup.clock import Clock
from batchup.disk import sync, sync_folder
from batchup.errors import BatchupError, NotSentError
from batchup.ledger.index import state_folder
from batchup.ledger.lock import holder
from batchup.manifest import Manifest
from batchup.manifest.quantities import format_bytes
from batchup.models import FAL, PROVIDERS
from batchup.plan import provider_of
from batchup.processors import cores
from batchup.providers.fal.answers import failure
from batchup.version import __version__

REACH_S = 10.0
LOW_BYTES = 1_000_000_000
"""A disk with less is nearly full: a few videos."""

SKEW_S = 240.0
"""A clock that differs by more loses submissions: they are looked for in the platform's history within five minutes."""

Standing = Literal["ok", "off", "bad"]
"""``off`` is something that is not there and that nobody needs, as far as is known."""


class Finding(msgspec.Struct, frozen=True):
    """What was found of one thing.

    Attributes:
        part: ``machine``, ``key``, ``network``, ``disk``, ``ledger`` or ``extra``.
        advice: What to do about it; empty where there is nothing to be done.
    """

    part: str
    standing: Standing
    found: str
    advice: str = ""


class Extra(NamedTuple):
    """An optional part: the modules it needs, and what it is for."""

    modules: tuple[str, ...]
    use: str


EXTRAS: Mapping[str, Extra] = {
    "heic": Extra(("pillow_heif",), "HEIC photos"),
    "watch": Extra(("watchfiles",), "batchup watch, unless with --poll"),
    "metrics": Extra(("prometheus_client",), "run --metrics"),
    "notify": Extra(("apprise",), "notify:"),
    "ncnn": Extra(("ncnn",), "local/ncnn"),
    "torch": Extra(("torch", "spandrel"), "local/torch"),
    "cluster": Extra(("distributed",), "workers on other machines"),
}


def machine() -> Iterator[Finding]:
    """Yield what batchup runs on."""
    system = f"{platform.system()} {platform.release()} on {platform.machine()}, {cores()} cores"
    yield Finding("machine", "ok", f"batchup {__version__}, Python {platform.python_version()}, {system}")


def extras(manifest: Manifest | None) -> Iterator[Finding]:
    """Yield which optional parts are installed; those that *manifest* needs must be."""
    needed = _needed(manifest) if manifest else set()
    for name, extra in EXTRAS.items():
        missing = [module for module in extra.modules if importlib.util.find_spec(module) is None]
        if not missing:
            yield Finding("extra", "ok", f"{name} ({extra.use}): {_version(extra.modules[0])}")
            continue
        found = f"{name} ({extra.use}): not installed"
        yield Finding("extra", "bad" if name in needed else "off", found, f"pip install 'batchup[{name}]'")


def _needed(manifest: Manifest) -> set[str]:
    names = models(manifest)
    wants = {
        "notify": bool(manifest.notify),
        "cluster": bool(manifest.run.cluster),
        "ncnn": any(name.startswith("local/ncnn") for name in names),
        "torch": any(name.startswith("local/torch") for name in names),
    }
    return {name for name, is_wanted in wants.items() if is_wanted}


def models(manifest: Manifest) -> set[str]:
    """Return the names of the models that a manifest may use."""
    varied = (manifest.matrix.model or ()) if manifest.matrix else ()
    named = [manifest.model, *(rule.model for rule in manifest.rules), *(one.model for one in varied)]
    return {name for name in named if name}


def _version(module: str) -> str:
    found = importlib.metadata.packages_distributions().get(module, [module])
    try:
        return importlib.metadata.version(found[0])
    except importlib.metadata.PackageNotFoundError:
        return "installed"


def disks(manifest: Manifest | None) -> Iterator[Finding]:
    """Try out the folders that batchup writes to. Blocks; what is written is removed."""
    try:
        yield _folder(
            "what is kept about this user", state_folder(), "set BATCHUP_STATE_HOME to a folder of yours"
        )
    except RuntimeError as error:
        yield Finding("disk", "bad", f"this user has no home: {error}", "set BATCHUP_STATE_HOME")
    yield _folder("temporary files", Path(tempfile.gettempdir()), "set TMPDIR to a folder with room")
    if manifest is not None:
        yield _folder("outputs", manifest.output_dir, "change output.dir, or the folder's permissions")
        yield _folder("the ledger", manifest.ledger_path.parent, "set ledger: to a local disk")


def _folder(what: str, folder: Path, advice: str) -> Finding:
    """Write, sync, rename and lock a file in a folder, or in the nearest one above it that there is."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    where = f"{what}: {folder}" if place == folder else f"{what}: {folder} (to be made in {place})"
    try:
        with tempfile.TemporaryDirectory(prefix=".batchup-", dir=place) as room:
            _try_out(Path(room))
        free_bytes = shutil.disk_usage(place).free
    except (OSError, Timeout) as error:
        why = "locks do not hold there" if isinstance(error, Timeout) else error.strerror or str(error)
        return Finding("disk", "bad", f"{where}: {why}", advice)
    if free_bytes < LOW_BYTES:
        return Finding("disk", "bad", f"{where}: only {format_bytes(free_bytes)} are free", "free some space")
    return Finding("disk", "ok", f"{where}: {format_bytes(free_bytes)} free")


def _try_out(room: Path) -> None:
    with (room / "a").open("wb") as file:
        file.write(b"batchup")
        file.flush()
        sync(file.fileno())
    (room / "a").replace(room / "b")
    sync_folder(room)
    with FileLock(room / "lock").acquire(blocking=False):
        pass


def ledger(manifest: Manifest) -> Iterator[Finding]:
    """Yield how a manifest's ledger is. Blocks; reads all of it."""
    from batchup.ledger.repair import verify

    path = manifest.ledger_path
    if not path.exists():
        yield Finding("ledger", "off", f"{path}: none yet; the first run begins one")
        return
    try:
        report = verify(path)
    except BatchupError as error:
        yield Finding("ledger", "bad", str(error))
        return
    who = holder(Path(os.path.realpath(path)))
    used = f"; in use by {who}" if who else ""
    if report.damaged:
        advice = f"batchup ledger repair {manifest.file} goes on without the damaged lines"
        yield Finding("ledger", "bad", f"{path}: {len(report.damaged):,} damaged lines{used}", advice)
    else:
        yield Finding("ledger", "ok", f"{path}: whole, {report.lines:,} lines{used}")


async def account(environment: Mapping[str, str], clock: Clock, *, is_needed: bool) -> AsyncIterator[Finding]:
    """Yield whether fal can be reached and takes the key. What is asked is free; the key is never shown.

    Args:
        environment: Holds the key, and where the services are.
        clock: The machine's.
        is_needed: Whether anything is to be sent to fal: without, no key is no fault.
    """
    from batchup.providers.fal.api import open_api
    from batchup.providers.fal.queue import Queue
    from batchup.providers.fal.settings import Settings
    from batchup.providers.fal.storage import TOKEN_PATH

    try:
        settings = Settings.from_environment(environment)
    except BatchupError as error:
        is_set = any(environment.get(name) for name in ("FAL_KEY", "FAL_KEY_ID", "FAL_KEY_SECRET"))
        what, _, advice = str(error).partition(": ")
        yield Finding("key", "bad" if is_needed or is_set else "off", what, advice)
        return
    async with open_api(settings, connect_s=REACH_S, clock=clock) as api:
        try:
            await Queue(api).reach()
        except BatchupError as error:
            advice = "check the connection, the proxy (https_proxy) and the firewall"
            yield Finding("network", "bad", str(error), advice if isinstance(error, NotSentError) else "")
            return
        yield Finding("network", "ok", f"{settings.queue} answers")
        # What lets this account upload: free, and refused without a right key.
        try:
            answer = await api.ask("rest", "POST", TOKEN_PATH, body={}, within_s=REACH_S)
        except BatchupError as error:
            yield Finding("network", "bad", str(error), "uploads need it")
            return
    refused = failure("token", answer)
    if refused is None:
        yield Finding("key", "ok", f"{settings.rest} takes it")
    else:
        what, _, advice = str(refused).partition(". ")
        yield Finding("key", "bad", what, advice)
    yield _clock(answer.headers.get("Date", ""), clock)


def plugged_in(manifest: Manifest, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield whether the providers of other packages that a manifest uses have their accounts. Asks nobody."""
    for name in sorted({provider_of(model) for model in models(manifest)} - set(PROVIDERS)):
        try:
            plugins.installed().provider(name).check(environment)
        except BatchupError as error:
            what, _, advice = str(error).partition(": ")
            yield Finding("key", "bad", what, advice)
        else:
            yield Finding("key", "ok", f"{name} finds what it needs in the environment")


def _clock(date: str, clock: Clock) -> Finding:
    from batchup.transport.answers import moment

    there = moment(date)
    if there is None:
        return Finding("machine", "off", "the clock cannot be compared: the answer has no date")
    differs_s = (clock.utc() - there).total_seconds()
    if abs(differs_s) > SKEW_S:
        found = f"the clock is {abs(differs_s):,.0f} s {'ahead' if differs_s > 0 else 'behind'}"
        return Finding("machine", "bad", found, "let the system set its clock by the network")
    return Finding("machine", "ok", "the clock is right")


def uses_fal(manifest: Manifest) -> bool:
    """Return whether any of a manifest's models is fal's."""
    return any(name.startswith(f"{FAL}/") for name in models(manifest))
