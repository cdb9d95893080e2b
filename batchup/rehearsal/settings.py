"""Settings: how a fal of our own behaves. JSON can hold them, for a server in a process of its own."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from batchup.rehearsal.endpoints import Custom
from batchup.rehearsal.faults import Faults

KEY = "rehearsal:not-a-secret"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How the platform behaves.

    Durations are the platform's own seconds, of which *time_scale* pass in one second of the clock that it shares with
    its clients. What is told to them (``Retry-After``, moments) and the durations of faults are that clock's.

    Attributes:
        seed: Of everything that is left to chance.
        key: The only key that is taken.
        task_s: How long a task takes once it has started; longer where the work itself does.
        task_spread: Tasks take up to this part more or less than *task_s*: 0.2 is 80 to 120 %.
        concurrency: Tasks that run at once; more wait in the queue.
        time_scale: The platform's seconds in one of the clock's.
        outputs: ``real``: upscaled. ``blank``: cheap files of the right size; a video has the right duration, but
            two frames.
        foreign: What inputs at addresses other than its own CDN's are taken for: width and height in pixels. They are
            never fetched. Where this is None, those on this machine are, and others are a ``file_download_error``.
        foreign_s: Duration of such a video.
        details: Whether answers tell type, name and size of a file besides its address.
        billable_units: Whether answers carry ``X-Fal-Billable-Units``.
        bills_rejected: Whether a 422 of the work itself (not of its parameters) is billed, as one unit.
        stops_cancelled: Whether cancelling stops what already runs; if not it is finished and billed.
        accept_in_flight: Submits beyond so many unfinished requests are answered 429; None is no limit.
        calls_per_s: Calls to the queue beyond so many in a second of the clock are answered 429; None is no limit.
        retry_after_s: What such a 429 tells; None for none.
        balance_usd: The account is locked when so much has been billed; empty is no limit.
        history_lag_s: How long after a submit the request history and the bill know of it.
        history_shows: Whether it knows requests as soon as they are ``sent``, or only when they have ``ended``.
        result_ttl_s: How long after its end a request is known. None: for good, but an hour without payload storage,
            and six minutes for a result of 10 KB or more.
        file_ttl_s: How long an output can be downloaded where the request does not say; None is for good.
        token_ttl_s: How long a storage token lasts.
        prices: Endpoint -> unit price in USD, where it is another than the table's.
        custom: Endpoints besides the eight.
        cdn_shares_origin: Whether the CDN lives at the queue's own origin.
        faults: What goes wrong.

    Raises:
        ValueError: A number is out of its range.
    """

    seed: int = 0
    key: str = KEY
    task_s: float = 0.05
    task_spread: float = 0.0
    concurrency: int = 40
    time_scale: float = 1.0
    outputs: Literal["real", "blank"] = "real"
    foreign: tuple[int, int] | None = None
    foreign_s: float = 10.0
    details: bool = True
    billable_units: bool = True
    bills_rejected: bool = False
    stops_cancelled: bool = False
    accept_in_flight: int | None = None
    calls_per_s: int | None = None
    retry_after_s: float | None = None
    balance_usd: str = ""
    history_lag_s: float = 0.0
    history_shows: Literal["sent", "ended"] = "sent"
    result_ttl_s: float | None = None
    file_ttl_s: float | None = None
    token_ttl_s: float = 3600.0
    prices: Mapping[str, str] = {}
    custom: tuple[Custom, ...] = ()
    cdn_shares_origin: bool = False
    faults: Faults = Faults()

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"concurrency: must be 1 or more, not {self.concurrency}")
        if self.time_scale <= 0:
            raise ValueError(f"time_scale: must be above 0, not {self.time_scale:g}")
        if self.task_s < 0 or not 0 <= self.task_spread <= 1:
            raise ValueError("task_s: must be 0 or more, and task_spread 0 to 1")

    def clock_s(self, platform_s: float) -> float:
        """Return the seconds of the clock that *platform_s* of the platform's take."""
        return platform_s / self.time_scale
