"""A run in numbers at one moment, and how fast it goes on: what a bar and a log line say."""

from collections import deque
from dataclasses import dataclass
from decimal import Decimal

from batchup.manifest.quantities import format_guess
from batchup.terminal import display_width, shorten

NAME_COLUMNS = 12
BAR_COLUMNS = 8
"""A shorter bar says nothing; words go first."""


WINDOW_S = 30.0
WINDOW_TASKS = 10
"""How fast work goes on is told by the last so many seconds or so many tasks, whichever is longer."""


class Pace:
    """How fast work goes on."""

    def __init__(self, at_s: float) -> None:
        self.per_s: float | None = None
        self._seen = deque([(at_s, 0.0)], maxlen=1000)
        self._measured_s = at_s

    def measure(self, at_s: float, work: float) -> None:
        """Take in that *work* tasks, counting parts, are done; once a second, for a number that is to be read."""
        if at_s - self._measured_s < 1:
            return
        self._measured_s = at_s
        seen = self._seen
        while len(seen) > 1 and self._covered(seen[1], at_s, work):
            seen.popleft()
        began_s, before = seen[0]
        self.per_s = (work - before) / (at_s - began_s) if work > before else None
        if work != seen[-1][1]:
            seen.append((at_s, work))

    def _covered(self, sample: tuple[float, float], at_s: float, work: float) -> bool:
        return at_s - sample[0] >= WINDOW_S and work - sample[1] >= WINDOW_TASKS


@dataclass(frozen=True, slots=True)
class Figures:
    """A moment of a run.

    Attributes:
        job: Escaped.
        done: Of the job's tasks, also by earlier runs; likewise *failed*.
        part: Of the job that needs no more work, 0.0 to 1.0, with parts of what is in flight.
        per_s: Tasks a second, None while unknown.
        left_s: Seconds to the end of the run, None while unknown.
        waited_s: Seconds since the run was asked to end; None where it was not.
        spent_usd: Charged and reserved so far.
        budget_usd: The cap; None where there is none.
        why: What nothing is begun for; empty where something is. Escaped.
    """

    job: str
    total: int
    done: int
    failed: int
    in_flight: int
    part: float
    per_s: float | None = None
    left_s: float | None = None
    waited_s: float | None = None
    spent_usd: Decimal = Decimal(0)
    budget_usd: Decimal | None = None
    why: str = ""

    def sides(self, columns: int) -> tuple[str, str]:
        """Return what stands left and right of the bar.

        Numbers are padded so that the bar keeps its place. Where *columns* are few, the least useful is left out.
        """
        total = f"{self.total:,}"
        words = {
            "name": shorten(self.job, NAME_COLUMNS),
            "part": self._percent(),
            "done": f"{self.done:>{len(total)},}/{total}",
            "failed": f"{self.failed:,} failed",
            "in flight": f"{self.in_flight} in flight",
            "rate": f"{self._rate():>7}",
            "left": f"{self._left():>11}",
            "spent": self._spent(),
        }
        words = {word: text for word, text in words.items() if text}
        if self.why:
            for word in ("rate", "left"):
                del words[word]
        for word in ("name", "rate", "in flight", "left", "failed", "spent"):
            if columns >= _needed(words) + (display_width(self.why) + 2 if self.why else 0):
                break
            words.pop(word, None)
        if self.why:
            words["why"] = shorten(self.why, max(0, columns - _needed(words) - 2))
        left = [words.pop(word) for word in ("name", "part") if word in words]
        return "  ".join(left), "  ".join(words.values())

    def line(self) -> str:
        """Return the whole as a line of a log."""
        words = [
            f"{self.job}: {self._percent().strip()}",
            f"{self.done:,} of {self.total:,} done",
            f"{self.failed:,} failed",
            f"{self.in_flight} in flight",
            *([self.why] if self.why else [self._rate(), self._left()]),
            self._spent(),
        ]
        return ", ".join(filter(None, words))

    def _spent(self) -> str:
        if not self.spent_usd and self.budget_usd is None:
            return ""
        spent = f"{self.spent_usd:.2f}"
        return f"{spent} USD" if self.budget_usd is None else f"{spent}/{self.budget_usd:.2f} USD"

    def _percent(self) -> str:
        return f"{int(self.part * 100):3}%"

    def _rate(self) -> str:
        if not self.per_s or self.waited_s is not None:
            return ""
        rates = (("s", self.per_s), ("min", self.per_s * 60), ("h", self.per_s * 3600))
        unit, rate = next((rate for rate in rates if rate[1] >= 1), rates[-1])
        return f"{rate:,.0f}/{unit}" if rate >= 10 else f"{rate:.1f}/{unit}"  # noqa: PLR2004 - two digits tell enough

    def _left(self) -> str:
        if self.waited_s is not None:
            return f"waited {format_guess(self.waited_s)}"
        return "" if self.left_s is None else f"{format_guess(self.left_s)} left"


def _needed(words: dict[str, str]) -> int:
    """Return how many columns a bar takes with these words beside it."""
    return BAR_COLUMNS + sum(display_width(text) + 2 for text in words.values())
