"""What an answer of fal means for a task: the platform's error table as code, decided once.

First what the header says, then the type of the error, then the status; never the words of a message, but for one: a
403 whose detail begins ``User is locked`` is the account's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Literal

import msgspec

from batchup.errors import (
    AnswerLostError,
    BatchupError,
    FatalError,
    GoneError,
    RateLimitedError,
    RejectedError,
    RunFailedError,
    SubmissionUnknown,
    TransientError,
)
from batchup.providers.fal import complaint
from batchup.providers.fal.complaint import Complaint
from batchup.transport.answers import retry_after_s

Step = Literal["submit", "run", "status", "result", "cancel", "token", "upload", "platform"]
"""What was asked for: ``run`` is a synchronous call, ``token`` one for storage, ``platform`` history, bills, prices."""

_PAID = frozenset({"submit", "run"})
_OF_A_REQUEST = frozenset({"status", "result"})
# RFC 9110, section 15.5.9, and RFC 8470, section 5.2: both ask for the same request again.
_ASK_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})
_REFUSED: dict[int, str] = {
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "file_too_large",
}


_REJECTED = HTTPStatus.UNPROCESSABLE_ENTITY
"""What was found to be wrong while a GPU was running may be billed, and is answered so."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. The key is not in it, even where the server said it.

    Attributes:
        status: Of HTTP.
        headers: Their names in any case.
        body: Decompressed.
        label: What was asked for, as people may see it: ``GET https://…``.
        at: When it came; aware.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    label: str = "fal"
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def json(self) -> Any:
        """Return the body's value.

        Raises:
            AnswerLostError: It is no JSON (``answer_unreadable``): what it should have said is not known.
        """
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            why = f"{self.label}: answered with no JSON (HTTP {self.status}): {error}"
        raise AnswerLostError(why, kind="answer_unreadable")


def failure(step: Step, answer: Answer) -> BatchupError | None:
    """Return the error that *answer* is at *step*; None for a success, and for a cancel's 400 and 404.

    A submit or synchronous call that a server's error answers is sent again where header or type say that it failed,
    and where nothing of it shows that it reached the queue. With a request id but no word on what became of it, it
    is unknown.

    At ``status`` and ``result`` a server's error (5xx) is a failed look, whatever it says: whether the request failed
    is for its status to say, see :func:`failed_request`.

    Returns:
        TransientError: Ask again. At a paid step: submit again.
        RateLimitedError: Wait, then ask again.
        RunFailedError: A synchronous call that ran and failed.
        RejectedError: Give up. At ``platform`` it means only that it cannot be asked.
        GoneError: There is no such request, or no longer.
        SubmissionUnknown: It may have been accepted.
        FatalError: The key or the account is of no use.
    """
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return None
    if step == "cancel" and answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}:
        return None
    found = complaint.read(answer.headers, answer.body)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        message = _message(answer, found, "too many requests")
        return RateLimitedError(message, kind="rate_limited", retry_after_s=_after_s(answer))
    if step == "platform":
        return _no_history(answer, found)
    if answer.status < HTTPStatus.BAD_REQUEST:
        return _redirected(answer, step)
    of_step = _of_look if step in _OF_A_REQUEST else _of_step
    return _of_account(answer, found, step) or of_step(answer, found, step)


def failed_request(
    status: Mapping[str, Any], answer: Answer | None = None
) -> RunFailedError | RejectedError | None:
    """Return the error of a request whose status is ``COMPLETED`` with an error; None where it holds none.

    Args:
        status: The status as it was answered.
        answer: The answer to its result, where it was asked for: its headers and details say more.
    """
    words, types = complaint.words(status.get("error")), complaint.types([status.get("error_type")])
    if not status.get("error") and not types:
        return None
    told, passes = Complaint(types, words), None
    if answer is not None and answer.status >= HTTPStatus.BAD_REQUEST:
        seen = complaint.read(answer.headers, answer.body)
        told = Complaint(seen.types or types, seen.words or words, seen.again, seen.of_model)
        passes = _status_passes(answer.status)
        if _started_too_late(answer):
            told, passes = Complaint(told.types, told.words, again=False), False
    passes = passes if told.passes is None else told.passes
    message, kind = f"fal ran it and failed: {told}".removesuffix(": "), told.kind("request_failed")
    if passes:
        return RunFailedError(message, kind=kind)
    return RejectedError(message, kind=kind, may_cost=answer is None or answer.status == _REJECTED)


def _of_account(answer: Answer, found: Complaint, step: Step) -> FatalError | None:
    if step == "upload":  # the CDN knows no key, only a token
        return None
    if answer.status == HTTPStatus.UNAUTHORIZED:
        msg = (
            f"{answer.label}: fal does not accept the key (HTTP 401). Check FAL_KEY, or FAL_KEY_ID and"
            " FAL_KEY_SECRET: https://fal.ai/dashboard/keys"
        )
        return FatalError(msg, stopped="account")
    if answer.status == HTTPStatus.FORBIDDEN and found.locked:
        msg = (
            f"fal has locked the account: {found.words.rstrip('.')}. Top up at https://fal.ai/dashboard/billing, then"
            " run again"
        )
        return FatalError(msg, stopped="account")
    return None


def _of_step(answer: Answer, found: Complaint, step: Step) -> BatchupError:
    """Return the error of a call that starts something: it failed, was refused, or nobody knows."""
    if _started_too_late(answer):
        message = _message(answer, found, "it did not start in time")
        return RejectedError(message, kind=found.kind("request_timeout"))
    passes = found.passes
    if passes is None and step in _PAID and _reached_queue(answer):
        message = _message(answer, found, "the server failed, and may have accepted it")
        return SubmissionUnknown(message, kind=found.kind("server_error"))
    if not (_status_passes(answer.status) if passes is None else passes):
        return _rejected(answer, found, step)
    error = RunFailedError if step == "run" and passes else TransientError
    message = _message(answer, found, "the server failed")
    return error(message, kind=found.kind("server_error"), retry_after_s=_after_s(answer))


def _of_look(answer: Answer, found: Complaint, step: Step) -> BatchupError:
    """Return the error of a call that looks at a request: nothing about the request itself, if there is a doubt."""
    after_s = _after_s(answer)
    if answer.status == HTTPStatus.NOT_FOUND:
        return GoneError(_message(answer, found, "unknown or expired"), kind="request_gone")
    if _status_passes(answer.status):
        message = _message(answer, found, "the server failed")
        return TransientError(message, kind=found.kind("server_error"), retry_after_s=after_s)
    # A result that is not there yet is a 400, too; a failure's own is a model's, or says whether it may pass.
    if step == "result" and answer.status == HTTPStatus.BAD_REQUEST and _says_nothing(found):
        return TransientError(_message(answer, found, "not ready"), kind="in_progress", retry_after_s=after_s)
    if found.passes:
        message = _message(answer, found, "it failed")
        return TransientError(message, kind=found.kind("failed"), retry_after_s=after_s)
    return _rejected(answer, found, step)


def _says_nothing(found: Complaint) -> bool:
    return found.again is None and not found.of_model and set(found.types) <= {"bad_request"}


def _no_history(answer: Answer, found: Complaint) -> TransientError | RejectedError:
    """Return the error of the platform API, which never says anything about a task or the account."""
    message = _message(answer, found, "cannot be asked")
    if _status_passes(answer.status):
        return TransientError(message, kind="platform_unavailable", retry_after_s=_after_s(answer))
    return RejectedError(message, kind="platform_unavailable")


def _redirected(answer: Answer, step: Step) -> TransientError | RejectedError:
    msg = (
        f"{answer.label}: answered with a redirect (HTTP {answer.status}), which is not followed with the key"
    )
    # A network that wants its guests to sign in redirects, too: what was paid is not given up for that.
    error = RejectedError if step in _PAID else TransientError
    return error(msg, kind="redirected")


def _rejected(answer: Answer, found: Complaint, step: Step) -> RejectedError:
    usual = _REFUSED.get(answer.status, "refused")
    may_cost = step != "submit" and answer.status == _REJECTED
    return RejectedError(_message(answer, found, "refused"), kind=found.kind(usual), may_cost=may_cost)


def _reached_queue(answer: Answer) -> bool:
    return _server_failed(answer.status) and "X-Fal-Request-Id" in answer.headers


def _server_failed(status: int) -> bool:
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _status_passes(status: int) -> bool:
    return _server_failed(status) or status in _ASK_AGAIN


def _started_too_late(answer: Answer) -> bool:
    """Return whether the request waited longer for its start than its user allowed."""
    told = answer.headers.get("X-Fal-Request-Timeout-Type", "").lower()
    return answer.status == HTTPStatus.GATEWAY_TIMEOUT and told == "user"


def _after_s(answer: Answer) -> float | None:
    return retry_after_s(answer.headers, answer.at)


def _message(answer: Answer, found: Complaint, what: str) -> str:
    return f"{answer.label}: {what} (HTTP {answer.status}): {found}".removesuffix(": ")
