"""Records the terminal session of the README, from a real run: ``python .github/record.py .github/session.svg``.

A shell runs in a pseudo-terminal, in a home folder of its own that holds the demo. The commands and Ctrl-C are typed
into it, a terminal emulator reads what comes back, and three moments of its screen become one picture.
"""  # noqa: INP001 - a script, no package

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from html import escape
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pyte

ROOT = Path(__file__).parent.parent
COLUMNS, ROWS = 100, 28
WAIT_S = 120.0
STOP_AT = 33
"""Percent of the demo at which Ctrl-C is typed."""
PROMPT = "$"
RUN = "batchup run jobs/demo.yaml"
STATUS = "batchup status jobs/demo.yaml"

CELL_W, CELL_H, FONT_PX = 8.4, 19, 14
PAD, BAR_H, GAP = 20, 36, 12
STYLE = """
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; white-space: pre }
.frame { fill: #fff; stroke: #d0d7de } .rule { stroke: #d8dee4 } .text { fill: #24292f } .dim { fill: #656d76 }
.dot { fill: #d0d7de } .green { fill: #1a7f37 } .typed { fill: #0550ae; font-weight: 600 }
@media (prefers-color-scheme: dark) {
.frame { fill: #0d1117; stroke: #3d444d } .rule { stroke: #2a313c } .text { fill: #e6edf3 } .dim { fill: #9198a1 }
.dot { fill: #3d444d } .green { fill: #3fb950 } .typed { fill: #79c0ff }
}
"""

Cell = tuple[str, str]
"""A character and its class in :data:`STYLE`."""


class Moment(NamedTuple):
    """What stood on the screen, row by row, under a heading."""

    heading: str
    rows: list[list[Cell]]


class Shell:
    """A shell in a pseudo-terminal, with an emulator that shows what a person would see."""

    def __init__(self, home: Path) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._process, self._terminal = pty.fork()
        if not self._process:
            os.chdir(home)
            if hasattr(os, "sched_setaffinity"):
                # Two cores, so that there is a half-way to see on any machine.
                os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
            environment = {
                "HOME": str(home),
                "PATH": path,
                "PS1": f"{PROMPT} ",
                "TERM": "xterm",
                "LANG": "C.UTF-8",
            }
            os.execvpe("sh", ["sh", "-i"], environment)  # noqa: S606, S607 - the user's own shell is what is shown
        termios.tcsetwinsize(self._terminal, (ROWS, COLUMNS))
        self.follow(self.prompts)

    def close(self) -> None:
        """Leave the shell."""
        self.type("exit\n")
        os.waitpid(self._process, 0)
        os.close(self._terminal)

    def run(self, command: str) -> None:
        """Type a command and wait for its end."""
        self.type(f"{command}\n")
        self.follow(self.prompts)

    def type(self, keys: str) -> None:
        """Type something."""
        os.write(self._terminal, keys.encode())

    def follow(self, until: Callable[[list[str]], object]) -> None:
        """Let the screen go on until it shows something.

        Raises:
            TimeoutError: It does not come.
        """
        end_s = time.monotonic() + WAIT_S
        seen = False
        while not seen:
            if not select.select([self._terminal], [], [], max(0.0, end_s - time.monotonic()))[0]:
                raise TimeoutError("\n".join(self._lines()))
            self._stream.feed(os.read(self._terminal, 65536))
            seen = bool(until(self._lines()))

    def rows(self) -> list[list[Cell]]:
        """Return what stands on the screen, but for the prompt that waits for a command."""
        shown = self._lines()
        if self.prompts(shown):
            shown = shown[:-1]
        return [self._row(row, line) for row, line in enumerate(shown)]

    def _row(self, row: int, line: str) -> list[Cell]:
        if line.startswith(f"{PROMPT} "):
            return [(c, "typed" if n else "dim") for n, c in enumerate(line)]
        cells = self._screen.buffer[row]
        return [(c, "green" if cells[n].fg == "green" else "text") for n, c in enumerate(line)]

    def _lines(self) -> list[str]:
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip("\n").split("\n")

    @staticmethod
    def prompts(lines: list[str]) -> bool:
        """Return whether the shell waits for a command."""
        return lines[-1] == PROMPT


def main(picture: Path) -> None:
    """Record the session into *picture*."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        _lay_out(home)
        drawn = "\n".join(_svg(list(_moments(home)))) + "\n"
    picture.write_text(drawn, encoding="utf-8")
    sys.stdout.write(f"{picture}: {len(drawn.encode()):,} bytes\n")


def _lay_out(home: Path) -> None:
    """Put the demo's manifest and its pictures into *home*, with those that were made before if they are there."""
    (home / "jobs").mkdir()
    shutil.copy(ROOT / "jobs/demo.yaml", home / "jobs")
    made = ROOT / "demo/photos"
    if made.is_dir():
        shutil.copytree(made, home / "demo/photos")
    command = [sys.executable, ROOT / "jobs/samples.py", home / "demo/photos"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own script


def _moments(home: Path) -> Iterator[Moment]:
    shell = Shell(home)
    shell.type(f"{RUN}\n")
    shell.follow(_far_enough)
    yield Moment("while it runs", shell.rows())
    shell.type("\x03")
    shell.follow(shell.prompts)
    yield Moment("after Ctrl-C", shell.rows())
    shell.close()
    shell = Shell(home)
    shell.run(RUN)
    shell.run(STATUS)
    yield Moment("the same command again goes on where it was", shell.rows())
    shell.close()


def _far_enough(lines: list[str]) -> bool:
    percent = re.search(r" (\d+)% \|.* left$", lines[-1])
    return bool(percent) and int(percent[1]) >= STOP_AT


def _svg(moments: list[Moment]) -> Iterator[str]:
    """Yield the lines of the picture: a window, and the moments in it one below the other."""
    columns = max(len(row) for moment in moments for row in moment.rows)
    width = round(columns * CELL_W) + 2 * PAD
    height = BAR_H + sum(2 * GAP + CELL_H * len(moment.rows) for moment in moments)
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    yield "<title>A run of batchup in a terminal, stopped by Ctrl-C and gone on with</title>"
    yield f"<style>{STYLE}</style>"
    yield f'<rect class="frame" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="10"/>'
    yield from (f'<circle class="dot" cx="{PAD + 5 + 19 * n}" cy="{BAR_H / 2 + 2}" r="6"/>' for n in range(3))
    y = BAR_H
    for moment in moments:
        yield f'<path class="rule" d="M1 {y}.5H{width - 1}"/>'
        y += GAP
        # Behind the prompt's line, at the edge: it is not taken for something that the terminal shows.
        yield _text(width - PAD - CELL_W * len(moment.heading), y, moment.heading, "dim")
        for row in moment.rows:
            yield from _runs(row, y)
            y += CELL_H
        y += GAP
    yield "</svg>"


def _runs(row: list[Cell], y: float) -> Iterator[str]:
    """Yield one text for each run of a class. Its length is told, so that any font keeps the columns."""
    column = 0
    for kind, cells in groupby(row, key=lambda cell: cell[1]):
        text = "".join(character for character, _ in cells)
        blank = len(text) - len(text.lstrip())
        if text.strip():
            yield _text(PAD + CELL_W * (column + blank), y, text.strip(), kind)
        column += len(text)


def _text(x: float, y: float, text: str, kind: str) -> str:
    length = f'textLength="{len(text) * CELL_W:.1f}" lengthAdjust="spacingAndGlyphs"'
    return f'<text class="{kind}" x="{x:.1f}" y="{y + FONT_PX}" xml:space="preserve" {length}>{escape(text)}</text>'


if __name__ == "__main__":
    main(Path(sys.argv[1]))
