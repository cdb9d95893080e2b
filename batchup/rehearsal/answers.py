"""Answers: what the platform says, and how it refuses, by the table of its errors.

Source: https://docs.fal.ai (model errors, platform errors, queue), read 2026-11.
"""

import email.utils
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

MODEL_TRANSIENT = {
    "internal_server_error": 500,
    "generation_timeout": 504,
    "downstream_service_error": 400,
    "downstream_service_unavailable": 500,
}
"""Model errors that may pass -> status."""

MODEL_FOR_GOOD = (
    "content_policy_violation",
    "no_media_generated",
    "image_too_small",
    "image_too_large",
    "image_load_error",
    "file_download_error",
    "face_detection_error",
    "file_too_large",
    "unsupported_image_format",
    "unsupported_video_format",
    "video_duration_too_long",
    "video_duration_too_short",
    "feature_not_supported",
    "greater_than",
    "less_than",
    "multiple_of",
    "one_of",
)
"""Model errors that stay, all 422."""

PLATFORM = {
    "request_timeout": 504,
    "startup_timeout": 504,
    "runner_scheduling_failure": 503,
    "runner_connection_timeout": 503,
    "runner_disconnected": 503,
    "runner_connection_refused": 503,
    "runner_connection_error": 503,
    "runner_incomplete_response": 502,
    "runner_server_error": 500,
    "internal_error": 500,
    "client_disconnected": 499,
    "client_cancelled": 499,
    "bad_request": 400,
}
"""Platform errors -> status. The last three are for good."""

INGRESS_BYTES = "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
_INGRESS_TITLES = {
    502: "502 Bad Gateway",
    503: "503 Service Temporarily Unavailable",
    504: "504 Gateway Time-out",
}


class Answer(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """One answer, whole. As a fault it takes the place of the real one.

    Attributes:
        status: HTTP status.
        body: The body, as text.
        headers: Besides the content type and length.
        media_type: Content type.
        retry_after_s: Becomes a ``Retry-After`` header when it is sent; None leaves it out.
        retry_after_form: As a number of seconds, or as an HTTP date, which has whole seconds only.
        traced: Whether it carries ``X-Fal-Request-Id``: what never reached the queue does not.
        acted: As a fault: whether the call takes effect all the same, such as a submit that is accepted and answered
            with a 500.
    """

    status: int
    body: str = ""
    headers: Mapping[str, str] = {}
    media_type: str = "application/json"
    retry_after_s: float | None = None
    retry_after_form: Literal["seconds", "date"] = "seconds"
    traced: bool = True
    acted: bool = False

    def said_at(self, at: datetime) -> "Answer":
        """Return it with the headers that it has when it is sent at that moment, by the server's clock."""
        now_s = at.timestamp()
        headers = {"Content-Type": self.media_type, "Date": _date(now_s), **self.headers}
        if self.retry_after_s is not None and self.retry_after_form == "date":
            headers["Retry-After"] = _date(now_s + self.retry_after_s)
        elif self.retry_after_s is not None:
            headers["Retry-After"] = f"{self.retry_after_s:g}"
        return msgspec.structs.replace(self, headers=headers)

    @property
    def kind(self) -> str:
        """The error's type as the body names it; empty where it names none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return ""
        if not isinstance(found, dict):
            return ""
        detail = found.get("detail")
        if isinstance(detail, list) and detail:
            return str(detail[0].get("type", ""))
        return str(found.get("error_type", ""))


def _date(seconds: float) -> str:
    """Return a moment, in seconds of Unix time, as HTTP writes it."""
    return email.utils.formatdate(seconds, usegmt=True)


def said(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Return *value* as JSON."""
    return Answer(status, json.dumps(value), headers or {})


def model_error(kind: str, message: str = "", loc: tuple[str, ...] = ("body",), **context: Any) -> Answer:
    """Return a model error of the table.

    Raises:
        KeyError: The table has no such type.
    """
    if kind not in MODEL_TRANSIENT and kind not in MODEL_FOR_GOOD:
        raise KeyError(kind)
    return invalid([fault(kind, message, loc, **context)], MODEL_TRANSIENT.get(kind, 422))


def fault(kind: str, message: str, loc: tuple[str, ...], **context: Any) -> dict[str, Any]:
    """Return one item of a model error's ``detail``."""
    found: dict[str, Any] = {
        "loc": list(loc),
        "msg": message or kind.replace("_", " ").capitalize(),
        "type": kind,
    }
    if context:
        found["ctx"] = context
    return found


def invalid(faults: list[dict[str, Any]], status: int = 422) -> Answer:
    """Return a model error of several faults; below 500 and without a transient type it is not to be tried again."""
    retryable = any(one["type"] in MODEL_TRANSIENT for one in faults)
    headers = {"X-Fal-Retryable": str(retryable).lower(), "X-Fal-Error-Type": faults[0]["type"]}
    return said({"detail": faults}, status, headers)


def platform_error(kind: str, message: str = "") -> Answer:
    """Return a platform error of the table.

    Raises:
        KeyError: The table has no such type.
    """
    text = message or kind.replace("_", " ").capitalize()
    return said({"detail": text, "error_type": kind}, PLATFORM[kind], {"X-Fal-Error-Type": kind})


def not_started() -> Answer:
    """Return what a request gets that did not start within the seconds its sender gave it."""
    late = platform_error("request_timeout", "Request timed out before it started")
    return msgspec.structs.replace(late, headers={**late.headers, "X-Fal-Request-Timeout-Type": "user"})


def too_many(retry_after_s: float | None = None, form: Literal["seconds", "date"] = "seconds") -> Answer:
    """Return a 429, with or without ``Retry-After``."""
    body = json.dumps({"detail": "Too many requests"})
    return Answer(429, body, retry_after_s=retry_after_s, retry_after_form=form)


def broken(status: int = 500, *, acted: bool = False) -> Answer:
    """Return a plain server error in JSON, of no type."""
    return Answer(status, json.dumps({"detail": "Internal Server Error"}), acted=acted)


def ingress(status: int = 502) -> Answer:
    """Return what the load balancer says where a call did not reach the queue: HTML, and no request id."""
    title = _INGRESS_TITLES.get(status, f"{status} Error")
    return Answer(status, INGRESS_BYTES.format(title), media_type="text/html", traced=False)


def locked() -> Answer:
    """Return the refusal of an account without credit."""
    reason = "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing."
    return said({"detail": reason}, 403)


def forbidden() -> Answer:
    """Return a 403 that is about one endpoint, not about the account."""
    return said({"detail": "Access to this application is not allowed"}, 403)


def wrong_key() -> Answer:
    """Return the refusal of a key that is missing or unknown."""
    return said({"detail": "Authentication is required to access this application"}, 401)


def gone() -> Answer:
    """Return what is said of a request that is unknown or has expired."""
    return said({"detail": "Request not found"}, 404)


class WorkError(Exception):
    """The work on a request failed, with what its sender is told."""

    def __init__(self, answer: Answer, *, used_gpu: bool = False) -> None:
        super().__init__(answer.kind or str(answer.status))
        self.answer = answer
        self.used_gpu = used_gpu
