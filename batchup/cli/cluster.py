"""`batchup cluster`: how workers on other machines are started, and a cluster on this one to try it."""

import errno
import shlex
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from batchup.cli import EXIT_FAILED, print_json
from batchup.cli.options import Output, common
from batchup.cluster.address import check_address
from batchup.cluster.commands import TLS, Layout
from batchup.terminal import program


@click.command(
    short_help="Start workers on other machines, which a run then has do its work.",
    epilog="Example:  batchup cluster --local 2",
)
@click.option("--host", metavar="NAME", help="Where the scheduler runs; by default this machine.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8786,
    metavar="PORT",
    show_default=True,
    help="Of the scheduler.",
)
@click.option(
    "--slots",
    type=click.IntRange(1),
    default=4,
    metavar="N",
    show_default=True,
    help="Tasks at a time on a worker.",
)
@click.option(
    "--gpus", type=click.IntRange(0), default=0, metavar="N", help="Tasks at a time on a worker's GPUs."
)
@click.option(
    "--tls",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Encrypt, with the certificates in DIR, and admit nobody without them.",
)
@click.option(
    "--local", type=click.IntRange(1, 64), metavar="N", help="Start a scheduler and N workers here, now."
)
@common
def cluster(
    *,
    host: str | None,
    port: int,
    slots: int,
    gpus: int,
    tls: Path | None,
    local: int | None,
    output: Output,
) -> int:
    """Print the commands that start a scheduler and a worker, each to be typed on its machine.

    Then `batchup run --cluster ADDRESS MANIFEST` has the workers do its work. Ledger, limits and budget stay with the
    run. All machines need the same batchup; for fal's models each worker needs FAL_KEY in its own environment. Whoever
    reaches a scheduler without --tls can run programs on its workers: only within a network that you trust.
    """
    tls = tls.expanduser().absolute() if tls else None
    layout = Layout(host or ("127.0.0.1" if local else socket.gethostname()), port, slots, gpus, tls)
    if local:
        return _try_out(layout, local, output)
    if output.json:
        print_json(
            {
                "address": layout.address,
                "certificates": layout.certify(),
                "scheduler": layout.scheduler(),
                "worker": layout.worker(),
                "environment": _environment(layout),
            }
        )
    else:
        click.echo("\n".join(_lines(layout)))
    return 0


def _lines(layout: Layout) -> Iterator[str]:
    if layout.certificates:
        yield "# once, then copy the folder to every machine; whoever has it belongs to the cluster"
        yield from map(shlex.join, layout.certify())
        yield ""
    yield "# on every machine, once: pip install 'batchup[cluster]'"
    yield ""
    yield "# on one machine: the scheduler"
    yield shlex.join(layout.scheduler())
    yield ""
    yield "# on each machine that is to work: a worker (with FAL_KEY in its environment, for fal's models)"
    yield shlex.join(layout.worker())
    yield ""
    yield "# where the manifest is"
    yield from (f"export {name}={shlex.quote(value)}" for name, value in _environment(layout).items())
    yield f"batchup run --cluster {layout.address} MANIFEST"


def _environment(layout: Layout) -> dict[str, str]:
    return {TLS: str(layout.certificates)} if layout.certificates else {}


def _try_out(layout: Layout, workers: int, output: Output) -> int:
    from batchup.cluster.local import open_local
    from batchup.ticker import end_line

    check_address(layout.address)
    why = _hindrance(layout)
    if why:
        click.echo(why, err=True)
        return EXIT_FAILED
    try:
        with _ended_by_signals(), open_local(layout, workers):
            if output.json:
                print_json({"address": layout.address, "environment": _environment(layout)})
            else:
                given = "".join(
                    f"{name}={shlex.quote(value)} " for name, value in _environment(layout).items()
                )
                ready = "1 worker is ready" if workers == 1 else f"{workers} workers are ready"
                click.echo(f"{ready}. In another terminal, or job:")
                click.echo(f"  {given}{program()} run --cluster {layout.address} MANIFEST")
                click.echo("Ctrl-C ends them.")
            threading.Event().wait()
    except KeyboardInterrupt:
        end_line()
        return 0
    except ChildProcessError as error:
        click.echo(f"the cluster could not be started: {error}", err=True)
        return EXIT_FAILED
    return 0


def _hindrance(layout: Layout) -> str:
    """Return why the cluster cannot be started, with what to do about it; empty if it can be tried."""
    if layout.certificates and not (layout.certificates / "ca.pem").is_file():
        commands = "\n".join(f"  {shlex.join(command)}" for command in layout.certify())
        return f"there are no certificates in {layout.certificates}; make them:\n{commands}"
    if not _is_free(layout):
        return f"port {layout.port} is taken on {layout.host}; choose another: --port N"
    return ""


def _is_free(layout: Layout) -> bool:
    with socket.socket() as probe:
        # As the scheduler binds it: one that has just ended does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((layout.host, layout.port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the block as Ctrl-C does: the processes it started would be left over."""

    def end(_signum: int, _frame: object) -> None:
        raise KeyboardInterrupt

    known = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # What the caller has turned off stays off: nohup.
    before = {one: old for one in known if (old := signal.getsignal(one)) is not signal.SIG_IGN}
    for one in before:
        signal.signal(one, end)
    try:
        yield
    finally:
        for one, old in before.items():
            signal.signal(one, old)
