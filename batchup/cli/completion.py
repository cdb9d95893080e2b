"""`batchup completion`: what a shell needs to complete commands, options and names of files."""

import click
from click.shell_completion import get_completion_class

from batchup.cli import cli, print_json
from batchup.cli.options import Output, common

SHELLS = ("bash", "zsh", "fish")

VARIABLE = "_BATCHUP_COMPLETE"
"""By which click is asked for completions; it derives the name from the program's."""


@click.command(
    short_help="Print what a shell needs to complete commands.",
    epilog="Example:  batchup completion bash >> ~/.bashrc",
)
@click.argument("shell", type=click.Choice(SHELLS))
@common
def completion(shell: str, *, output: Output) -> int:
    """Print the script that teaches SHELL to complete batchup's commands, options and files.

    To have it in every new shell:

    \b
    bash   batchup completion bash >> ~/.bashrc
    zsh    batchup completion zsh >> ~/.zshrc
    fish   batchup completion fish > ~/.config/fish/completions/batchup.fish
    """  # noqa: D301 - a backspace is how click is told to keep lines
    kind = get_completion_class(shell)
    assert kind is not None, shell
    script = kind(cli, {}, "batchup", VARIABLE).source()
    if output.json:
        print_json({"shell": shell, "script": script})
    else:
        click.echo(script)
    return 0
