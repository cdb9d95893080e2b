"""The platform API: the request history, the bill, today's prices."""

import base64
import binascii
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from batchup.rehearsal.account import Account
from batchup.rehearsal.answers import Answer, said
from batchup.rehearsal.faults import Fault
from batchup.rehearsal.gate import Gate
from batchup.rehearsal.job import Job

DAY = timedelta(days=1)
HISTORY_PAGE, HISTORY_MOST = 50, 100
BILL_PAGE, BILL_MOST = 1_000, 10_000
"""Items on a page by default, and at most."""


class Api:
    """Answers the platform API's calls."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def add(self, router: web.UrlDispatcher, gate: Gate) -> None:
        """Put the API's addresses into *router*."""
        router.add_get("/v1/models/requests/by-endpoint", gate.door("api", "history", self.history))
        router.add_get("/v1/models/billing-events", gate.door("api", "billing", self.billing))
        router.add_get("/v1/models/pricing", gate.door("api", "pricing", self.pricing))

    async def history(self, request: web.Request, _: Fault | None) -> Answer:
        """Tell the requests to some endpoints, the latest first."""
        if not _listed(request, "endpoint_id"):
            return _wrong("endpoint_id is required")
        payloads = "payloads" in _listed(request, "expand")
        return self._page(
            request, "items", (HISTORY_PAGE, HISTORY_MOST), lambda job: _past(job, payloads=payloads), _any
        )

    async def billing(self, request: web.Request, _: Fault | None) -> Answer:
        """Tell what was charged."""
        return self._page(
            request, "billing_events", (BILL_PAGE, BILL_MOST), self._event, lambda job: job.units is not None
        )

    def _page(
        self,
        request: web.Request,
        name: str,
        sizes: tuple[int, int],
        shown: Callable[[Job], dict[str, Any]],
        wanted: Callable[[Job], bool],
    ) -> Answer:
        try:
            now = self._account.clock.utc()
            start = _moment(request.query.get("start"), now - DAY)
            end = _moment(request.query.get("end"), now + DAY)
            limit = int(request.query.get("limit", sizes[0]))
            offset = _offset(request.query.get("cursor"))
        except (ValueError, binascii.Error):
            return _wrong("start, end, limit or cursor is not valid")
        if not 1 <= limit <= sizes[1]:
            return _wrong(f"limit goes from 1 to {sizes[1]}")
        endpoints, ids = _listed(request, "endpoint_id"), _listed(request, "request_id")
        found = [
            job
            for job in self._account.history()
            if start <= job.sent_at < end
            and (not endpoints or job.endpoint.id in endpoints)
            and (not ids or job.id in ids)
            and wanted(job)
        ]
        more = offset + limit < len(found)
        page = found[offset : offset + limit]
        return said(
            {
                name: [shown(job) for job in page],
                "has_more": more,
                "next_cursor": _cursor(offset + limit) if more else None,
            }
        )

    def _event(self, job: Job) -> dict[str, Any]:
        assert job.units is not None
        return {
            "request_id": job.id,
            "endpoint_id": job.endpoint.id,
            "timestamp": _text(job.ended_at),
            "output_units": float(job.units),
            "unit_price": float(self._account.unit_usd(job.endpoint)),
            "cost_total": float(job.cost_usd),
        }

    async def pricing(self, request: web.Request, _: Fault | None) -> Answer:
        """Tell what a unit of some endpoints costs."""
        asked = _listed(request, "endpoint_id")
        known = [self._account.endpoints[one] for one in asked if one in self._account.endpoints]
        if not known:
            return said({"error": {"type": "not_found", "message": "Model not found"}}, 404)
        prices = [
            {
                "endpoint_id": endpoint.id,
                "unit_price": float(self._account.unit_usd(endpoint)),
                "unit": endpoint.price.unit,
                "currency": "USD",
            }
            for endpoint in known
        ]
        return said({"prices": prices, "has_more": False, "next_cursor": None})


def _past(job: Job, *, payloads: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "request_id": job.id,
        "endpoint_id": job.endpoint.id,
        "sent_at": _text(job.sent_at),
        "started_at": _text(job.started_at),
        "ended_at": _text(job.ended_at),
        "status_code": None,
    }
    if job.state == "COMPLETED":
        found["status_code"] = job.failure.status if job.failure else 200
    if payloads:
        kept = job.wishes.stored
        found |= {"json_input": job.body if kept else None, "json_output": job.output if kept else None}
    return found


def _any(_: Job) -> bool:
    return True


def _listed(request: web.Request, name: str) -> set[str]:
    """Return the values of a parameter that may be repeated and may hold commas."""
    values: Iterable[str] = request.query.getall(name, [])
    return {one for value in values for one in value.split(",") if one}


def _moment(text: str | None, default: datetime) -> datetime:
    if not text:
        return default
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None


def _cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(str(offset).encode()).decode()


def _offset(cursor: str | None) -> int:
    return int(base64.urlsafe_b64decode(cursor)) if cursor else 0


def _wrong(message: str) -> Answer:
    return said({"error": {"type": "validation_error", "message": message}}, 400)
