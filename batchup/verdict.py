"""Verdicts: what the account's bill makes clear of submissions that the ledger is wrong or in doubt about."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from batchup.bill import Entry, Request
from batchup.events import Audited
from batchup.providers.fal.fingerprint import fingerprint
from batchup.providers.fal.platform import DELAY, SKEW, Past

FINAL = timedelta(days=1)
"""What was sent so long ago and is not on the bill will never be.

An assumption of ours, and a wide one: fal promises no time, and its events come within minutes.
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What the account has told.

    Attributes:
        charges: Request id -> what it was charged, in USD. What is not there was not charged, or not yet.
        pasts: Endpoint -> requests to it that the history has from five minutes before the ledger's first on, and for
            so long after the last as one may be late. Those to an endpoint that has lost submissions come with what was
            sent. None where the history cannot be read.
    """

    charges: Mapping[str, Decimal] = field(default_factory=dict)
    pasts: Mapping[str, Sequence[Past]] | None = None

    def strangers(self, known: Iterable[str]) -> list[str] | None:
        """Return the ids of all requests but the *known*; None where the history cannot be read."""
        if self.pasts is None:
            return None
        ours = set(known)
        return [
            past.request_id for pasts in self.pasts.values() for past in pasts if past.request_id not in ours
        ]


def verdicts(sent: Sequence[Request], told: Told, now: datetime) -> list[Audited]:
    """Return what is to be written: each submission of *sent* whose charge is clear by now, and was not.

    What is in flight is left to the next run. What is in doubt stays as it is: a reservation is given up only where the
    submission is on no bill a day later, and, if its answer was lost, the history shows that it was never accepted.

    Args:
        sent: All of the ledger's.
        told: By the account.
        now: Aware.
    """
    found = found_again(sent, told)
    known = {one.request_id for one in sent} | set(found.values())
    made = []
    for one in sent:
        request_id = one.request_id or found.get((one.task, one.attempt), "")
        usd = None if one.in_flight else _charge(one, request_id, told, now, known)
        if usd is not None:
            new_id = "" if one.request_id else request_id
            made.append(Audited(id=one.task, attempt=one.attempt, request_id=new_id, charged_usd=usd, at=now))
    return made


def found_again(sent: Sequence[Request], told: Told) -> dict[tuple[str, int], str]:
    """Return the lost submissions that the history has, by task and number: the request ids that they became.

    They are known by their body, as a run would know them; of several the nearest in time is taken, and none twice.
    """
    taken = {one.request_id for one in sent}
    found: dict[tuple[str, int], str] = {}
    for one in sent:
        if one.lost is None:
            continue
        print_of = fingerprint(one.lost)
        near = [
            (abs(past.at - one.sent_at) if past.at else timedelta(), past.request_id)
            for past in _near(one, told)
            if past.request_id not in taken
            if past.json_input is not None and fingerprint(past.json_input) == print_of
        ]
        if near:
            found[one.task, one.attempt] = min(near)[1]
            taken.add(min(near)[1])
    return found


def _charge(
    one: Request, request_id: str, told: Told, now: datetime, known: Collection[str]
) -> Decimal | None:
    """Return what is to be written of a submission; None for nothing."""
    billed_usd = told.charges.get(request_id)
    if billed_usd is not None:
        differs = one.reserved_usd or Entry(one, billed_usd).difference_usd
        return billed_usd if differs else None
    if not one.reserved_usd or now - one.sent_at < FINAL:
        return None
    return Decimal(0) if request_id or _never_came(one, told, known) else None


def _never_came(one: Request, told: Told, known: Collection[str]) -> bool:
    """Return whether the history shows that a lost submission was never accepted.

    It reaches back so far, and each request of that time is one of the *known* or was sent with something else.
    """
    if one.lost is None or told.pasts is None:
        return False
    pasts = told.pasts.get(one.endpoint, ())
    reaches = any(past.at is not None and past.at <= one.sent_at + SKEW for past in pasts)
    others = (past for past in _near(one, told) if past.request_id not in known)
    return reaches and all(past.json_input is not None for past in others)


def _near(one: Request, told: Told) -> Iterator[Past]:
    """Yield the requests that may be a submission, by their time."""
    for past in (told.pasts or {}).get(one.endpoint, ()):
        if past.at is None or one.sent_at - SKEW <= past.at <= one.sent_at + SKEW + DELAY:
            yield past
