"""Caution: what a model of another package raises while it is asked is told in a line, not as a traceback."""

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from batchup.errors import BatchupError, RejectedError
from batchup.models.base import LocalModel, PricedModel

P = ParamSpec("P")
R = TypeVar("R")

KIND = "model_error"
_LONGEST = 200


def cautious(model: Any, origin: object) -> Any:
    """Return *model* with every question that it answers by code of its own asked with caution.

    Args:
        model: A LocalModel or a PricedModel.
        origin: Where it comes from, as a person is told.
    """

    def ask(question: str, answer: Callable[P, R]) -> Callable[P, R]:
        @wraps(answer)
        def asked(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return answer(*args, **kwargs)
            except BatchupError:
                raise
            # Another package's code raises whatever it likes; it stays the cause.
            except Exception as error:
                message = f"{origin}: {model.name} cannot tell {question}: {told(error)}"
                raise RejectedError(message, kind=KIND) from error

        return asked

    wary = replace(
        model,
        size_of=ask("what size comes out", model.size_of),
        ext_of=ask("which format comes out", model.ext_of),
        refusal=ask("whether it takes an input", model.refusal),
    )
    if isinstance(wary, LocalModel):
        return replace(wary, memory_bytes=ask("how much memory it needs", wary.memory_bytes))
    if isinstance(wary, PricedModel) and wary.quantity is not None:
        return replace(wary, quantity=ask("what it costs", wary.quantity))
    return wary


def told(error: BaseException) -> str:
    """Return an exception on one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
