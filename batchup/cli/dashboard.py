"""`batchup dashboard`: a page that shows runs while they go on, and tells them what to do."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from batchup.cli import print_json
from batchup.cli.options import Output, common, manifest_argument
from batchup.terminal import escape

if TYPE_CHECKING:
    from batchup.dashboard.server import Address

LOOPBACK = "127.0.0.1"
END_S = 5.0
"""How long the page of a run may take to end after it."""


@click.command(
    short_help="Show runs in the browser while they go on, and steer them.",
    epilog="Example:  batchup dashboard holiday.yaml --open",
)
@manifest_argument
@click.option(
    "--host",
    default=LOOPBACK,
    show_default=True,
    metavar="ADDRESS",
    help="Bind to ADDRESS; what is not loopback can be reached from other machines.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="Listen on PORT; by default on any that is free.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="NAME",
    help="Another name by which browsers call this machine, as that of a proxy; may be repeated.",
)
@click.option("--open", "opens", is_flag=True, help="Open the page in the browser.")
@click.option("--until-eof", is_flag=True, hidden=True, help="End when standard input does.")
@common
def dashboard(
    manifest: Path,
    *,
    host: str,
    port: int,
    names: tuple[str, ...],
    opens: bool,
    until_eof: bool,
    output: Output,
) -> int:
    """Show the job of MANIFEST, and all runs on this machine, on a page in the browser.

    The address that is printed holds a token; without it nothing can be seen or changed. The page works while no run is
    going on, and follows the next one. Ctrl-C ends it; runs are not touched by that.
    """
    import anyio

    from batchup.dashboard.server import open_dashboard
    from batchup.manifest import load

    job = load(manifest)

    async def serve() -> None:
        async with open_dashboard(job, host, port, names) as address:

            def begin() -> None:
                _tell(address, output)
                if opens:
                    click.launch(address.url)

            await _wait(begin, until_eof=until_eof)

    anyio.run(serve)
    return 0


def _tell(address: "Address", output: Output) -> None:
    from batchup.transport.addresses import is_loopback

    if output.json:
        print_json(address)
    else:
        click.echo(address.url)
    if not is_loopback(address.host):
        click.echo(
            "warning: this page can be reached from other machines, and what it sends is not encrypted",
            err=True,
        )
    sys.stdout.flush()


async def _wait(begin: Callable[[], None], *, until_eof: bool) -> None:
    """Return when the process is to end: by a signal, or when standard input does. *begin* is called once it listens."""
    import signal

    import anyio
    from anyio import to_thread

    from batchup.ticker import end_line

    async with anyio.create_task_group() as group:

        async def eof() -> None:
            await to_thread.run_sync(sys.stdin.buffer.read, abandon_on_cancel=True)
            group.cancel_scope.cancel()

        if until_eof:
            group.start_soon(eof)
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            begin()
            async for signum in signals:
                # Ctrl-C reaches both a run and its page; the run decides when that is the end.
                if not until_eof or signum == signal.SIGTERM:
                    if signum == signal.SIGINT:
                        end_line()
                    group.cancel_scope.cancel()


@contextmanager
def shown(manifest: Path, *, wanted: bool) -> Iterator[None]:
    """Serve the page of a run in a process of its own while the block lasts, and say where it is.

    Args:
        manifest: Of the run.
        wanted: Whether to do so at all.
    """
    if not wanted:
        yield
        return
    command = [sys.executable, "-m", "batchup", "dashboard", str(manifest), "--until-eof"]
    # Of its own session: a signal to the run's group is the run's business.
    process = subprocess.Popen(  # noqa: S603 - ourselves
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        click.echo(_said(process.stdout), err=True)
        yield
    finally:
        process.stdin.close()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _said(stdout: IO[bytes]) -> str:
    """Return what to tell of the page. Waits until it is there, which takes less than a second."""
    address = escape(stdout.readline().decode().strip())
    return f"dashboard: {address}" if address else "the dashboard did not start; the run goes on without"
