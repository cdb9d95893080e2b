"""What a manifest reads: input items, the filters that narrow them, the rules that tell them apart."""

from functools import cached_property
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from batchup.manifest.fields import (
    ONE_OR_MORE,
    Bytes,
    Duration,
    Newer,
    Parameters,
    Patterns,
    Pixels,
    Section,
    Text,
    one_or_more,
)
from batchup.manifest.wording import found

Edge = Annotated[int, Field(ge=1)]
BOUNDED = ("pixels", "width", "height", "size", "duration")
"""What has a ``min_`` and a ``max_`` filter."""


class Filters(Section):
    """Bounds on what a file is. All that are given must hold."""

    kind: Literal["image", "video"] | None = None
    """Only images, or only videos."""
    min_pixels: Pixels | None = None
    """Least number of pixels, such as 4MP; 1 MP is 1,000,000."""
    max_pixels: Pixels | None = None
    """Greatest number of pixels, such as 8MP."""
    min_width: Edge | None = None
    """Least width in pixels."""
    max_width: Edge | None = None
    """Greatest width in pixels."""
    min_height: Edge | None = None
    """Least height in pixels."""
    max_height: Edge | None = None
    """Greatest height in pixels."""
    min_size: Bytes | None = None
    """Least size of the file, such as 500 KB."""
    max_size: Bytes | None = None
    """Greatest size of the file, such as 2GiB."""
    min_duration: Duration | None = None
    """Least length of a video, such as 5s."""
    max_duration: Duration | None = None
    """Greatest length of a video, such as 1h30m."""
    newer_than: Newer | None = None
    """A date such as 2019-01-01, or an age such as 30d."""

    @model_validator(mode="after")
    def _bounds_leave_something(self) -> "Filters":
        for name in BOUNDED:
            low, high = getattr(self, f"min_{name}"), getattr(self, f"max_{name}")
            if low is not None and high is not None and low > high:
                raise ValueError(f"min_{name} is above max_{name}, so nothing can fit")
        return self


class _Filtered(Filters):
    """A mapping that holds filters among other keys."""

    @cached_property
    def filters(self) -> Filters:
        """The filters alone."""
        return Filters.model_construct(**{name: getattr(self, name) for name in Filters.model_fields})


class _Selected(_Filtered):
    """An item that patterns select from."""

    include: Patterns = ()
    """Gitignore-style patterns of what to take; everything where there are none."""
    exclude: Patterns = ()
    """Gitignore-style patterns of what to leave out."""


class PathInput(_Selected):
    """A file, a folder (recursive) or a glob."""

    path: Text = Field(examples=["~/Pictures/holiday"])
    """A file, a folder (recursive) or a glob, relative to the manifest's folder."""


class ListInput(_Selected):
    """A list of paths and URLs: a .txt, .csv or .jsonl file."""

    list: Text = Field(examples=["extra.csv"])
    """A .txt file of one path or URL a line, or a .csv or .jsonl with path or url and other columns."""
    allow_private: bool = False
    """Whether URLs may be of private networks."""


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"{found(text)} is no address; write one that begins with https://")
    return text


class UrlInput(_Filtered):
    """One or more http(s) addresses."""

    urls: Annotated[
        tuple[Annotated[str, AfterValidator(_address)], ...],
        Field(min_length=1),
        BeforeValidator(one_or_more),
        ONE_OR_MORE,
    ] = Field(alias="url", examples=["https://example.org/photo.jpg"])
    """An http(s) address, or a list of them."""
    allow_private: bool = False
    """Whether addresses may be of private networks."""


INPUT_KEYS = ("path", "url", "list")


def _one_of_three(item: Any) -> Any:
    if not isinstance(item, dict):
        raise ValueError(f"{found(item)} is no input; write {{path: ...}}, {{url: ...}} or {{list: ...}}")  # noqa: TRY004 - pydantic reports no other class
    given = [key for key in INPUT_KEYS if item.get(key) is not None]
    if len(given) != 1:
        what = f"has {' and '.join(given)}" if given else "has neither path, url nor list"
        raise ValueError(f"{what}; an input is one of the three")
    return item


def _kind_of_input(item: Any) -> str:
    # Tags stand in angle brackets, so that they are told from the keys of a fault's place.
    if isinstance(item, dict):
        return next(f"<{key}>" for key in INPUT_KEYS if item.get(key) is not None)
    tags: dict[type, str] = {PathInput: "<path>", UrlInput: "<url>", ListInput: "<list>"}
    return tags[type(item)]


Input = Annotated[
    Annotated[PathInput, Tag("<path>")]
    | Annotated[UrlInput, Tag("<url>")]
    | Annotated[ListInput, Tag("<list>")],
    Discriminator(_kind_of_input),
    BeforeValidator(_one_of_three),
]


class Match(_Filtered):
    """Which inputs a rule is for. All that is given must hold; nothing given fits every input."""

    path: Patterns = ()
    """Gitignore-style patterns of paths below the input's folder."""


class Rule(Section):
    """What happens to the inputs that match, instead of the manifest's model and params."""

    match: Match
    """Which inputs the rule is for."""
    model: Text | None = None
    """Another model; it starts from its own defaults."""
    params: Parameters = Field(default_factory=dict)
    """Parameters of that model; without one, they are merged into the manifest's params."""
    skip: bool = False
    """Leave these inputs out."""

    @model_validator(mode="after")
    def _does_something(self) -> "Rule":
        if self.skip and (self.model or self.params):
            raise ValueError(
                "skip leaves the input out, so model and params have no effect; write one or the other"
            )
        if not (self.skip or self.model or self.params):
            raise ValueError("does nothing; write model, params, or skip: true")
        return self
