"""Plug-ins: models and providers that other packages add, found by their entry points; and all models by name.

What is built in is known without a look at what is installed. The metadata of installed packages is read when another
name is asked for, or all of them, and a package is imported only for a name of its own. What is wrong with one is told
in a sentence (:class:`Broken`), and it is left out; the others are as if it were not there.

See :mod:`batchup.providers.plugin` for what a package has to offer.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from batchup import models
from batchup.models.base import Model
from batchup.plugins import checks
from batchup.plugins.caution import cautious, told
from batchup.version import __version__

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

    from batchup.providers.plugin import Plugin

MODELS = "batchup.models"
PROVIDERS = "batchup.providers"


class Origin(NamedTuple):
    """Where a model comes from."""

    package: str
    version: str
    built_in: bool = False

    def __str__(self) -> str:
        return "built in" if self.built_in else f"{self.package} {self.version}".rstrip()


OURS = Origin("batchup", __version__, built_in=True)


class Broken(NamedTuple):
    """Something that a package declares and that cannot be used.

    Attributes:
        name: Of the model or provider; empty where the package itself cannot be read.
        why: The rest of the sentence.
    """

    origin: Origin
    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.origin}: {f'{self.name} ' if self.name else ''}{self.why}"


class BrokenError(KeyError):
    """A name that an installed package declares, and that cannot be used."""

    def __init__(self, broken: Broken) -> None:
        super().__init__(str(broken))
        self.broken = broken

    def __str__(self) -> str:
        return str(self.broken)

    def said(self, name: str) -> str:
        """Return why *name* cannot be used, as the rest of a sentence that begins with it."""
        origin, broken, why = self.broken
        return f"of {origin} {why}" if broken == name else f"cannot be used: {self.broken}"


class _Entry(NamedTuple):
    origin: Origin
    point: "EntryPoint"


@dataclass
class Plugins:
    """What some distributions declare. Each is imported when it is asked for, once.

    Attributes:
        entries: Group -> name -> all that have that name.
        unread: What could not even be read.
    """

    entries: dict[str, dict[str, list[_Entry]]] = field(
        default_factory=lambda: {MODELS: defaultdict(list), PROVIDERS: defaultdict(list)}
    )
    unread: list[Broken] = field(default_factory=list)
    _found: dict[tuple[str, str], Any] = field(default_factory=dict)

    @classmethod
    def of(cls, distributions: Iterable["Distribution"]) -> "Plugins":
        """Return what *distributions* declare; of several with one name the first counts, as for an import."""
        plugins, seen = cls(), set()
        for one in distributions:
            try:
                if "batchup." not in (one.read_text("entry_points.txt") or ""):
                    continue
                origin = Origin(one.metadata["Name"] or "a package without a name", one.version or "")
            # A folder of packages holds what broken installations left, too.
            except Exception as error:  # noqa: BLE001 - see above
                plugins.unread.append(Broken(Origin("a package", ""), "", f"cannot be read: {told(error)}"))
                continue
            key = re.sub(r"[-_.]+", "-", origin.package).casefold()
            if key not in seen:
                seen.add(key)
                plugins._add(one, origin)
        return plugins

    def _add(self, distribution: "Distribution", origin: Origin) -> None:
        try:
            points = list(distribution.entry_points)
        except Exception as error:  # noqa: BLE001 - whatever a damaged file makes of it
            self.unread.append(Broken(origin, "", f"declares what cannot be read: {told(error)}"))
            return
        for point in points:
            if point.group in self.entries:
                self.entries[point.group][point.name].append(_Entry(origin, point))

    def find(self, name: str) -> tuple[Model, Origin]:
        """Return the model called *name* and where it comes from.

        Raises:
            KeyError: No package declares it.
            BrokenError: One does, and it cannot be used.
        """
        provider = name.partition("/")[0]
        if name in self.entries[MODELS]:
            model, origin = self._once(MODELS, name, lambda loaded: self._wrong_model(name, loaded))
        elif provider in self.entries[PROVIDERS]:
            plugin, origin = self._provider(provider)
            model = next((one for one in plugin.models if one.name == name), None)
        else:
            model = None
        if model is None:
            raise KeyError(name)
        return model, origin

    def provider(self, name: str) -> "Plugin":
        """Return the provider called *name*. Raises as :meth:`find`."""
        if name not in self.entries[PROVIDERS]:
            raise KeyError(name)
        return self._provider(name)[0]

    def names(self) -> Iterator[str]:
        """Yield the names of all models that can be used. Imports every package that declares any."""
        yield from (name for name, _ in self._each() if name)

    def broken(self) -> list[Broken]:
        """Return what cannot be used. Imports every package that declares any."""
        return [*self.unread, *dict.fromkeys(why for _, why in self._each() if why is not None)]

    def _each(self) -> Iterator[tuple[str, Broken | None]]:
        listed = set(self.entries[MODELS])
        for provider in sorted(self.entries[PROVIDERS]):
            try:
                listed.update(model.name for model in self._provider(provider)[0].models)
            except BrokenError as error:
                yield "", error.broken
        for name in sorted(listed):
            try:
                self.find(name)
            except BrokenError as error:
                yield "", error.broken
            else:
                yield name, None

    def _provider(self, name: str) -> tuple["Plugin", Origin]:
        plugin, origin = self._once(PROVIDERS, name, lambda loaded: self._wrong_provider(name, loaded))
        return plugin, origin

    def _once(self, group: str, name: str, wrong: Callable[[Any], str]) -> tuple[Any, Origin]:
        """Return what an entry point leads to, and whose it is."""
        key = (group, name)
        if key not in self._found:
            entry = self.entries[group][name][0]
            try:
                self._found[key] = self._loaded(group, name, wrong), entry.origin
            except BrokenError as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, BrokenError):
            raise found
        loaded, origin = found
        return loaded, origin

    def _loaded(self, group: str, name: str, wrong: Callable[[Any], str]) -> Any:
        origin, point = self.entries[group][name][0]
        if why := self._unnamed(group, name):
            raise BrokenError(Broken(origin, name, why))
        try:
            # What a package prints when it is imported is no part of a command's answer.
            with redirect_stdout(sys.stderr):
                loaded = point.load()
        # Whatever a package's code does, and be it SystemExit, concerns nobody who does not use it.
        except (Exception, SystemExit) as error:
            raise BrokenError(Broken(origin, name, f"cannot be imported: {told(error)}")) from error
        try:
            why = wrong(loaded)
        except Exception as error:  # noqa: BLE001 - likewise: a model's own code is asked
            why = f"cannot be asked what it takes: {told(error)}"
        if why:
            raise BrokenError(Broken(origin, name, why))
        if group == MODELS:
            return cautious(loaded, origin)
        return replace(loaded, models=tuple(cautious(model, origin) for model in loaded.models))

    def _unnamed(self, group: str, name: str) -> str:
        """Return why nothing can have this name; empty if one package's can."""
        why = checks.model_name(name) if group == MODELS else checks.provider_name(name)
        entries = self.entries[group][name]
        if why or len(entries) == 1:
            return why
        # Which of two is meant nobody can tell, and one of them may cost money.
        others = " and ".join(sorted(str(entry.origin) for entry in entries))
        return f"is declared by several: {others}; remove all but one"

    def _wrong_model(self, name: str, loaded: Any) -> str:
        why, provider = checks.model(name, loaded), name.partition("/")[0]
        if why or provider in models.PROVIDERS:
            return why
        if provider not in self.entries[PROVIDERS]:
            return f"has no provider: no package declares {provider} in {PROVIDERS}"
        try:
            self._provider(provider)
        except BrokenError:
            return f"has no provider: {provider} is broken"
        return ""

    def _wrong_provider(self, name: str, loaded: Any) -> str:
        return checks.plugin(name, loaded, self.entries[MODELS])


@cache
def installed() -> Plugins:
    """Return what the packages on ``sys.path`` declare. Read once."""
    from importlib import metadata  # takes longer to import than all that a manifest of built-in models needs

    return Plugins.of(metadata.distributions())


def find(name: str) -> Model:
    """Return the model called *name*, built in or of a plug-in.

    Raises:
        KeyError: There is none.
        BrokenError: A plug-in declares it, and it cannot be used.
    """
    return models.find(name) if name in models.names() else installed().find(name)[0]


def names() -> tuple[str, ...]:
    """Return the names of all models that can be used, sorted. Imports every plug-in."""
    return tuple(sorted((*models.names(), *installed().names())))


def origin(name: str) -> Origin:
    """Return where the model called *name* comes from. Raises as :func:`find`."""
    return OURS if name in models.names() else installed().find(name)[1]
