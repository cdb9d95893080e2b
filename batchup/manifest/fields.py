"""Fields: the kinds of values that a manifest's keys hold, each with its reader and its JSON Schema."""

import re
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from pathspec import GitIgnoreSpec
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)
from pydantic.fields import ComputedFieldInfo, FieldInfo
from pydantic_core import CoreSchema

from batchup.described import Described
from batchup.manifest import moments, quantities
from batchup.manifest.wording import found
from batchup.task import Scalar


def _key(name: str, field: FieldInfo | ComputedFieldInfo) -> str:
    return field.alias or name


class Section(Described):
    """Base of every mapping in a manifest: unknown keys are faults, nothing is coerced, an empty key is not there."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, field_title_generator=_key)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, data: Any) -> Any:
        return {k: v for k, v in data.items() if v is not None} if isinstance(data, dict) else data


class Short(Section):
    """A mapping that may also be written as a text, which then is the value of one of its keys."""

    _short: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {cls._short: data}
        if isinstance(data, dict):
            return data
        raise ValueError(
            f"{found(data)} is neither a text nor a mapping; write {cls._short}, or {{{cls._short}: ...}}"
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        mapping = super().__get_pydantic_json_schema__(core_schema, handler)
        return {"anyOf": [{"type": "string", "minLength": 1}, mapping]}


def standard(text: str, alias: str) -> Any:
    """Return a field *alias* whose default is *text*, as a manifest would write it."""
    return Field(text, alias=alias, validate_default=True)


def _shown(pattern: str, *examples: str, bare: str = "") -> WithJsonSchema:
    """Return the JSON Schema of a quantity: a text like *examples*, or a bare number of the type *bare*."""
    text = {"type": "string", "pattern": f"^ *({pattern}) *$", "examples": list(examples)}
    return WithJsonSchema({"anyOf": [text, {"type": bare, "minimum": 0}]} if bare else text)


def one_or_more(value: Any) -> Any:
    """Return a text as the only one of its list, anything else as it is."""
    return (value,) if isinstance(value, str) else value


def _pattern(text: str) -> str:
    try:
        GitIgnoreSpec.from_lines([text])
    except (ValueError, re.error) as error:
        raise ValueError(f"{found(text)} is no pattern; write one such as **/*.jpg") from error
    return text


def _scalar(value: Any) -> Any:
    if isinstance(value, Scalar):
        return value
    raise ValueError(f"{found(value)} cannot be a parameter; write a text, a number, true or false")


_DURATION = _shown(quantities.DURATION_PATTERN, "90s", "1h30m")
_SIZE = _shown(quantities.SIZE_PATTERN, "500 KB", "2GiB", bare="integer")

Duration = Annotated[float, PlainValidator(quantities.duration), _DURATION]
"""Seconds."""

Positive = Annotated[float, PlainValidator(quantities.positive_duration), _DURATION]
"""Seconds, above 0."""

Bytes = Annotated[int, PlainValidator(quantities.size), _SIZE]

Memory = Annotated[int, PlainValidator(quantities.positive_size), _SIZE]
"""Bytes, above 0."""

Pixels = Annotated[
    int,
    PlainValidator(quantities.pixels),
    _shown(quantities.PIXELS_PATTERN, "4MP", "0.5MP", bare="integer"),
]

Rate = Annotated[
    quantities.Rate,
    PlainValidator(quantities.rate),
    _shown(quantities.RATE_PATTERN, "10/s", "120/min"),
]

Usd = Annotated[
    Decimal,
    PlainValidator(quantities.usd),
    _shown(quantities.USD_PATTERN, "5 USD", bare="number"),
]

Price = Annotated[
    quantities.Price,
    PlainValidator(quantities.price),
    _shown(quantities.PRICE_PATTERN, "0.03 USD/MP", "0.05 USD/output"),
]

Newer = Annotated[
    moments.Newer,
    PlainValidator(moments.newer),
    _shown(rf"{moments.DATE_PATTERN}|{quantities.DURATION_PATTERN}", "2019-01-01", "30d"),
]

Hours = Annotated[
    moments.Hours,
    PlainValidator(moments.hours),
    _shown(moments.HOURS_PATTERN, "22:00-07:00"),
]

Days = Annotated[
    tuple[int, ...],
    PlainValidator(moments.days),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "examples": ["mon-fri", "sat,sun"]},
                {"type": "array", "minItems": 1, "items": {"type": "string", "examples": list(moments.DAYS)}},
            ]
        }
    ),
]

Zone = Annotated[
    str,
    PlainValidator(moments.zone),
    WithJsonSchema({"type": "string", "examples": ["Europe/Berlin"]}),
]

Text = Annotated[str, Field(min_length=1)]

_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
ONE_OR_MORE = WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]})

Patterns = Annotated[
    tuple[Annotated[Text, AfterValidator(_pattern)], ...],
    BeforeValidator(one_or_more),
    ONE_OR_MORE,
]
"""Gitignore-style patterns; one may be written without its list."""

Parameter = Annotated[
    Any,
    PlainValidator(_scalar),
    WithJsonSchema({"type": ["string", "number", "boolean", "null"]}),
]
"""What a model's parameter may be, before its model has looked at it."""

Parameters = dict[str, Parameter]
