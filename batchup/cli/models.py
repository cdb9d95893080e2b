"""`batchup models`: what there is to choose from, and what each model can be told."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from batchup.cli import print_json
from batchup.cli.options import Output, common
from batchup.terminal import columns, escape, table

if TYPE_CHECKING:
    from batchup.models.base import Model
    from batchup.plugins import Origin

_LIMITS = (
    ("minimum", "from {}"),
    ("exclusiveMinimum", "above {}"),
    ("maximum", "to {}"),
    ("exclusiveMaximum", "below {}"),
    ("minLength", "of {} or more characters"),
    ("maxLength", "at most {} characters"),
)
"""Keywords of JSON Schema and how they are said."""

_TYPES = {"integer": "whole number", "boolean": "true or false", "string": "text", "array": "list"}


def _complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from batchup.plugins import names

    return [CompletionItem(name) for name in names() if name.startswith(incomplete)]


@click.command(
    short_help="List the models, or one model's parameters.", epilog="Example:  batchup models local/lanczos"
)
@click.argument("name", required=False, shell_complete=_complete)
@common
def models(name: str | None, *, output: Output) -> int:
    """List the models, also those that installed packages add; with NAME, show one's parameters with types and ranges.

    What an installed package declares and cannot be used is told on standard error, and left out.
    """
    from batchup import plugins

    if name is not None:
        model = _chosen(name)
        lines = _portrait(model)
        document = _document(model)
    else:
        found = [plugins.find(known) for known in plugins.names()]
        broken = plugins.installed().broken()
        for one in broken:
            click.echo(escape(f"left out: {one}"), err=True)
        lines = _list(found)
        document = {
            "models": [_document(model) for model in found],
            "left_out": [
                {"name": one.name, "from": _origin(one.origin), "message": one.why} for one in broken
            ],
        }
    if output.json:
        print_json(document)
    elif not output.quiet:
        for line in lines:
            click.echo(line)
    return 0


def _chosen(name: str) -> "Model":
    """Return the model called *name*.

    Raises:
        click.UsageError: There is none, or it cannot be used.
    """
    from batchup import plugins
    from batchup.manifest.wording import meant

    try:
        return plugins.find(name)
    except plugins.BrokenError as error:
        raise click.UsageError(escape(f"{name} {error.said(name)}")) from error
    except KeyError as error:
        raise click.UsageError(f"no model is called {escape(name)}{meant(name, plugins.names())}") from error


def _origin(origin: "Origin") -> dict[str, Any]:
    return {"package": origin.package, "version": origin.version, "built_in": origin.built_in}


def _document(model: "Model") -> dict[str, Any]:
    from batchup.plugins import origin

    return {
        "name": model.name,
        "from": _origin(origin(model.name)),
        "kind": model.kind,
        "summary": model.summary,
        "price": model.price_note,
        "params": model.params.model_json_schema(),
    }


def _list(found: "list[Model]") -> Iterator[str]:
    """Yield a table, or on a terminal, whatever its width, two lines or more for each model."""
    from batchup.plugins import origin

    sources = {model.name: origin(model.name) for model in found}
    width = columns()
    if width is None:
        rows = [[one.name, one.kind, one.summary, one.price_note, str(sources[one.name])] for one in found]
        yield from table(rows, ["model", "takes", "what it does", "price", "from"], None)
    else:
        names = max(len(model.name) for model in found)
        for one in found:
            source = sources[one.name]
            foreign = "" if source.built_in else f"; from {source}"
            head = f"{one.name:<{names}}  {one.kind}  {one.price_note}{foreign}"
            yield from textwrap.wrap(escape(head), width, subsequent_indent=" " * (names + 9))
            yield from textwrap.wrap(escape(one.summary), width, initial_indent="  ", subsequent_indent="  ")
    yield ""
    yield "batchup models NAME shows a model's parameters."


def _portrait(model: "Model") -> Iterator[str]:
    """Yield all that a person needs to use one model."""
    yield escape(f"{model.name}: {model.summary}")
    yield escape(f"  takes {model.kind}s; {model.price_note}; {_whence(model.name)}")
    yield ""
    schema = model.params.model_json_schema()
    width = max(map(len, schema.get("properties", {})), default=0)
    for name, about in schema.get("properties", {}).items():
        default = about.get("default")
        told = f"; default {_plain(default)}" if default is not None else ""
        yield f"  {name:<{width}}  {'; or '.join(_types(about, schema))}{told}"
        yield from _described(about.get("description", ""), width + 4)
    yield ""
    yield "In a manifest:"
    yield ""
    yield from (f"  {line}" for line in _example(model))


def _whence(name: str) -> str:
    from batchup.plugins import origin

    found = origin(name)
    return str(found) if found.built_in else f"from {found}"


def _described(text: str, indent: int) -> Iterator[str]:
    from textwrap import wrap

    from batchup.terminal import width

    plain = " ".join(text.replace("``", "").replace("`", "").split())
    for line in wrap(plain, max(40, width() - indent)):
        yield " " * indent + line


def _types(about: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """Yield in words what each kind of value may be that a parameter takes, other than nothing."""
    if "$ref" in about:
        about = schema["$defs"][about["$ref"].rpartition("/")[2]]
    several = about.get("anyOf") or about.get("oneOf")
    if several:
        for one in several:
            yield from _types(one, schema)
    elif "enum" in about or "const" in about:
        yield " | ".join(map(_plain, about.get("enum") or [about["const"]]))
    elif about.get("type") != "null":
        kind = _TYPES.get(about.get("type", ""), about.get("type", "any value"))
        limits = " ".join(words.format(about[key]) for key, words in _LIMITS if key in about)
        yield f"{kind}, {limits}" if limits else kind


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _example(model: "Model") -> Iterator[str]:
    defaults = {name: value for name, value in model.params().model_dump().items() if value is not None}
    name, value = next(iter(defaults.items()), ("", None))
    yield "version: 1"
    yield "name: holiday"
    yield "inputs: [{path: ~/Pictures/holiday}]"
    yield f"model: {model.name}"
    if name:
        yield f"params: {{{name}: {_plain(value)}}}"
    yield "output: {dir: ~/Pictures/holiday-2x}"
