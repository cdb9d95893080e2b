"""What an answer means: which error a status is, how long to wait, whether a part can be continued."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import aiohttp
import msgspec

from batchup.errors import NotSentError, RateLimitedError, RejectedError, TaskError, TransientError
from batchup.transport.addresses import PrivateAddressError

_BODY = {200, 203}
NO_REST = frozenset({206, 416})
"""Answers to a request for the rest of a file when there is no such rest, or some other."""
_GONE = {404, 410}
# RFC 9110, section 15.5.9, and RFC 8470, section 5.2: both ask for the same request again.
_AGAIN = {408, 425}
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


class Part(msgspec.Struct, frozen=True):
    """The beginning of a file that a cut download left.

    Attributes:
        url: Where it came from, as asked for.
        validator: A strong ETag or Last-Modified, by which the server knows whether the file is still the same;
            empty where there was none.
        size_bytes: How much of it lies on disk.
    """

    url: str
    validator: str = ""
    size_bytes: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """What asks for the rest, or for everything should the file have changed."""
        if not self.validator or not self.size_bytes:
            return {}
        return {"Range": f"bytes={self.size_bytes}-", "If-Range": self.validator}

    def is_continued_by(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether an answer holds the rest of this very file."""
        if status != 206:  # noqa: PLR2004 - Partial Content
            return False
        found = _RANGE.fullmatch(headers.get("Content-Range", ""))
        name = "ETag" if self.validator.startswith('"') else "Last-Modified"
        same = headers.get(name, self.validator) == self.validator
        return same and found is not None and int(found[1]) == self.size_bytes


def validator(headers: Mapping[str, str]) -> str:
    """Return what can stand in ``If-Range`` for this answer's file; empty where nothing is strong enough.

    A date is strong if the file was at least a second old when it was sent.

    Source: RFC 9110, sections 8.8.2.2 and 13.1.5.
    """
    if headers.get("Content-Encoding", "identity") != "identity":
        return ""  # a range would be one of the encoded bytes
    etag = headers.get("ETag", "")
    if etag:
        return etag if etag.startswith('"') else ""
    sent, changed = moment(headers.get("Date", "")), moment(headers.get("Last-Modified", ""))
    strong = sent is not None and changed is not None and sent - changed >= timedelta(seconds=1)
    return headers["Last-Modified"] if strong else ""


def total_bytes(headers: Mapping[str, str], start: int) -> int | None:
    """Return how large the whole file is, given an answer that begins at byte *start*; None where it is not said."""
    if headers.get("Content-Encoding", "identity") != "identity":
        return None
    found = _RANGE.fullmatch(headers.get("Content-Range", "")) if start else None
    if found and found[3] != "*":
        return int(found[3])
    length = headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None


def failure(status: int, headers: Mapping[str, str], label: str, now: datetime) -> TaskError | None:
    """Return the error that a status is; None for one that comes with the whole file.

    Args:
        status: After redirects.
        headers: Of the answer.
        label: The URL as people may see it.
        now: Against which a date in ``Retry-After`` counts where the server does not tell its own time.
    """
    if status in _BODY:
        return None
    after_s = retry_after_s(headers, now)
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        return RateLimitedError(
            f"{label}: too many requests (HTTP 429)", kind="rate_limited", retry_after_s=after_s
        )
    if status >= 500 or status in _AGAIN:  # noqa: PLR2004 - the server's own errors
        return TransientError(
            f"{label}: the server failed (HTTP {status})", kind="server_error", retry_after_s=after_s
        )
    if status in _GONE:
        return RejectedError(f"{label}: no such file (HTTP {status})", kind="url_not_found")
    return RejectedError(f"{label}: the server refused it (HTTP {status})", kind="url_refused")


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the wait that ``Retry-After`` asks for, as seconds or as a date; None where it does not."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return float(text)
    at = moment(text)
    if at is None:
        return None
    return max(0.0, (at - (moment(headers.get("Date", "")) or now)).total_seconds())


def moment(text: str) -> datetime | None:
    """Return the moment that an HTTP date means; None where the text is none."""
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


@contextmanager
def translated(label: str) -> Iterator[None]:
    """Turn what the network raises into ours. No file may be touched within: its errors would be taken for these."""
    try:
        yield
    except PrivateAddressError as error:
        raise RejectedError(f"{label}: {error}", kind="private_address") from error
    except (aiohttp.InvalidURL, UnicodeError):  # the latter for a name with an empty or too long label
        raise RejectedError(f"{label}: not a valid address", kind="url_invalid") from None
    except aiohttp.ClientHttpProxyError as error:
        raise _proxy_failure(error.status, label) from None
    except aiohttp.ClientConnectorCertificateError as error:
        msg = f"{label}: its certificate is not valid: {error.certificate_error}"
        raise RejectedError(msg, kind="certificate_invalid") from error
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        why = getattr(error, "strerror", None) or "no connection in time"
        raise NotSentError(f"{label}: could not connect: {why}", kind="not_connected") from error
    except TimeoutError as error:
        raise TransientError(f"{label}: nothing came for too long", kind="download_stalled") from error
    except (aiohttp.ClientError, OSError) as error:
        msg = f"{label}: the connection broke: {type(error).__name__}"
        raise TransientError(msg, kind="download_cut") from error


def _proxy_failure(status: int, label: str) -> TaskError:
    if status >= 500:  # noqa: PLR2004 - the server's own errors
        return TransientError(f"{label}: the proxy could not connect (HTTP {status})", kind="not_connected")
    return RejectedError(f"{label}: the proxy refused it (HTTP {status})", kind="url_refused")
