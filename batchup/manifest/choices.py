"""Choices: whether the models that a manifest names exist, and take the parameters that they are given.

This reads the document rather than the checked manifest, so that these faults are told together with all others; what
has not the right shape is left to the schema's check.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from pydantic import ValidationError

from batchup import models, plugins
from batchup.errors import Fault
from batchup.manifest import template
from batchup.manifest.mistakes import sentence
from batchup.manifest.syntax import Document, Loc
from batchup.manifest.wording import found, meant, printable
from batchup.models import FAL
from batchup.models.base import Params


class _Choice(NamedTuple):
    """A model that a manifest names, the parameters that stand beside it, and where both stand."""

    model: str
    params: Mapping[str, Any]
    loc: Loc


class Choices:
    """Every model and parameter that a document names, taken together."""

    def __init__(self, document: Document) -> None:
        top = document.value
        matrix = _mapping(top.get("matrix"))
        self._document = document
        self._own = {f"{FAL}/{name}" for name in _mapping(top.get("models"))}
        self._base = _choice(top, ())
        self._rules = [_choice(rule, ("rules", n)) for n, rule in enumerate(_items(top.get("rules")))]
        self._varied = [
            _choice(one, ("matrix", "model", n)) for n, one in enumerate(_items(matrix.get("model")))
        ]
        self._matrix = {
            name: _items(values) for name, values in matrix.items() if name not in {"model", "exclude"}
        }
        self._exclude = [_mapping(item) for item in _items(matrix.get("exclude"))]
        ruled = [rule.model for rule in self._rules if rule.model]
        # What an input can meet: where models are varied, the one at the top is but one that may be listed.
        varied = [choice.model for choice in self._varied if choice.model]
        self._plain = list(dict.fromkeys(varied or ([self._base.model] if self._base.model else [])))
        self._in_play = list(dict.fromkeys([*self._plain, *ruled]))

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong with models, parameters, and the fields of the output's name."""
        yield from self._names()
        yield from self._base_faults()
        for choice in self._varied:
            if choice.model:
                yield from self._params(choice, [choice.model], whole=not self._matrix)
        for rule in self._rules:
            yield from self._rule_faults(rule)
        yield from self._matrix_faults()
        yield from self._exclude_faults()
        yield from self._template_faults()

    def _names(self) -> Iterator[Fault]:
        """Yield a fault for every model that does not exist, and every own one that hides a built-in one."""
        for choice in (self._base, *self._varied, *self._rules):
            if choice.model and not self._knows(choice.model):
                loc = (*choice.loc, "model")
                yield self._document.fault(self._document.written(loc), self._no_model(choice.model))
        run = _mapping(self._document.value.get("run"))
        for loc, keys in (
            (("run", "limits"), run.get("limits")),
            (("prices",), self._document.value.get("prices")),
        ):
            for name in _mapping(keys):
                if not self._knows(name):
                    yield self._document.fault((*loc, name), self._no_model(name), at_key=True)
        for name in sorted(self._own & set(models.names())):
            loc = ("models", name.partition("/")[2])
            yield self._document.fault(loc, f"{name} is built in; choose another name", at_key=True)

    def _no_model(self, name: str) -> str:
        try:
            plugins.find(name)
        except plugins.BrokenError as error:
            return f"{found(name)} {error.said(name)}"
        except KeyError:
            pass
        return f"{found(name)} is no model{meant(name, (*plugins.names(), *sorted(self._own)))}"

    def _knows(self, name: str) -> bool:
        return name in self._own or self._class(name) is not None

    def _base_faults(self) -> Iterator[Fault]:
        if self._base.model:
            yield from self._params(self._base, [self._base.model], whole=not self._matrix)
            return
        if self._document.value.get("model") is None:
            if not self._in_play:
                yield self._document.fault(("model",), "is missing; write model: local/lanczos")
            elif self._base.params:
                message = "there is no model for them; write model, or params beside each model"
                yield self._document.fault(("params",), message, at_key=True)

    def _rule_faults(self, rule: _Choice) -> Iterator[Fault]:
        if rule.model:
            same = rule.model == self._base.model
            yield from self._params(
                rule, [rule.model], whole=not self._matrix, under=self._base.params if same else {}
            )
        elif rule.params and not self._plain:
            if self._in_play:
                yield self._document.fault(rule.loc, "needs a model, as there is none for all inputs")
        elif rule.params:
            models = self._plain if self._varied else [self._base.model]
            yield from self._params(rule, models, whole=not self._matrix, under=self._base.params)

    def _params(
        self, choice: _Choice, models: list[str], *, whole: bool, under: Mapping[str, Any] = {}
    ) -> Iterator[Fault]:
        """Yield what is wrong with the parameters beside a choice, for the *models* that they are given to.

        Args:
            choice: Where they stand.
            models: A parameter must belong to one of them, and be right for all that it belongs to.
            whole: Whether nothing else is added to them, so that they can be checked together.
            under: What they are merged into.
        """
        loc = (*choice.loc, "params")
        yield from self._strangers(choice.params, models, loc)
        for model in models:
            params = self._class(model)
            if params is None:
                continue
            own = {name: value for name, value in choice.params.items() if name in params.model_fields}
            for details in _errors(params, {**under, **own}):
                at = details["loc"][:1]
                if at and at[0] in own:
                    yield self._document.fault((*loc, *at), f"{sentence(details)} ({model})")
                elif whole and not at and (own or choice is self._base):
                    yield self._document.fault(self._document.written(loc), f"{sentence(details)} ({model})")

    def _strangers(self, params: Iterable[str], models: list[str], loc: Loc) -> Iterator[Fault]:
        """Yield a fault for every parameter that none of *models* has."""
        classes = [self._class(model) for model in models]
        # An endpoint of the user's own may take anything, and what an unknown model takes is nobody's fault.
        known = {name for params in classes if params for name in params.model_fields}
        for name in params if None not in classes else ():
            if name not in known:
                message = f"no such parameter of {' or '.join(models)}{meant(name, sorted(known))}"
                yield self._document.fault((*loc, name), message, at_key=True)

    def _matrix_faults(self) -> Iterator[Fault]:
        if self._in_play:
            yield from self._strangers(self._matrix, self._in_play, ("matrix",))
        for name, values in self._matrix.items():
            # What a rule sets is not varied, and neither is its model.
            ruled = [rule.model for rule in self._rules if rule.model and name not in rule.params]
            for n, value in enumerate(values):
                met = [model for model in self._plain if not self._is_excluded({"model": model, name: value})]
                met += ruled if not self._is_excluded({name: value}) else []
                if message := next(filter(None, map(partial(self._unfit, name, value), met)), None):
                    yield self._document.fault(("matrix", name, n), message)

    def _unfit(self, name: str, value: Any, model: str) -> str | None:
        """Return why *value* is none for the parameter *name* of *model*; None if it is, or is left out there."""
        params = self._class(model)
        if params is None or name not in params.model_fields:
            return None
        errors = (details for details in _errors(params, {name: value}) if details["loc"][:1] == (name,))
        return next((f"{sentence(details)} ({model})" for details in errors), None)

    def _is_excluded(self, combination: Mapping[str, Any]) -> bool:
        """Tell whether an item of ``exclude`` leaves out all that these values are part of."""
        return any(item and item.items() <= combination.items() for item in self._exclude)

    def _exclude_faults(self) -> Iterator[Fault]:
        """Yield a fault for what can exclude nothing."""
        values = {
            **self._matrix,
            **({"model": [choice.model for choice in self._varied]} if self._varied else {}),
        }
        for n, item in enumerate(self._exclude):
            for name, value in item.items():
                loc = ("matrix", "exclude", n, name)
                if name not in values:
                    message = f"no such name in the matrix{meant(name, values)}"
                    yield self._document.fault(loc, message, at_key=True)
                elif value not in values[name]:
                    allowed = [str(one) for one in values[name]]
                    yield self._document.fault(
                        loc, f"{found(value)} is no value of {name}{meant(str(value), allowed)}"
                    )

    def _template_faults(self) -> Iterator[Fault]:
        name = _mapping(self._document.value.get("output")).get("name")
        if not isinstance(name, str):
            return
        loc = ("output", "name")
        try:
            fields = [part.text for part in template.parse(name) if part.field]
        except ValueError as error:
            yield self._document.fault(loc, str(error))
            return
        classes = [self._class(model) for model in self._in_play]
        written = {param for choice in (self._base, *self._varied, *self._rules) for param in choice.params}
        # An unknown model's parameters are unknown; its name is a fault already.
        if not self._in_play or any(not self._knows(model) for model in self._in_play):
            return
        params = {param for one in classes if one for param in one.model_fields} | written | set(self._matrix)
        for field in dict.fromkeys(fields):
            if field not in template.FIELDS and field not in params and not field.startswith(template.ROW):
                near = meant(field, [*template.FIELDS, *sorted(params), template.ROW])
                yield self._document.fault(loc, f"no such field: {{{printable(field)}}}{near}")

    def _class(self, model: str) -> type[Params] | None:
        """Return a model's parameters; None where anything goes."""
        if model in self._own:
            return None
        try:
            return plugins.find(model).params
        except KeyError:
            return None


def _choice(value: Any, loc: Loc) -> _Choice:
    """Return the model and the parameters of the manifest itself, a rule, or a value of the matrix."""
    if isinstance(value, str):
        return _Choice(value, {}, loc)
    model = _mapping(value).get("model")
    return _Choice(model if isinstance(model, str) else "", _mapping(_mapping(value).get("params")), loc)


def _errors(params: type[Params], given: Mapping[str, Any]) -> list[Any]:
    try:
        params.model_validate(dict(given))
    except ValidationError as error:
        return list(error.errors(include_url=False))
    return []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else ()
