"""The server as a process of its own: ``python -m batchup.rehearsal``."""

import json
import signal
from pathlib import Path

import anyio
import click
import msgspec

from batchup.rehearsal.faults import rough
from batchup.rehearsal.server import open_fal
from batchup.rehearsal.settings import Settings


@click.command()
@click.option("--port", default=0, show_default=True, help="First of five ports in a row; 0 takes free ones.")
@click.option("--settings", "text", default="{}", metavar="JSON", help="Settings, or @FILE that holds them.")
@click.option("--rough", "probability", default=0.0, help="Probability that a call meets a passing fault.")
def main(port: int, text: str, probability: float) -> None:
    """Run a fal of our own on this machine until it is interrupted.

    One line of JSON on standard output says when it is ready, and the environment with which to use it.

    Example: python -m batchup.rehearsal --settings '{"task_s": 0.2, "outputs": "blank"}'
    """
    try:
        content = Path(text[1:]).read_text() if text.startswith("@") else text
        settings = msgspec.json.decode(content, type=Settings)
    except (msgspec.ValidationError, msgspec.DecodeError, OSError) as error:
        raise click.BadParameter(str(error), param_hint="--settings") from error
    if probability:
        settings = msgspec.structs.replace(settings, faults=rough(probability))
    try:
        anyio.run(_serve, settings, port)
    except OSError as error:
        raise click.ClickException(f"cannot listen on port {port}: {error.strerror}") from error


async def _serve(settings: Settings, port: int) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with open_fal(settings, port=port) as fal:
            ready = {
                "ready": True,
                "environment": fal.environment(),
                "cdn_url": fal.addresses["cdn"],
                "state_url": f"{fal.addresses['api']}/_rehearsal/state",
            }
            click.echo(json.dumps(ready))
            async for _ in signals:
                return


if __name__ == "__main__":
    main()
