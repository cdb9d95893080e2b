"""Courier: brings a message to an address, by apprise.

Addresses may hold passwords and tokens: nobody is shown more of one than its service.
"""

import asyncio
import logging
import re
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import ModuleType
from typing import Literal, Self

import anyio
import msgspec

from batchup.errors import Fault
from batchup.manifest import Manifest

SERVICES = "https://github.com/caronc/apprise/wiki"

Tone = Literal["success", "warning", "failure"]
"""Apprise's words for how bad something is."""


class Message(msgspec.Struct, frozen=True):
    """What is said to every address.

    Attributes:
        title: Short: a phone shows no more.
        tone: How bad it is.
    """

    title: str
    body: str
    tone: Tone


def faults(manifest: Manifest) -> list[Fault]:
    """Return what is wrong with a manifest's addresses: nothing can be sent at all, or apprise does not know one.

    Imports apprise where there are addresses, and sends nothing.
    """
    if not manifest.notify:
        return []
    apprise = _apprise()
    if apprise is None:
        message = "messages need a part that is not installed; pip install 'batchup[notify]'"
        return [manifest.fault(("notify",), message)]
    return [
        manifest.fault(("notify", number), _unknown(address))
        for number, address in enumerate(manifest.notify)
        if apprise.Apprise.instantiate(address) is None
    ]


def masked(address: str) -> str:
    """Return of *address* what is surely no secret: ``slack://…``; what lies behind may be a token in any place."""
    scheme, slashes, _ = address.partition("://")
    return f"{scheme}://…" if slashes and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]{0,19}", scheme) else "…"


def _unknown(address: str) -> str:
    shown = masked(address)
    if shown == "…":
        return "is no address; write one like ntfy://topic or mailto://user:password@example.org"
    return f"{shown} is no address that apprise can send to; {SERVICES} tells how each service's are written"


async def send(address: str, message: Message, limit_s: float) -> str:
    """Bring *message* to *address*; return why it was not sent, nothing where it was.

    Args:
        address: As apprise writes them.
        message: What to say.
        limit_s: How long that may take, in seconds.
    """
    return await _in_thread(partial(_notify, address, message), limit_s)


async def _in_thread(call: Callable[[], str], limit_s: float) -> str:
    """Return what *call* returns, or that it takes too long: then its thread is left, and keeps no process alive."""
    loop, ended = asyncio.get_running_loop(), anyio.Event()
    found: list[str] = []

    def work() -> None:
        found.append(call())
        with suppress(RuntimeError):  # nobody waits any more, and the loop is closed
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=work, name="batchup message", daemon=True).start()
    with anyio.move_on_after(limit_s):
        await ended.wait()
    return found[0] if found else f"no answer within {limit_s:g} s"


def _notify(address: str, message: Message) -> str:
    """Send *message*, and return why it was not sent; blocks."""
    with _Reasons() as reasons:
        try:
            import apprise

            service = apprise.Apprise.instantiate(address)
            assert service is not None, "it was known when the manifest was checked"
            # Not by Apprise.notify(): its thread pools wait for a stuck service at the interpreter's end.
            sent = service.notify(
                title=message.title,
                body=message.body,
                notify_type=apprise.NotifyType(message.tone),
                body_format=apprise.NotifyFormat.TEXT,
            )
        except Exception as error:  # noqa: BLE001 - any of 130 services' modules may raise anything; no run ends for it
            return f"apprise failed ({type(error).__name__})"
    return "" if sent else reasons.said


class _Reasons(logging.Handler):
    """Reads from apprise's log why this thread's message was refused; only what can hold no part of an address."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said = "the service refuses it"
        self._thread = threading.get_ident()

    def __enter__(self) -> Self:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:
            return
        text = record.getMessage()
        if status := re.search(r"\berror=(\d{3})\b", text):
            self.said = f"the service answered HTTP {status[1]}"
        elif "connection error" in text.lower():
            self.said = "the service cannot be reached, or does not answer"


def _apprise() -> ModuleType | None:
    """Return the package, None where it is not installed."""
    with warnings.catch_warnings():
        # It imports a module of the standard library that is on its way out, 2.2.0 read 2026-11.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import apprise
        except ImportError:
            return None
        # Its services are imported when the first address is looked at.
        apprise.Apprise.instantiate("json://localhost")
    # It logs addresses as it finds them.
    logging.getLogger("apprise").propagate = False
    return apprise
