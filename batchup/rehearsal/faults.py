"""Faults: everything that can go wrong on the way, scripted or by chance."""

import random
from typing import Literal

import msgspec

from batchup.rehearsal import answers
from batchup.rehearsal.answers import Answer

Step = Literal[
    "submit",
    "status",
    "stream",
    "result",
    "cancel",
    "run",
    "token",
    "upload",
    "multipart",
    "part",
    "complete",
    "download",
    "history",
    "billing",
    "pricing",
    "task",
]
"""A kind of call. ``task`` is no call: it is the work itself, whose failure status and result then tell."""


class Delay(msgspec.Struct, frozen=True, tag=True):
    """The call takes effect at once and is answered *seconds* later; a task takes so much longer. In seconds of the
    clock.
    """

    seconds: float


class Cut(msgspec.Struct, frozen=True, tag=True):
    """The connection is closed.

    Attributes:
        when: ``reading``: when the part *at* of the request's body has been read; nothing has happened.
            ``before``: when the request has been read; nothing has happened.
            ``after``: when the call has taken effect, with not a byte of its answer sent.
            ``during``: when its head and the part *at* of its body have been sent.
            ``closing``: when the whole answer has been sent, which did not say that the connection would end.
        at: Part of a body, 0.0 to 1.0.
        reset: By a TCP reset, not an orderly end.
    """

    when: Literal["reading", "before", "after", "during", "closing"] = "after"
    at: float = 0.5
    reset: bool = False


class Slow(msgspec.Struct, frozen=True, tag=True):
    """A body comes and goes at this rate only, in real seconds."""

    bytes_per_s: float


class Damaged(msgspec.Struct, frozen=True, tag=True):
    """A download of the right length, the second half of which is zeros."""


class Redirect(msgspec.Struct, frozen=True, tag=True):
    """The answer leads elsewhere."""

    to: str
    status: int = 307


class Elsewhere(msgspec.Struct, frozen=True, tag=True):
    """Every address in the answer is moved to this origin, such as ``http://127.0.0.1:9``."""

    origin: str


class Resized(msgspec.Struct, frozen=True, tag=True):
    """A task's output comes out with its sides multiplied by this, and is billed as it is."""

    factor: float


Fault = Answer | Delay | Cut | Slow | Damaged | Redirect | Elsewhere | Resized


class Script(msgspec.Struct, frozen=True, tag=True):
    """The fault of certain calls.

    Attributes:
        step: Of these calls,
        fault: this happens
        nth: to this one, counted from 1 among those to *endpoint*,
        times: and as many in all, one after the other; 0 is every one from there on.
        endpoint: Empty means any. CDN and storage calls belong to none.
    """

    step: Step
    fault: Fault
    nth: int = 1
    times: int = 1
    endpoint: str = ""


class Chance(msgspec.Struct, frozen=True, tag=True):
    """A fault that each call of a step meets with a probability of 0.0 to 1.0."""

    step: Step
    fault: Fault
    probability: float
    endpoint: str = ""


class Faults(msgspec.Struct, frozen=True):
    """All of them. Of several that meet one call the first script counts, then the first chance."""

    script: tuple[Script, ...] = ()
    chances: tuple[Chance, ...] = ()


def rough(probability: float) -> Faults:
    """Return a rough night: each call meets some passing fault with about this probability."""
    passing: list[tuple[Step, Fault]] = [
        (step, fault)
        for step in ("submit", "status", "result", "token", "upload", "download")
        for fault in (
            answers.ingress(502),
            answers.broken(503),
            answers.too_many(0),
            Cut("reading"),
            Cut("after"),
            Cut("during"),
        )
    ]
    passing += [("task", answers.model_error("internal_server_error")), ("task", Delay(0.05))]
    counts = {step: sum(1 for one, _ in passing if one == step) for step, _ in passing}
    return Faults(chances=tuple(Chance(step, fault, probability / counts[step]) for step, fault in passing))


class Dice:
    """Says which fault a call meets. Of the same seed and order of calls, the same ones."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self._seed = seed
        self._chances = faults.chances
        self._scripts: list[tuple[Script, list[int]]] = []
        self._counts: dict[str, int] = {}
        for script in faults.script:
            self.add(script)

    def add(self, script: Script) -> None:
        """Take one more script, which counts from now."""
        self._scripts.append((script, [0]))

    def throw(self, step: Step, endpoint: str = "") -> Fault | None:
        """Return what happens to the call of *step* that has just come in."""
        count = self._counts[step] = self._counts.get(step, 0) + 1
        due = [script.fault for script, seen in self._scripts if _is_due(script, seen, step, endpoint)]
        if due:
            return due[0]
        # A generator of its own for every call: other steps do not shift what this one meets.
        dice = random.Random(f"{self._seed}/{step}/{count}")  # noqa: S311 - faults, not secrets
        for chance in self._chances:
            if (
                chance.step == step
                and chance.endpoint in {"", endpoint}
                and dice.random() < chance.probability
            ):
                return chance.fault
        return None


def _is_due(script: Script, seen: list[int], step: Step, endpoint: str) -> bool:
    if script.step != step or script.endpoint not in {"", endpoint}:
        return False
    seen[0] += 1
    return seen[0] >= script.nth and (not script.times or seen[0] < script.nth + script.times)
