"""How a manifest's work is done: matrix, endpoints, output, limits, retries, time-outs."""

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, PrivateAttr, model_validator
from pydantic.functional_validators import ModelWrapValidatorHandler

from batchup.manifest.fields import (
    Days,
    Duration,
    Hours,
    Memory,
    Parameter,
    Parameters,
    Positive,
    Price,
    Rate,
    Section,
    Short,
    Text,
    Usd,
    Zone,
    standard,
)
from batchup.manifest.wording import found
from batchup.retry import RetryPolicy
from batchup.task import Scalar

_ENDPOINT = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+")
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

Count = Annotated[int, Field(ge=1)]


class ModelChoice(Short):
    """A model to vary over, with parameters of its own; a name alone is one without."""

    model: Text
    """``provider/name``."""
    params: Parameters = Field(default_factory=dict)
    """Parameters of this model."""

    _short: ClassVar[str] = "model"


class Matrix(Section, extra="allow"):
    """Names with lists of values; every combination that is not excluded is a task per input."""

    __pydantic_extra__: dict[str, Annotated[tuple[Parameter, ...], Field(min_length=1)]]

    model: Annotated[tuple[ModelChoice, ...], Field(min_length=1)] | None = None
    """Models to vary over: names, or {model, params}."""
    exclude: tuple[Parameters, ...] = ()
    """Combinations to leave out: all that hold the values of one of these."""

    _order: tuple[str, ...] = PrivateAttr(())

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, data: Any) -> Any:
        # Unlike elsewhere: a name that varies over nothing is a slip, not a key left out.
        return data

    @model_validator(mode="wrap")
    @classmethod
    def _keeps_the_order(cls, data: Any, handler: ModelWrapValidatorHandler["Matrix"]) -> "Matrix":
        matrix = handler(data)
        matrix._order = tuple(n for n in data if n != "exclude" and data[n] is not None)  # noqa: SLF001 - its own
        return matrix

    @property
    def values(self) -> dict[str, tuple[Scalar | ModelChoice, ...]]:
        """The values of each name, in the manifest's order; those of ``model`` are choices of models."""
        extra = self.__pydantic_extra__ or {}
        return {name: self.model or () if name == "model" else extra[name] for name in self._order}


def _endpoint(text: str) -> str:
    if not _ENDPOINT.fullmatch(text):
        raise ValueError(f"{found(text)} is no endpoint's id; write one such as fal-ai/clarity-upscaler")
    return text


def _model_name(text: str) -> str:
    if not _MODEL_NAME.fullmatch(text):
        raise ValueError(f"{found(text)} is no name for a model; write letters, digits, - _ and .")
    return text


class Endpoint(Section):
    """A fal endpoint of the user's own, usable as ``fal/<name>``."""

    endpoint: Annotated[str, AfterValidator(_endpoint)] = Field(examples=["fal-ai/clarity-upscaler"])
    """The endpoint's id on fal, without an address."""
    kind: Literal["image", "video"]
    """What it takes and gives."""
    input: Text = Field(examples=["image_url"])
    """The parameter that takes the input's URL."""
    output: Text = Field(examples=["image.url"])
    """Path to the output's URL in the answer."""
    price: Price | None = None
    """Unit price; without one, its costs are unknown beforehand."""
    factor: Text | Annotated[float, Field(gt=0)] | None = None
    """The parameter that scales, or a number that the size is multiplied with."""


ModelName = Annotated[str, AfterValidator(_model_name)]


class Output(Section):
    """Where results go, and what happens to what is already there."""

    dir: Text = Field(examples=["~/Pictures/holiday-2x"])
    """The folder that results are written to, relative to the manifest's."""
    name: Text | None = Field(None, examples=["{dir}/{stem}-{model}{ext}"])
    """Template of the names in it."""
    exists: Literal["skip", "overwrite", "error"] = "skip"
    """What to do with a file that is already there and that this job did not write."""
    metadata: Literal["keep", "strip"] = "keep"
    """Whether EXIF, XMP and the like are carried over."""
    missing: Literal["heal", "leave"] = "heal"
    """Whether outputs that were deleted are made again."""
    sidecar: bool = False
    """Write a JSON file beside each output that says how it was made."""


class Limits(Section):
    """Limits of one model, within those of the run."""

    concurrency: Count | None = None
    """How many at once."""
    rate: Rate | None = None
    """How often one may start, such as 10/s."""
    budget_usd: Usd | None = Field(None, alias="budget")
    """What this model may cost, such as 5 USD."""


class Window(Short):
    """Hours in which work may start. One over midnight belongs to the day on which it begins."""

    hours: Hours = Field(examples=["22:00-07:00"])
    """From when to when, by the clock on the wall."""
    days: Days = standard("mon-sun", "days")
    """Days of the week, such as mon-fri or [sat, sun]; every day where there are none. In code 0 is Monday."""
    zone: Zone | None = None
    """Time zone, such as Europe/Berlin; the machine's own where there is none."""

    _short: ClassVar[str] = "hours"


class Run(Section):
    """Within which limits the work is done."""

    concurrency: Count | None = None
    """How many at once: 8 for fal, the number of cores for local work."""
    rate: Rate | None = None
    """How often one may start, such as 120/min."""
    budget_usd: Usd | None = Field(None, alias="budget")
    """What the job may cost, such as 25 USD."""
    window: Window | None = None
    """Hours in which work may start: "22:00-07:00", or with days and a zone."""
    order: Literal["listed", "smallest", "largest", "cheapest"] = "listed"
    """Which tasks come first."""
    limits: dict[str, Limits] = Field(default_factory=dict)
    """Limits of single models, by their names."""
    stop_after: Count = 20
    """Failures in a row of one model that stop the run."""
    memory_bytes: Memory | None = Field(None, alias="memory")
    """Memory for local work, such as 8GiB; half of the machine's where nothing is said."""
    cluster: Text | None = None
    """Address of a cluster's scheduler."""


class Retry(Section):
    """How often, and after how long, a task is tried again."""

    attempts: Count = 5
    """Submissions of one task."""
    initial_s: Duration = standard("1s", "initial")
    """Longest wait before the second attempt."""
    max_s: Duration = standard("2min", "max")
    """Longest wait before any attempt."""
    multiplier: Annotated[float, Field(ge=1, le=100)] = 2.0
    """How much longer each wait may be than the one before it."""

    @property
    def policy(self) -> RetryPolicy:
        """What decides it."""
        return RetryPolicy(self.attempts, self.initial_s, self.max_s, self.multiplier)


class Timeouts(Section):
    """How long something may take before it is given up."""

    connect_s: Positive = standard("30s", "connect")
    """To connect."""
    stall_s: Positive = standard("60s", "stall")
    """Without a byte of an up- or download."""
    task_s: Positive = standard("1h", "task")
    """Of processing."""


class Fal(Section):
    """Settings of the fal platform."""

    mode: Literal["queue", "sync"] = "queue"
    """Whether requests go through the queue, or hold one connection each."""
    priority: Literal["normal", "low"] = "normal"
    """Priority in the queue."""
    keep_inputs_s: Positive = standard("1d", "keep_inputs")
    """How long uploads live, such as 1d."""
    store_payloads: bool = True
    """Whether the platform keeps requests and answers, so that results can be fetched for longer."""
    settle_s: Duration = standard("2min", "settle")
    """How long to look for a submission whose answer was lost."""
    resubmit_below_usd: Usd = standard("0.05 USD", "resubmit_below")
    """A lost submission that costs less is sent again; above it, a person decides."""
