"""Imports point one way."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "batchup"

# From the top to the ground. A module may import from its own layer and from those below it.
LAYERS = [
    ["cli", "__main__"],
    ["rehearsal", "dashboard", "watch", "testing"],
    ["__init__"],
    ["run", "progress", "report", "audience"],
    ["quote", "coverage", "forecast"],
    ["survey", "rebuild", "prune", "checkup"],
    ["execution"],
    ["lanes", "steering", "cluster"],
    ["session"],
    ["dispatcher", "lane", "backlog"],
    ["gate"],
    ["attempt", "planner"],
    ["decisions"],
    ["twins", "asked", "sample", "workplace", "messages", "metrics"],
    ["submission", "delivery", "turns", "limits", "level", "provision", "budget", "cancellation", "circuits"],
    ["patience"],
    ["outage"],
    ["occupied", "contents", "scribe"],
    ["plan", "order"],
    [
        "batch",
        "bill",
        "verdict",
        "history",
        "outputs",
        "examiner",
        "carry",
        "expand",
        "variants",
        "catalogue",
        "recorder",
        "shutdown",
        "spool",
        "summary",
    ],
    ["inputs", "courier", "finish", "naming", "figures", "throttle", "window", "bell", "control"],
    ["ledger", "providers", "manifest", "plugins"],
    ["disk", "media", "transport", "sidecar"],
    ["models"],
    ["events", "retry", "books", "experience", "standing", "records", "fold", "log"],
    ["task", "described"],
    [
        "source",
        "aside",
        "amounts",
        "keys",
        "awake",
        "errors",
        "clock",
        "digest",
        "terminal",
        "ticker",
        "secrecy",
        "processors",
        "version",
        "webserver",
        "approval",
    ],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}


def top(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("batchup"):
            if node.module == "batchup":
                yield from (alias.name if alias.name in RANK else "__init__" for alias in node.names)
            else:
                yield top(node.module)
        elif isinstance(node, ast.Import):
            yield from (top(alias.name) for alias in node.names if alias.name.startswith("batchup"))


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_a_module_imports_only_from_its_own_layer_and_those_below(path):
    relative = path.relative_to(PACKAGE)
    own = relative.parts[0].removesuffix(".py")

    upwards = {name for name in imports(path) if RANK[name] < RANK[own]}

    assert not upwards
