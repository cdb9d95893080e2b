"""What another package gets wrong is told in one line, and left out."""

import msgspec
import pytest

from batchup import plugins
from tests.library import batchup, manifest, photo
from tests.plugins.install import declare

MODELS, PROVIDERS = "batchup.models", "batchup.providers"

CODE = """
from decimal import Decimal
from contextlib import asynccontextmanager
from batchup.models.base import FalModel, LocalModel, Params, PricedModel
from batchup.models.local.lanczos import MODEL as LANCZOS
from batchup.models.prices import UnitPrice
from batchup.providers.plugin import Plugin
from dataclasses import replace

print("printed on import")

def paid(name, **more):
    usual = dict(kind="image", params=Params, summary="Fine.", size_of=lambda p, m: m.size,
                 ext_of=lambda p, m, e: ".png", refusal=lambda p, m: None,
                 price=UnitPrice(usd=Decimal(1), per="output", unit="output", read="2026-11-22"))
    return PricedModel(name=name, **{**usual, **more})

class Needs(Params):
    must: int

TEXT = "fine"
FINE = replace(LANCZOS, name="local/fine")
PAID = paid("fine/paid")
OTHER = paid("fine/other")
NEEDS = paid("fine/needs", params=Needs)
LOOSE = paid("fine/loose", params=dict)
SOUND = paid("fine/sound", kind="sound")
PLUGIN = Plugin(open=lambda supplies: None)
STRAY = Plugin(open=lambda supplies: None, models=(paid("other/x"),))
TWICE = Plugin(open=lambda supplies: None, models=(PAID, PAID))
LOCALS = Plugin(open=lambda supplies: None, models=(FINE,))
"""

FINE = {MODELS: {"local/fine": "good:FINE", "fine/paid": "good:PAID"}, PROVIDERS: {"fine": "good:PLUGIN"}}

BROKEN = [
    (
        MODELS,
        "fine/gone",
        "nowhere:MODEL",
        "cannot be imported: ModuleNotFoundError: No module named 'nowhere'",
    ),
    (
        MODELS,
        "fine/less",
        "good:LESS",
        "cannot be imported: AttributeError: module 'good' has no attribute 'LESS'",
    ),
    (MODELS, "fine/exit", "exits:MODEL", "cannot be imported: SystemExit: 3"),
    (MODELS, "fine/odd", "no value", "cannot be imported: "),
    (
        MODELS,
        "fine/text",
        "good:TEXT",
        "is a str, and a model of fine has to be a batchup.models.base.PricedModel",
    ),
    (MODELS, "local/paid", "good:PAID", "is a PricedModel, and a model of local has to be a"),
    (MODELS, "fal/paid", "good:PAID", "is a PricedModel, and a model of fal has to be a"),
    (MODELS, "fine/another", "good:OTHER", "calls itself 'fine/other'"),
    (MODELS, "Fine Model", "good:OTHER", "is no name; write provider/name in lower case"),
    (MODELS, "local/lanczos", "good:FINE", "is the name of a built-in one"),
    (MODELS, "fine/needs", "good:NEEDS", "cannot be asked what it takes: ValidationError: "),
    (
        MODELS,
        "fine/loose",
        "good:LOOSE",
        "has parameters that are no class made from batchup.models.base.Params",
    ),
    (MODELS, "fine/sound", "good:SOUND", "takes 'sound', and has to take image or video"),
    (PROVIDERS, "gone", "nowhere:PLUGIN", "cannot be imported: ModuleNotFoundError: "),
    (PROVIDERS, "text", "good:TEXT", "is a str, and has to be a batchup.providers.plugin.Plugin"),
    (PROVIDERS, "fal", "good:PLUGIN", "is the name of a built-in one"),
    (PROVIDERS, "Some One", "good:PLUGIN", "is no name; write one word in lower case"),
    (PROVIDERS, "stray", "good:STRAY", "has a model called 'other/x', and they have to be called stray/..."),
    (PROVIDERS, "twice", "good:LOCALS", "has a LocalModel among its models, which have to be PricedModels"),
]


@pytest.fixture
def site(tmp_path):
    """A folder of packages with one that is right."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "good.py").write_text(CODE)
    (site / "exits.py").write_text("raise SystemExit(3)")
    declare(site, "good", "1.0", FINE)
    return site


@pytest.fixture
def listed(call, here, site):
    """List the models of this process: their names, and what was left out."""

    def models():
        here(site)
        _, out, err = call("models", "--json")
        return {model["name"] for model in msgspec.json.decode(out)["models"]}, err.splitlines()

    return models


@pytest.mark.parametrize(
    ("group", "name", "value", "why"), BROKEN, ids=[f"{one[1]}={one[2]}" for one in BROKEN]
)
def test_what_is_broken_is_told_in_one_line_and_left_out(listed, site, group, name, value, why):
    declare(site, "bad", "0.1", {group: {name: value}})

    names, told = listed()

    said = [line for line in told if line.startswith("left out: ")]
    assert len(said) == 1
    assert said[0].startswith(f"left out: bad 0.1: {name} {why}")
    assert {"local/fine", "fine/paid", "local/lanczos", "fal/esrgan"} <= names
    assert name not in names - {"local/lanczos"}
    assert "Traceback" not in "".join(told)


def test_what_is_right_leaves_nothing_out(listed):
    names, told = listed()

    assert {"local/fine", "fine/paid"} <= names
    assert told == ["printed on import"]


def test_a_name_of_two_packages_is_neither_ones(listed, site):
    declare(site, "bad", "0.1", {MODELS: {"local/fine": "good:FINE"}})

    names, told = listed()

    assert "local/fine" not in names
    assert any(
        "local/fine is declared by several: bad 0.1 and good 1.0; remove all but one" in line for line in told
    )


def test_a_model_without_a_provider_is_left_out(listed, site):
    (site / "alone.py").write_text("from good import paid\nMODEL = paid('alone/x')\nLOST = paid('lost/x')")
    points = {
        MODELS: {"alone/x": "alone:MODEL", "lost/x": "alone:LOST"},
        PROVIDERS: {"lost": "nowhere:PLUGIN"},
    }
    declare(site, "bad", "0.1", points)

    names, told = listed()

    assert not {"alone/x", "lost/x"} & names
    assert (
        "left out: bad 0.1: alone/x has no provider: no package declares alone in batchup.providers" in told
    )
    assert "left out: bad 0.1: lost/x has no provider: lost is broken" in told


def test_a_model_that_is_declared_twice_by_one_package_makes_its_provider_broken(listed, site):
    (site / "double.py").write_text(
        "from good import *\nX = paid('double/x')\nPLUGIN = Plugin(open=lambda supplies: None, models=(X, X))"
    )
    declare(site, "bad", "0.1", {PROVIDERS: {"double": "double:PLUGIN"}})

    assert "left out: bad 0.1: double declares double/x twice" in listed()[1]


def test_metadata_that_cannot_be_read_is_told(listed, site):
    declare(site, "bad", "0.1", {})
    (site / "bad-0.1.dist-info/entry_points.txt").write_text("[batchup.models]\nthis is no line of it\n")

    names, told = listed()

    assert "local/fine" in names
    assert [line for line in told if "bad 0.1: declares what cannot be read" in line]


def test_of_a_package_that_is_there_twice_the_first_counts(here, site, tmp_path):
    declare(
        tmp_path / "later", "good", "0.9", {MODELS: {"local/fine": "nowhere:X", "local/old": "nowhere:X"}}
    )
    here(tmp_path / "later")
    here(site)

    assert plugins.find("local/fine").name == "local/fine"
    assert str(plugins.origin("local/fine")) == "good 1.0"
    assert "local/old" not in plugins.names()


def test_a_manifest_with_a_broken_model_is_told_why_and_where(call, here, site, tmp_path):
    declare(site, "bad", "0.1", {MODELS: {"local/gone": "nowhere:MODEL"}})
    here(site)

    status, _, err = call("validate", manifest(tmp_path, model="local/gone"))

    why = "cannot be imported: ModuleNotFoundError: No module named 'nowhere'"
    assert status == 2
    assert err.endswith(f'model: "local/gone" of bad 0.1 {why}\n')


def test_one_that_is_asked_for_by_name_is_told_too(call, here, site):
    declare(site, "bad", "0.1", {MODELS: {"local/gone": "nowhere:MODEL"}})
    here(site)

    status, _, err = call("models", "local/gone")

    assert status == 2
    assert "local/gone of bad 0.1 cannot be imported" in err


def test_a_model_whose_provider_is_broken_is_told_with_that(call, here, site, tmp_path):
    declare(site, "bad", "0.1", {MODELS: {"lost/x": "good:PAID"}, PROVIDERS: {"lost": "nowhere:PLUGIN"}})
    here(site)

    assert '"lost/x" of bad 0.1 calls itself' in call("validate", manifest(tmp_path, model="lost/x")).err
    assert (
        '"lost/y" cannot be used: bad 0.1: lost cannot be imported'
        in call("validate", manifest(tmp_path, model="lost/y")).err
    )


@pytest.mark.parametrize("question", ["size_of", "ext_of", "refusal"])
def test_a_model_that_fails_when_it_is_asked_is_told_in_one_line(call, here, site, tmp_path, question):
    (site / "fails.py").write_text(
        f"from good import paid\nfrom good import *\ndef no(*_): return 1 / 0\nX = paid('fine/fails', {question}=no)"
    )
    declare(site, "bad", "0.1", {MODELS: {"fine/fails": "fails:X"}})
    photo(tmp_path / "photos/a.png")
    here(site)

    status, _, err = call("plan", manifest(tmp_path, model="fine/fails"))

    assert status == 2
    assert err.splitlines()[-1].startswith("bad 0.1: fine/fails cannot tell ")
    assert err.endswith(": ZeroDivisionError: division by zero\n")


def test_nobody_who_does_not_use_it_hears_of_it(site, tmp_path):
    declare(site, "bad", "0.1", {MODELS: {"local/gone": "exits:MODEL"}})
    photo(tmp_path / "photos/a.png")

    done = batchup("run", manifest(tmp_path), "-q", cwd=tmp_path, env={"PYTHONPATH": str(site), "PATH": ""})

    assert done.stdout + done.stderr == ""
