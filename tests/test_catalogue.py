"""Models at the prices that hold for one manifest and its history."""

from decimal import Decimal

import pytest

from batchup.catalogue import Catalogue
from batchup.experience import Experience
from batchup.manifest import load
from batchup.source import Media, Source
from batchup.task import Task
from tests.library import manifest

MP = 1_000_000
PHOTO = Media("image", "PNG", 1000, 1000)
SOURCE = Source("photos", "a.png", size_bytes=1, mtime_ns=1, media=PHOTO)


@pytest.fixture
def catalogue(tmp_path):
    """Make a catalogue whose model *name* has done tasks of 4 MP at these prices."""

    def made(*charges, name="fal/esrgan", text=""):
        experience = Experience()
        for usd in charges:
            experience.learn(name, 4 * MP, 1.0, usd)
        return Catalogue(load(manifest(tmp_path, text, model=name)), experience=experience)

    return made


def priced(catalogue, name="fal/esrgan"):
    model = catalogue.find(name)
    return model.price_usd(model.params(), PHOTO)


def task(cost_usd, name="fal/esrgan", side=2000):
    usd = None if cost_usd is None else Decimal(cost_usd)
    return Task("0a" * 16, name, {}, {}, SOURCE, "a.png", side, side, usd)


def test_a_price_that_only_the_work_tells_is_at_first_what_is_stated(catalogue):
    assert priced(catalogue()) == Decimal("0.0046")


def test_then_it_is_what_earlier_tasks_were_charged(catalogue):
    assert priced(catalogue("0.02")) == Decimal("0.02")
    assert priced(catalogue(*["0.001"] * 5)) == Decimal("0.001")


def test_a_price_of_the_manifest_by_the_second_is_learned_too(catalogue):
    one = catalogue("0.09", name="fal/crystal", text="prices: {fal/crystal: 0.001 USD/s}")

    assert priced(one, "fal/crystal") == Decimal("0.09")


@pytest.mark.parametrize("name", ["fal/crystal", "fal/aura-sr", "fal/topaz-image"])
def test_a_price_that_can_be_worked_out_is_not_learned(catalogue, name):
    assert priced(catalogue("5.00", name=name), name) == priced(catalogue(name=name), name)


def test_what_a_unit_of_work_was_charged_never_comes_from_an_estimate(catalogue):
    model = catalogue("0.02").fal("fal/esrgan")

    assert model.charged_usd(model.params(), PHOTO, model.size(model.params(), PHOTO)) == Decimal("0.0046")


def test_a_reservation_follows_what_was_learned_since_the_plan(catalogue):
    planned = task("0.0046")

    assert catalogue().price_now(planned) == Decimal("0.0046")
    assert catalogue("0.02").price_now(planned) == Decimal("0.02")
    assert catalogue("0.02").price_now(task("0.0092", side=4000)) == Decimal("0.08")


@pytest.mark.parametrize(
    "planned",
    [task("0.06", "fal/crystal"), task("0", "local/lanczos"), task(None), task("0.5", side=0)],
    ids=["known", "free", "unknown", "of unknown size"],
)
def test_all_other_reservations_are_what_was_planned(catalogue, planned):
    assert catalogue("0.02").price_now(planned) == planned.cost_usd
