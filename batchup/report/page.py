"""The page: templates, style and scripts of this package, put together into one HTML text."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from batchup.manifest.quantities import format_bytes, format_duration, format_usd
from batchup.report.chart import charts
from batchup.report.gallery import STATES
from batchup.report.model import Report
from batchup.terminal import escape

if TYPE_CHECKING:
    from jinja2 import Environment

_SLIDER = "vendor/img-comparison-slider/"


class About(msgspec.Struct, frozen=True):
    """Where a job lies, as a person may type it: its manifest, ledger and output folder, and how batchup is called."""

    manifest: str
    ledger: str
    outputs: str
    program: str


class Question(msgspec.Struct, frozen=True):
    """A question whose answer a run waits for: its words, where the answer goes, and the token that it needs."""

    words: str
    url: str
    token: str


def render(
    report: Report,
    data: Iterable[bytes],
    shown: int,
    about: About,
    zone: tzinfo | None = None,
    question: Question | None = None,
) -> Iterator[str]:
    """Yield the page in pieces.

    Args:
        report: What it tells.
        data: What its gallery is given, as JSON in pieces; read as the page is made.
        shown: How many tasks these are.
        about: The job.
        zone: Of the moments that it tells; None for this machine's.
        question: Asked at its top.
    """
    style = _file("page/report.css") + _file(f"{_SLIDER}styles.css")
    # A script within the page can import nothing: what the viewer takes from it stands before it.
    viewer = _file("page/films.js").replace("export ", "") + _file("page/viewer.js")
    scripts = [_slider(), _file("page/stage.js"), viewer, _file("page/gallery.js")]
    tasks = report.summary.tasks
    return (
        _environment()
        .get_template("report.html")
        .generate(
            report=report,
            summary=report.summary,
            about=about,
            charts=charts(report, zone),
            states=STATES,
            shown=shown,
            counts={state: getattr(tasks, state.replace(" ", "_")) for state in STATES},
            question=question,
            policy=_policy([style], scripts, question.url if question else "'none'"),
            style=_raw(style),
            scripts=[_raw(script) for script in scripts],
            data=map(_harmless_json, data),
            when=lambda at: _when(at, zone),
        )
    )


def _policy(styles: list[str], scripts: list[str], forms: str) -> str:
    """Return a content security policy: the scripts and styles of this page and no others, and no network at all.

    Forms, if there are any, go to one address of this machine.

    Pictures are files: 'self' is how some browsers call those beside the page, and file: how the others do.
    """
    return (
        f"default-src 'none'; base-uri 'none'; form-action {forms}; img-src 'self' file: data:;"
        " media-src 'self' file:;"
        f" style-src {_hashes(styles)}; script-src {_hashes(scripts)}"
    )


def _hashes(texts: list[str]) -> str:
    sums = (hashlib.sha256(text.encode()).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in sums)


def _harmless_json(piece: bytes) -> Any:
    """Return JSON that HTML takes for nothing else: a name may hold ``</script>``."""
    text = piece.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
    return _raw(text.decode())


@cache
def _file(name: str) -> str:
    return files("batchup.report").joinpath(name).read_text("utf-8")


def _slider() -> str:
    """Return the slider with its licence, and without the address of a source map that is not there."""
    code = _file(f"{_SLIDER}index.js").partition("//# sourceMappingURL")[0]
    return f"/*! img-comparison-slider 8.0.7\n{_file(f'{_SLIDER}LICENSE')}*/\n{code}"


def _raw(text: str) -> Any:
    """Return what is put into the page as it is."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - our own files, and JSON without a single "<"


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("batchup.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters["usd"] = lambda usd: format_usd(Decimal(str(round(usd, 6))))
    environment.filters["duration"] = format_duration
    environment.filters["bytes"] = format_bytes
    environment.filters["number"] = lambda number: f"{number:,}"
    return environment


def _harmless(value: Any) -> Any:
    """Show control characters and direction marks in whatever comes from a ledger; jinja does the rest."""
    return escape(value) if type(value) is str else value


def _when(at: datetime, zone: tzinfo | None) -> str:
    local = at.astimezone(zone)
    return f"{local.day} {local:%B %Y, %H:%M}"
