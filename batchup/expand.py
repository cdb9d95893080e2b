"""From a manifest and its sources to tasks: one lazy stream, and what is left out of it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from batchup.catalogue import Catalogue
from batchup.digest import sha256
from batchup.errors import Fault, ManifestError
from batchup.inputs import Skipped, matches
from batchup.manifest import Manifest
from batchup.naming import About, UnnameableError, render
from batchup.source import Media, Size, Source
from batchup.task import Task
from batchup.variants import Variant, variants

MAX_FAULTS = 20

MOST_KNOWN = 4096
"""Pictures that differ, of which it is remembered what a model makes of them: two megabytes."""


class _Made(NamedTuple):
    """What a variant makes of one kind of picture, whatever its name.

    Attributes:
        reason: Why nothing; empty where it is taken.
        size: None where only the work tells.
    """

    reason: str = ""
    detail: str = ""
    size: Size | None = None
    ext: str = ""
    cost_usd: Decimal | None = None


class Expansion:
    """Makes tasks of sources, one source at a time.

    Attributes:
        made: Number of tasks made so far.
        fitted: For each rule, the number of sources that it was the first to fit.
    """

    def __init__(self, manifest: Manifest, catalogue: Catalogue, now: datetime) -> None:
        """Check every combination of models and parameters.

        Args:
            manifest: What to make of the sources.
            catalogue: Of its models.
            now: Aware; ages in rules count from here.

        Raises:
            ManifestError: A combination is none that its model takes.
        """
        self.made = 0
        self.fitted = [0] * len(manifest.rules)
        self._manifest = manifest
        self._now = now
        self._variants = variants(manifest, catalogue)
        self._known: dict[tuple[int, Media | None, str], _Made] = {}

    def tasks(self, source: Source) -> Iterator[Task | Skipped]:
        """Yield the tasks of one source, or why it has none.

        Raises:
            ManifestError: The source falls under no rule with a model, or the template gives it no name.
        """
        number = next(
            (n for n, rule in enumerate(self._manifest.rules) if matches(rule.match, source, self._now)), None
        )
        if number is not None:
            self.fitted[number] += 1
        if number is not None and self._manifest.rules[number].skip:
            yield Skipped(source.label, "skipped by a rule", f"rule {number + 1}")
            return
        chosen = self._variants[number]
        if not chosen:
            if self._has_model(number):
                yield Skipped(source.label, "excluded by the matrix")
                return
            message = f"{source.label} falls under no rule with a model, and there is no model for the others"
            raise ManifestError([self._manifest.fault(("model",), message)])
        told = set()
        for variant in chosen:
            made = self._task(source, variant)
            if isinstance(made, Skipped):
                if made in told:
                    continue
                told.add(made)
            yield made

    def _has_model(self, number: int | None) -> bool:
        manifest = self._manifest
        by_rule = number is not None and manifest.rules[number].model
        return bool(manifest.model or by_rule or (manifest.matrix and manifest.matrix.model))

    def _task(self, source: Source, variant: Variant) -> Task | Skipped:
        made = self._make(variant, source.media, _ending(source.path))
        if made.reason:
            return Skipped(source.label, made.reason, made.detail)
        width, height = made.size or (0, 0)
        self.made += 1
        about = About(
            model=variant.model.name,
            params=variant.values,
            ext=made.ext,
            number=self.made,
            width=width,
            height=height,
            sha256=lambda: _hash(source),
        )
        try:
            output = _named(variant, source, about)
        except UnnameableError as error:
            message = f"{source.label}: {error}"
            raise ManifestError([self._manifest.fault(("output", "name"), message)]) from error
        return Task(
            id=variant.recipe.task_id(source),
            model=variant.model.name,
            params=variant.values,
            changed=variant.changed,
            source=source,
            output=output,
            width=width,
            height=height,
            cost_usd=made.cost_usd,
        )

    def _make(self, variant: Variant, media: Media | None, ending: str) -> _Made:
        """Return what a model makes of *media*; it is asked once for pictures that are alike, as most of a camera's are."""
        key = (id(variant), media, ending)
        made = self._known.get(key)
        if made is None:
            if len(self._known) == MOST_KNOWN:
                self._known.clear()
            made = self._known[key] = _made(variant, media, ending)
        return made


def expand(
    expansion: Expansion, found: Iterator[Source | Skipped], progress: Callable[[int], None] = lambda _: None
) -> Iterator[Task | Skipped]:
    """Yield every task of the manifest, and everything left out with its reason, in the inputs' order.

    Args:
        expansion: What to make of the sources.
        found: From :func:`batchup.inputs.find`.
        progress: Called with the number of sources so far, now and then.

    Raises:
        ManifestError: Some inputs have no model or no name; the first :data:`MAX_FAULTS` of them are told.
    """
    faults: list[Fault] = []
    for number, source in enumerate(found, 1):
        if number % 1000 == 0:
            progress(number)
        if isinstance(source, Skipped):
            yield source
            continue
        try:
            yield from expansion.tasks(source)
        except ManifestError as error:
            faults += error.faults
            if len(faults) >= MAX_FAULTS:
                # To count the others, all files would have to be read: a mistake in ten lines is told at once.
                faults.append(Fault("", 0, 0, "and perhaps more: the inputs after these were not looked at"))
                break
    if faults:
        raise ManifestError(faults)


def _made(variant: Variant, media: Media | None, ending: str) -> _Made:
    model, params = variant.model, variant.params
    if media is not None and media.kind != model.kind:
        return _Made(f"{_a(media.kind)} under {_a(model.kind)} model", model.name)
    refusal = model.refuse(params, media) if media is not None else None
    if refusal:
        return _Made(f"not taken by {model.name}", refusal)
    return _Made(
        size=model.size(params, media) if media is not None else None,
        ext=model.ext(params, media, ending),
        cost_usd=model.price_usd(params, media),
    )


def _named(variant: Variant, source: Source, about: About) -> str:
    output = render(variant.template, source, about)
    if not output.lower().endswith(about.ext):
        message = f"{output!r} does not end in {about.ext}, the format that comes out; end with {{ext}}"
        raise UnnameableError(message)
    return output


def _hash(source: Source) -> str:
    if source.url:
        raise UnnameableError("{hash} is not known of a URL before it is read")
    try:
        return sha256(source.name)
    except OSError as error:
        raise UnnameableError(f"{{hash}} cannot be taken: {error.strerror or error}") from error


def _ending(path: str) -> str:
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:] if dot > 0 else ""


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
