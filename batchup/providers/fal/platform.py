"""The platform API: the request history, what was charged, today's prices. It may fail to answer; nothing stops for it."""

from collections import Counter
from collections.abc import AsyncIterator, Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlencode

import anyio
import msgspec

from batchup.clock import Clock
from batchup.errors import BatchupError, RateLimitedError
from batchup.providers.fal.answers import failure
from batchup.providers.fal.api import Api
from batchup.providers.fal.fingerprint import fingerprint

SKEW = timedelta(minutes=5)
"""Clocks may differ by so much."""

DELAY = timedelta(minutes=3)
"""A submission may have been on its way for so long: longer than anybody waits for its answer."""

PAGE = "100"
"""Requests on a page of the history: the most there may be.

Source: https://fal.ai/docs/platform-apis/v1/models/requests/by-endpoint, read 2026-11.
"""

IDS_AT_ONCE = 50
EVENTS_PAGE = "1000"
LONGEST = timedelta(days=89)
"""Billing events are asked for in spans of less than 90 days, the most there may be.

Source: https://fal.ai/docs/platform-apis/v1/models/billing-events, read 2026-11.
"""

PATIENCE = 5
"""So often in a row a 429 is waited out."""

REST_S, MOST_REST_S = 2.0, 60.0

T = TypeVar("T")


class PlatformUnavailable(BatchupError):  # noqa: N818 - a state of the platform rather than an error of ours
    """The platform API cannot be asked, now or with this key: as if there were no history, no bill, no prices."""


class Past(msgspec.Struct, frozen=True):
    """A request as the history knows it.

    Attributes:
        sent_at: By the platform's clock, like the other two; None where it has not come to that.
        json_input: What was sent; None where it was not kept, or not asked for. Likewise *json_output*.
    """

    request_id: str
    endpoint_id: str = ""
    sent_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    json_input: Any = None
    json_output: Any = None

    @property
    def at(self) -> datetime | None:
        """The earliest moment that is known of it, aware."""
        at = self.sent_at or self.started_at or self.ended_at
        return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


class _Listing(msgspec.Struct, frozen=True):
    has_more: bool = False
    next_cursor: str | None = None


class _History(_Listing, frozen=True):
    items: tuple[Past, ...] = ()


class _Event(msgspec.Struct, frozen=True):
    request_id: str = ""
    cost_total: Decimal | None = None


class _Bill(_Listing, frozen=True):
    billing_events: tuple[_Event, ...] = ()


class _Price(msgspec.Struct, frozen=True):
    endpoint_id: str = ""
    unit_price: Decimal | None = None
    currency: str = "USD"


class _Prices(msgspec.Struct, frozen=True):
    prices: tuple[_Price, ...] = ()


L = TypeVar("L", bound=_Listing)


@dataclass(frozen=True, slots=True)
class _Scan:
    """The history of an endpoint from *start*, as it was no earlier than *begun_s*; or why it could not be read."""

    begun_s: float
    start: datetime
    found: Mapping[str, list[tuple[str, datetime | None]]]
    error: PlatformUnavailable | None = None


class Platform:
    """Asks the platform API. Every method raises PlatformUnavailable where it gives no answer that can be used."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._taken: set[str] = set()
        self._scans: dict[str, _Scan] = {}
        self._locks: dict[str, anyio.Lock] = {}
        self._wanted: dict[str, Counter[datetime]] = {}

    async def requests(
        self, endpoint: str, start: datetime, end: datetime | None = None, *, payloads: bool = True
    ) -> AsyncIterator[Past]:
        """Yield the requests to *endpoint* since *start*, each once, the latest first.

        Args:
            endpoint: Which model.
            start: By the platform's clock.
            end: Likewise, exclusive; None is now.
            payloads: Whether what was sent and answered comes with it.
        """
        query = {"endpoint_id": endpoint, "start": _text(start), "limit": PAGE}
        query |= {"end": _text(end)} if end else {}
        query |= {"expand": "payloads"} if payloads else {}
        seen: set[str] = set()
        # A cursor counts pages: what is added meanwhile shifts the rest, so that some come twice, and none is missed.
        async for page in self._pages("/v1/models/requests/by-endpoint", query, _History):
            for past in page.items:
                if past.request_id not in seen:
                    seen.add(past.request_id)
                    yield past

    async def find(
        self, endpoint: str, body: Mapping[str, Any], sent_at: datetime, known_request_ids: Container[str]
    ) -> str | None:
        """Return the id of the request that *body* became; None where there is none, or none yet.

        Of several with the same body the nearest in time is taken, and none twice by the same Platform. Searches that
        wait for each other share one reading of the history. Nothing is found of a request whose payloads were not
        kept.

        Args:
            endpoint: To which it was sent.
            body: Whole, as it was sent.
            sent_at: When, by the clock of this machine.
            known_request_ids: Of requests that are accounted for.
        """
        scan = await self._scan(endpoint, sent_at - SKEW)
        if scan.error:
            raise scan.error

        def distance(at: datetime | None) -> timedelta:
            return abs(at - sent_at) if at else timedelta()

        candidates = [
            (distance(at), request_id)
            for request_id, at in scan.found.get(fingerprint(body), ())
            if request_id not in known_request_ids and request_id not in self._taken
            if at is None or sent_at - SKEW <= at <= sent_at + SKEW + DELAY
        ]
        if not candidates:
            return None
        request_id = min(candidates)[1]
        self._taken.add(request_id)
        return request_id

    async def _scan(self, endpoint: str, start: datetime) -> _Scan:
        """Return a reading of the history that began after this call."""
        asked_s = self._clock.now_s()
        wanted = self._wanted.setdefault(endpoint, Counter())
        wanted[start] += 1
        try:
            async with self._locks.setdefault(endpoint, anyio.Lock()):
                scan = self._scans.get(endpoint)
                if scan is None or scan.begun_s < asked_s or scan.start > start:
                    scan = await self._read(endpoint, min(+wanted))
                    self._scans[endpoint] = scan
                return scan
        finally:
            wanted[start] -= 1
            if not +wanted:
                self._scans.pop(endpoint, None)
                self._wanted.pop(endpoint, None)

    async def _read(self, endpoint: str, start: datetime) -> _Scan:
        begun_s = self._clock.now_s()
        found: dict[str, list[tuple[str, datetime | None]]] = {}
        try:
            async for past in self.requests(endpoint, start):
                if past.json_input is not None:
                    found.setdefault(fingerprint(past.json_input), []).append((past.request_id, past.at))
        except PlatformUnavailable as error:
            return _Scan(begun_s, start, {}, error)
        return _Scan(begun_s, start, found)

    async def charges(self, request_ids: Iterable[str], start: datetime) -> dict[str, Decimal]:
        """Return what each request was charged, in USD. Those of which nobody has been charged yet are left out.

        Args:
            request_ids: Any number.
            start: When the first of them was sent, by the clock of this machine.
        """
        charged: dict[str, Decimal] = {}
        wanted = sorted(set(request_ids))
        spans = list(_spans(start - SKEW, self._clock.utc() + SKEW))
        for ids in (wanted[at : at + IDS_AT_ONCE] for at in range(0, len(wanted), IDS_AT_ONCE)):
            for since, until in spans:
                async for event in self._events(ids, since, until):
                    if event.request_id in ids and event.cost_total is not None:
                        known = charged.get(event.request_id, Decimal(0))
                        charged[event.request_id] = known + event.cost_total
        return charged

    async def _events(self, ids: Iterable[str], since: datetime, until: datetime) -> AsyncIterator[_Event]:
        query = {
            "request_id": ",".join(ids),
            "start": _text(since),
            "end": _text(until),
            "limit": EVENTS_PAGE,
        }
        async for page in self._pages("/v1/models/billing-events", query, _Bill):
            for event in page.billing_events:
                yield event

    async def unit_price(self, endpoint: str) -> Decimal | None:
        """Return today's unit price in USD; None where the platform names none."""
        query = {"endpoint_id": endpoint}
        prices = await self._asked("/v1/models/pricing", query, _Prices)
        for price in prices.prices:
            known = price.unit_price is not None and price.unit_price >= 0
            if price.endpoint_id == endpoint and price.currency.upper() == "USD" and known:
                return price.unit_price
        return None

    async def _pages(self, path: str, query: Mapping[str, str], shape: type[L]) -> AsyncIterator[L]:
        cursors: set[str] = set()
        asked = dict(query)
        while True:
            page = await self._asked(path, asked, shape)
            yield page
            if not page.has_more or not page.next_cursor or page.next_cursor in cursors:
                return
            cursors.add(page.next_cursor)
            asked["cursor"] = page.next_cursor

    async def _asked(self, path: str, query: Mapping[str, str], shape: type[T]) -> T:
        for tries in range(1, PATIENCE + 1):
            try:
                answer = await self._api.ask("platform", "GET", f"{path}?{urlencode(query)}")
                error = failure("platform", answer)
                if error is None:
                    return msgspec.json.decode(answer.body, type=shape)
            except BatchupError as met:
                error = met
            except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as met:
                raise PlatformUnavailable(f"{answer.label}: its answer cannot be used: {met}") from met
            if not isinstance(error, RateLimitedError) or tries == PATIENCE:
                raise PlatformUnavailable(str(error)) from error
            await self._clock.sleep(min(error.retry_after_s or REST_S * tries, MOST_REST_S))
        raise AssertionError("unreachable")


def _spans(start: datetime, end: datetime) -> Iterable[tuple[datetime, datetime]]:
    while start < end:
        yield start, min(end, start + LONGEST)
        start += LONGEST


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
