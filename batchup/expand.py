"""From a manifest and its sources to tasks: one lazy stream, and what is left out of it."""

from collections.abc import Callable, Iterator
from datetime import datetime

from batchup.digest import sha256
from batchup.errors import Fault, ManifestError
from batchup.inputs import Skipped, matches
from batchup.manifest import Manifest
from batchup.naming import About, UnnameableError, render
from batchup.source import Source
from batchup.task import Task
from batchup.variants import Variant, variants

MAX_FAULTS = 20


class Expansion:
    """Makes tasks of sources, one source at a time.

    Attributes:
        made: Number of tasks made so far.
    """

    def __init__(self, manifest: Manifest, now: datetime) -> None:
        """Check every combination of models and parameters.

        Args:
            manifest: What to make of the sources.
            now: Aware; ages in rules count from here.

        Raises:
            ManifestError: A combination is none that its model takes.
        """
        self.made = 0
        self._manifest = manifest
        self._now = now
        self._variants = variants(manifest)

    def tasks(self, source: Source) -> Iterator[Task | Skipped]:
        """Yield the tasks of one source, or why it has none.

        Raises:
            ManifestError: The source falls under no rule with a model, or the template gives it no name.
        """
        number = next(
            (n for n, rule in enumerate(self._manifest.rules) if matches(rule.match, source, self._now)), None
        )
        if number is not None and self._manifest.rules[number].skip:
            yield Skipped(source.label, "skipped by a rule", f"rule {number + 1}")
            return
        chosen = self._variants[number]
        if not chosen and self._manifest.matrix is None:
            message = f"{source.label} falls under no rule with a model, and there is no model for the others"
            raise ManifestError([self._manifest.fault(("model",), message)])
        for variant in chosen:
            yield self._task(source, variant)

    def _task(self, source: Source, variant: Variant) -> Task | Skipped:
        model, media = variant.model, source.media
        if media is not None:
            if media.kind != model.kind:
                return Skipped(source.label, f"{_a(media.kind)} under {_a(model.kind)} model", model.name)
            refusal = model.refuse(variant.params, media)
            if refusal:
                return Skipped(source.label, f"not taken by {model.name}", refusal)
        size = model.size(variant.params, media) if media is not None else None
        width, height = size or (0, 0)
        self.made += 1
        about = About(
            model=model.name,
            params=variant.values,
            ext=model.ext(variant.params, media, _ending(source.path)),
            number=self.made,
            width=width,
            height=height,
            sha256=lambda: sha256(source.name),
        )
        try:
            output = render(variant.template, source, about)
        except UnnameableError as error:
            message = f"{source.label}: {error}"
            raise ManifestError([self._manifest.fault(("output", "name"), message)]) from error
        return Task(
            id=variant.recipe.task_id(source),
            model=model.name,
            params=variant.values,
            changed=variant.changed,
            source=source,
            output=output,
            width=width,
            height=height,
            cost_usd=model.price_usd(variant.params, media),
        )


def expand(
    manifest: Manifest,
    found: Iterator[Source | Skipped],
    now: datetime,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Task | Skipped]:
    """Yield every task of the manifest, and everything left out with its reason, in the inputs' order.

    Args:
        manifest: What to make of the sources.
        found: From :func:`batchup.inputs.find`.
        now: Aware; ages in rules count from here.
        progress: Called with the number of sources so far, now and then.

    Raises:
        ManifestError: Some inputs have no model or no name; up to :data:`MAX_FAULTS` of them are told.
    """
    expansion = Expansion(manifest, now)
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
                break
    if faults:
        raise ManifestError(faults)


def _ending(path: str) -> str:
    name = path.rpartition("/")[2]
    dot = name.rfind(".")
    return name[dot:] if dot > 0 else ""


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
