"""Which models and parameters a manifest applies to an input: params, matrix and rules made plain."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from pydantic import ValidationError

from batchup.catalogue import Catalogue
from batchup.errors import Fault, ManifestError
from batchup.manifest import Manifest, ModelChoice, Rule
from batchup.manifest.mistakes import sentence
from batchup.manifest.template import Part, parse
from batchup.models.base import Model, Params
from batchup.task import Recipe, Scalar, canonical

DEFAULT_NAME = "{dir}/{stem}"


@dataclass(frozen=True, slots=True)
class Variant:
    """One model with one set of parameters: what an input is put through.

    Attributes:
        params: Validated, with defaults.
        values: The same by name.
        changed: Those that differ from the model's defaults.
        template: Of the output's name.
    """

    model: Model
    params: Params
    values: Mapping[str, Scalar]
    changed: Mapping[str, Scalar]
    recipe: Recipe
    template: tuple[Part, ...]


def variants(
    manifest: Manifest, catalogue: Catalogue | None = None
) -> Mapping[int | None, tuple[Variant, ...]]:
    """Return rule number -> its variants, from 0; None stands for inputs that no rule matches.

    A rule that skips, and None where there is no model without a rule, have no variants.

    Raises:
        ManifestError: A combination of parameters is none that its model takes. Holds all such faults.
    """
    make = _Maker(manifest, catalogue or Catalogue(manifest), [])
    found: dict[int | None, tuple[Variant, ...]] = {None: tuple(make.all(None, None))}
    for number, rule in enumerate(manifest.rules):
        found[number] = () if rule.skip else tuple(make.all(number, rule))
    if make.faults:
        raise ManifestError(list(dict.fromkeys(make.faults)))
    return found


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes variants, and collects what is wrong with them."""

    manifest: Manifest
    catalogue: Catalogue
    faults: list[Fault]

    def all(self, number: int | None, rule: Rule | None) -> Iterator[Variant]:
        """Yield the variants of one rule, each once."""
        seen = set()
        for combination in _combinations(self.manifest, rule):
            variant = self._one(rule, combination, number)
            if variant is None:
                continue
            key = (variant.model.name, canonical(variant.changed))
            if key not in seen:
                seen.add(key)
                yield variant

    def _one(
        self, rule: Rule | None, combination: Mapping[str, Scalar | ModelChoice], number: int | None
    ) -> Variant | None:
        """Merge from the general to the particular: params, the matrix' model, its values, the rule."""
        choice = combination.get("model")
        name, given = self.manifest.model, dict(self.manifest.params)
        if isinstance(choice, ModelChoice):
            name, given = _merge(name, given, choice.model, choice.params)
        if rule is not None:
            name, given = _merge(name, given, rule.model, {})
        if name is None:
            return None
        model = self.catalogue.find(name)
        varied = {n: v for n, v in combination.items() if not isinstance(v, ModelChoice) and _has(model, n)}
        fixed = dict(rule.params) if rule else {}
        if isinstance(choice, ModelChoice):
            # As with the matrix' own names: what one of several models does not have is left out for that one.
            fixed = {n: v for n, v in fixed.items() if _has(model, n)}
        try:
            params = model.params(**{**given, **varied, **fixed}).settled(self.manifest.folder)
        except ValueError as error:
            place = ("rules", number) if number is not None else ("matrix",) if combination else ("params",)
            said = map(sentence, error.errors()) if isinstance(error, ValidationError) else [str(error)]
            self.faults.extend(self.manifest.fault(place, f"{name}: {one}") for one in said)
            return None
        values, defaults = params.model_dump(), model.params().model_dump()
        changed = {
            n: v
            for n, v in values.items()
            if n not in params.apart and (n not in defaults or v != defaults[n])
        }
        return Variant(
            model=model,
            params=params,
            values=values,
            changed=changed,
            recipe=Recipe(name, changed, model.endpoint),
            template=_template(self.manifest, [n for n in combination if n == "model" or n in varied]),
        )


def _has(model: Model, name: str) -> bool:
    """Return whether a model takes a parameter; a user's own endpoint takes any."""
    return name in model.params.model_fields or model.params.model_config.get("extra") == "allow"


def _combinations(manifest: Manifest, rule: Rule | None) -> Iterator[dict[str, Scalar | ModelChoice]]:
    """Yield every combination of the matrix that is neither excluded nor fixed by the rule."""
    if manifest.matrix is None:
        yield {}
        return
    fixed = set(rule.params) | ({"model"} if rule.model else set()) if rule else set()
    names = [name for name in manifest.matrix.values if name not in fixed]
    for values in product(*(manifest.matrix.values[name] for name in names)):
        combination = dict(zip(names, values, strict=True))
        if not any(_excluded(item, combination) for item in manifest.matrix.exclude):
            yield combination


def _excluded(item: Mapping[str, Scalar], combination: Mapping[str, Scalar | ModelChoice]) -> bool:
    def same(name: str, value: Scalar) -> bool:
        mine = combination.get(name)
        return (mine.model if isinstance(mine, ModelChoice) else mine) == value

    return bool(item) and all(name in combination and same(name, value) for name, value in item.items())


def _merge(
    name: str | None, given: dict[str, Scalar], other: str | None, params: Mapping[str, Scalar]
) -> tuple[str | None, dict[str, Scalar]]:
    """Another model starts from its own defaults; the same one, or none, merges."""
    if other is None or other == name:
        return name, {**given, **params}
    return other, dict(params)


def _template(manifest: Manifest, varied: list[str]) -> tuple[Part, ...]:
    if manifest.output.name is not None:
        return parse(manifest.output.name)
    return parse(DEFAULT_NAME + "".join(f"-{{{name}}}" for name in varied) + "{ext}")
