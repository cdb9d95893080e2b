"""Experience: how long a model's tasks have taken, and what they were charged, by the pixels that came out."""

from collections import deque
from collections.abc import Callable
from decimal import Decimal

REMEMBERED = 64
"""Latest tasks of each model that are remembered."""

NEIGHBOURS = 16
"""Of those, how many of the nearest in size tell about another task."""

ALIKE = 2.0
"""Up to so many times as large or small, tasks tell about each other."""

FAR = 64.0
"""Beyond so many times as large or small, how long tasks took tells nothing about each other."""

FEW = 3
"""So many of the nearest tell about another task, however far from it they are in size."""

ENOUGH = 5
"""Tasks that outweigh what was stated of a model beforehand."""

HIGH = 0.9
"""The part of those that a guess is to cover: it leans high."""


Lesson = tuple[int, float, str | None]
"""What one task took: pixels of its output, seconds from its submission to its end, and what it was charged as text."""

Figure = Callable[[Lesson], float]
"""Picks what is asked about from a lesson; 0 where it is unknown."""

KEPT = 1000
"""Guesses that are kept, until more is learned: a run asks for the same again and again."""


class Experience:
    """What is known of each model from its latest tasks, and how that applies to others.

    A guess for a larger output grows with its pixels; for a smaller one it shrinks only below half the size, and then
    to twice its share, since no work is without a beginning. Of the nearest tasks it covers nine tenths.
    """

    def __init__(self) -> None:
        self._lessons: dict[str, deque[Lesson]] = {}
        self._figures: dict[tuple[Figure, str], list[tuple[int, float]]] = {}
        self._told: dict[tuple[Figure, str, int], float | None] = {}

    def learn(self, model: str, pixels: int, seconds: float, charged_usd: str | None) -> None:
        """Take in a task that was really run, and not copied or only fetched again. Costs next to nothing.

        Args:
            model: Its name.
            pixels: Of its output, all frames together; 0 where unknown.
            seconds: From its submission to its end.
            charged_usd: As the ledger has it; None where nobody knows.
        """
        lessons = self._lessons.get(model)
        if lessons is None:
            lessons = self._lessons[model] = deque(maxlen=REMEMBERED)
        lessons.append((pixels, seconds, charged_usd))
        if self._figures:
            self._figures.clear()
            self._told.clear()

    def expected_s(self, model: str, pixels: int) -> float | None:
        """Return how many seconds a task takes from its submission on; None where nothing is known of the model.

        Args:
            model: Its name.
            pixels: Of the output, all frames together; 0 where unknown.
        """
        if pixels:
            known = self._figures_of(_seconds, model)
            # No work is without a beginning: what icons took, times a thousand, is no photo's time.
            if FAR < min((_distance(size, pixels) for size, _ in known), default=0.0) < float("inf"):
                return None
        return self._guess(_seconds, model, pixels)

    def charged_usd(self, model: str, pixels: int, stated_usd: Decimal) -> Decimal:
        """Return what a task will be charged whose price only the work tells.

        Args:
            model: Its name.
            pixels: Of the output, all frames together.
            stated_usd: What is to be expected by what is said of the model. Until :data:`ENOUGH` tasks say otherwise,
                it is no less.
        """
        guess = self._guess(_charge, model, pixels)
        if guess is None:
            return stated_usd
        usd = Decimal(repr(guess))
        return usd if len(self._figures_of(_charge, model)) >= ENOUGH else max(usd, stated_usd)

    def _guess(self, figure: Figure, model: str, pixels: int) -> float | None:
        """Return what covers :data:`HIGH` of a model's figures, scaled; kept until more is learned."""
        asked = figure, model, pixels
        if asked not in self._told:
            if len(self._told) == KEPT:
                self._told.clear()
            self._told[asked] = _covering(self._figures_of(figure, model), pixels)
        return self._told[asked]

    def _figures_of(self, figure: Figure, model: str) -> list[tuple[int, float]]:
        """Return pixels and figure of each task that has one, the latest first."""
        if (figure, model) not in self._figures:
            lessons = reversed(self._lessons.get(model, ()))
            self._figures[figure, model] = [(one[0], value) for one in lessons if (value := figure(one))]
        return self._figures[figure, model]


def _seconds(lesson: Lesson) -> float:
    return lesson[1]


def _charge(lesson: Lesson) -> float:
    return float(lesson[2] or 0)


def _covering(figures: list[tuple[int, float]], pixels: int) -> float | None:
    """Return what covers :data:`HIGH` of (pixels, figure) pairs, as they apply to an output of *pixels*."""
    if pixels:
        # The latest come first, and stay so among equals.
        figures = sorted(figures, key=lambda one: _distance(one[0], pixels))[:NEIGHBOURS]
        # An icon tells nothing about a photo, where there are photos.
        far = max(ALIKE, *(_distance(size, pixels) for size, _ in figures[:FEW]), 0)
        figures = [one for one in figures if _distance(one[0], pixels) <= far]
    scaled = sorted(value * _factor(size, pixels) for size, value in figures)
    return scaled[min(len(scaled) - 1, int(HIGH * len(scaled)))] if scaled else None


def _distance(size: int, pixels: int) -> float:
    return max(size / pixels, pixels / size) if size else float("inf")


def _factor(size: int, pixels: int) -> float:
    """Return how many times what an output of *size* took is expected of one of *pixels*."""
    if not size or not pixels:
        return 1.0
    ratio = pixels / size
    return max(ratio, min(1.0, 2 * ratio))
