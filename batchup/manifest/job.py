"""Manifest: everything that one YAML file says, checked and frozen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PlainValidator, PrivateAttr, WithJsonSchema

from batchup.errors import Fault, ManifestError
from batchup.manifest import paths
from batchup.manifest.fields import Parameters, Price, Section, Text
from batchup.manifest.inputs import Input, Rule
from batchup.manifest.sections import Endpoint, Fal, Matrix, ModelName, Output, Retry, Run, Timeouts
from batchup.manifest.syntax import Document
from batchup.manifest.wording import found

VERSION = 1


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a manifest comes from.

    Attributes:
        folder: Absolute; what its paths are relative to.
        sha256: Of the file's bytes, hexadecimal.
    """

    document: Document
    folder: Path
    sha256: str


def _version(value: Any) -> int:
    if value is True or value != VERSION:
        raise ValueError(f"{found(value)} is no version known here; write 1")
    return VERSION


def _name(value: Any) -> str:
    allowed = isinstance(value, str) and all(c.isalnum() or c in "-_." for c in value)
    # It becomes a file name, with an ending.
    if not allowed or not value.strip(".") or len(value.encode()) > 200:  # noqa: PLR2004 - of the 255 of most disks
        raise ValueError(f"{found(value)} is no name; write letters, digits, - _ and . (a number in quotes)")
    return str(value)


class Manifest(Section, title="batchup manifest"):
    """What to read, what to do with it, where to put it, and within which limits."""

    version: Annotated[int, PlainValidator(_version), WithJsonSchema({"const": VERSION})] = Field(
        examples=[1]
    )
    """Version of the manifest's format."""
    name: Annotated[
        str,
        PlainValidator(_name),
        WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[^\s/\\:]+$"}),
    ] = Field(examples=["holiday"])
    """Letters, digits, - _ and . ; names the ledger and the report."""
    inputs: Annotated[tuple[Input, ...], Field(min_length=1)] = Field(
        examples=[[{"path": "~/Pictures/holiday"}]]
    )
    """What to read: paths, URLs, lists."""
    model: Text | None = Field(None, examples=["local/lanczos"])
    """The model for all inputs that no rule gives another; ``batchup models`` lists them."""
    params: Parameters = Field(default_factory=dict)
    """The model's parameters, by the provider's own names."""
    matrix: Matrix | None = None
    """Names with lists of values, to make every combination."""
    rules: tuple[Rule, ...] = ()
    """The first whose match fits an input wins."""
    models: dict[ModelName, Endpoint] = Field(default_factory=dict)
    """Your own fal endpoints, then usable as fal/<name>."""
    prices: dict[str, Price] = Field(default_factory=dict)
    """Unit prices by model, where the built-in one is out of date."""
    output: Output = Field(examples=[{"dir": "~/Pictures/holiday-2x"}])
    """Where results go."""
    run: Run = Field(default_factory=Run)
    """Limits of the run."""
    retry: Retry = Field(default_factory=Retry)
    """How failures are tried again."""
    timeouts: Timeouts = Field(default_factory=Timeouts)
    """How long things may take."""
    fal: Fal = Field(default_factory=Fal)
    """How the fal platform is used."""
    ledger: Text | None = None
    """Path of the ledger; {output.dir}/.batchup/{name}.jsonl where nothing is said."""
    notify: tuple[Text, ...] = ()
    """Addresses that the run's end is announced to."""
    on_finish: tuple[Text, ...] = ()
    """A program as a list of arguments, run at the end with the summary on its standard input."""

    _origin: Origin = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Take the :class:`Origin` that validation was given as its context."""
        self._origin = context

    @property
    def file(self) -> Path:
        """The manifest's file as the person named it."""
        return Path(self._origin.document.file)

    @property
    def folder(self) -> Path:
        """The folder that its paths are relative to, absolute."""
        return self._origin.folder

    @property
    def sha256(self) -> str:
        """Of the file's bytes, hexadecimal."""
        return self._origin.sha256

    @property
    def output_dir(self) -> Path:
        """The folder of the results, absolute."""
        return self.resolve(self.output.dir)

    @property
    def ledger_path(self) -> Path:
        """The ledger, absolute."""
        if self.ledger is not None:
            return self.resolve(self.ledger)
        return self.usual_ledger(self.name)

    def usual_ledger(self, name: str) -> Path:
        """Return where the ledger of a job called *name* is that has these outputs and says nothing of it."""
        return self.output_dir / ".batchup" / f"{name}.jsonl"

    def resolve(self, text: str) -> Path:
        """Return a path of this manifest, absolute, with ``~`` and ``${NAME}`` expanded. The disk is not asked.

        Raises:
            ManifestError: A variable is not set, or holds a key. Of the manifest's own paths this was found out when
                it was loaded.
        """
        try:
            return paths.absolute(text, self.folder)
        except ValueError as error:
            raise ManifestError([Fault(str(self.file), 0, 0, f'"{text}": {error}')]) from error

    def fault(self, loc: Sequence[str | int], message: str) -> Fault:
        """Return a fault at a key path of the file, or at the nearest place above it that the file holds.

        Args:
            loc: Keys, and numbers of list items from 0: ``("inputs", 0, "path")``. The message begins with them.
            message: The rest of the sentence.
        """
        return self._origin.document.fault(loc, message)
