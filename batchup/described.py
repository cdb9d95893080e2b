"""Described: values whose JSON Schema tells what stands below each field in the source."""

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from textwrap import dedent
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema


class Described(BaseModel):
    """Base of values that describe their fields by docstrings, which are read when a schema is asked for.

    With pydantic's ``use_attribute_docstrings`` every start parses the source of every class: 0.3 billion
    instructions, a tenth of a start that needs none of it.
    """

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in _descriptions(cls):
            field = cls.model_fields[name]
            properties[field.alias or name].setdefault("description", text)
        return schema


def _descriptions(cls: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yield the fields of a class, and of those that it is made from, that a docstring stands below."""
    for base in cls.__mro__:
        if not issubclass(base, Described):
            continue
        for field, below in pairwise(_body(base)):
            match field, below:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                    if name in cls.model_fields:
                        yield name, inspect.cleandoc(text)


def _body(cls: type[BaseModel]) -> list[ast.stmt]:
    """Return the statements of a class; none where it was installed without its source."""
    try:
        source = inspect.getsource(cls)
    except (OSError, TypeError):
        return []
    (found,) = ast.parse(dedent(source)).body
    assert isinstance(found, ast.ClassDef)
    return found.body
