"""What an answer that is no success says: the types of its errors, its words for people, whether it may pass."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

AGAIN = frozenset(
    {
        # Of models.
        "internal_server_error",
        "generation_timeout",
        "downstream_service_error",
        "downstream_service_unavailable",
        # Of the platform.
        "request_timeout",
        "startup_timeout",
        "runner_scheduling_failure",
        "runner_connection_timeout",
        "runner_disconnected",
        "runner_connection_refused",
        "runner_connection_error",
        "runner_incomplete_response",
        "runner_server_error",
        "internal_error",
    }
)
"""Types that may pass.

Source: https://fal.ai/docs/documentation/model-apis/errors and
https://fal.ai/docs/documentation/model-apis/request-errors, read 2026-11.
"""

FOR_GOOD = frozenset(
    {
        # Of models. More are validators', whose names have no end: their status tells.
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
        # Of the platform.
        "client_disconnected",
        "client_cancelled",
        "bad_request",
    }
)
"""Types that will not pass. Same source."""

LOCKED = "User is locked"

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,63}")
_YES, _NO = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no"})
_WORDS_CHARS = 300
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Complaint:
    """An error as it was told.

    Attributes:
        types: Of the errors, as the header or the body gives them.
        words: What was written for people, in one line.
        again: What the header says; None where it does not.
        of_model: Whether the body is a model's list of errors.
        locked: Whether the account is.
    """

    types: tuple[str, ...] = ()
    words: str = ""
    again: bool | None = None
    of_model: bool = False
    locked: bool = False

    @property
    def passes(self) -> bool | None:
        """Whether header or type, in this order, say that it may pass; None where neither says anything."""
        if self.again is not None:
            return self.again
        if any(name in FOR_GOOD for name in self.types):
            return False
        return True if self.types and all(name in AGAIN for name in self.types) else None

    def kind(self, usual: str) -> str:
        """Return what it is counted by: its first type, or what is *usual* without one."""
        return self.types[0].replace(".", "_").lower() if self.types else usual

    def __str__(self) -> str:
        kind = self.types[0] if self.types else ""
        if not self.words:
            return kind
        return f"{self.words} ({kind})" if kind and not self.of_model else self.words


def read(headers: Mapping[str, str], body: bytes) -> Complaint:
    """Return what an answer complains of. A proxy's page says nothing."""
    value = _parsed(body)
    detail = value.get("detail")
    errors = [error for error in detail if isinstance(error, dict)] if isinstance(detail, list) else []
    named = types([headers.get("X-Fal-Error-Type"), value.get("error_type")])[:1]
    return Complaint(
        types=named or types(error.get("type") for error in errors),
        words="; ".join(map(_line, errors[:_SHOWN])) if errors else words(detail),
        again=_again(headers),
        of_model=bool(errors),
        locked=isinstance(detail, str) and detail.startswith(LOCKED),
    )


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _again(headers: Mapping[str, str]) -> bool | None:
    for name in ("X-Fal-Retryable", "X-Fal-Needs-Retry"):
        said = headers.get(name, "").strip().lower()
        if said in _YES | _NO:
            return said in _YES
    return None


def types(found: Iterable[Any]) -> tuple[str, ...]:
    """Return those of *found* that can be an error's type."""
    return tuple(name for name in found if isinstance(name, str) and _TYPE.fullmatch(name))


def _line(error: Mapping[str, Any]) -> str:
    """Return one of a model's errors: ``image_url: could not be read (file_download_error)``."""
    loc = error.get("loc")
    where = ".".join(str(part) for part in loc if part != "body") if isinstance(loc, list) else ""
    kind = words(error.get("type"))
    return f"{words(where)}: {words(error.get('msg'))}{f' ({kind})' if kind else ''}".removeprefix(": ")


def words(text: Any) -> str:
    """Return a server's words in one line, short, and without signs that would move a terminal's cursor."""
    if not isinstance(text, str):
        return ""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= _WORDS_CHARS else f"{line[:_WORDS_CHARS]}…"
