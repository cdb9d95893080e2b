"""Inputs that a person asked for by name."""

from collections.abc import Iterator

from batchup.errors import Fault
from batchup.inputs import Patterns
from batchup.source import Source


class Asked:
    """Inputs that a person chose by patterns: of the path below its root, or of all that a plan shows."""

    def __init__(self, option: str, patterns: tuple[str, ...]) -> None:
        self.option = option
        self._left = {text: Patterns([text]) for text in patterns}
        self._all = Patterns(patterns)

    def chooses(self, source: Source) -> bool:
        """Return whether *source* is meant."""
        if not self._all:
            return False
        names = (source.path, source.label)
        for text in [text for text, pattern in self._left.items() if any(map(pattern.match, names))]:
            del self._left[text]
        return any(map(self._all.match, names))

    def missed(self) -> Iterator[Fault]:
        """Yield the patterns that have fitted nothing so far."""
        for text in self._left:
            yield Fault("", 0, 0, f"{self.option} {text}: matches no input")
