"""Before money is spent it is said how much, and how much of that a budget lets a run spend."""

import pytest
from anyio import to_thread

from batchup.cli.agree import priced
from batchup.coverage import Caps, cover
from batchup.history import History
from batchup.manifest import load
from batchup.manifest.quantities import usd
from batchup.plan import Choice
from batchup.survey import survey
from tests.cli.told import NOW, Job
from tests.cli.typist import Typist
from tests.fal.job import DEAR, fal_of
from tests.fal.job import Job as FalJob
from tests.library import batchup


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        (None, "3 tasks to run for 0.24 USD."),
        ("1 USD", "3 tasks to run for 0.24 USD."),
        ("0.2 USD", "3 tasks to run for 0.24 USD; the budget covers 2 of them, for 0.16 USD."),
        ("0.05 USD", "3 tasks to run for 0.24 USD; the budget covers none of them."),
    ],
    ids=["no budget", "all", "some", "none"],
)
def test_a_price_is_told_with_what_the_budget_covers_of_it(tmp_path, call, budget, told):
    job = Job(tmp_path, call)
    for number in range(3):
        job.photo(f"{number}.png", 16 + number)
    manifest, history = load(job.file), History()
    plan = survey(manifest, history, Choice(), NOW)

    coverage = cover(plan, Caps.of(manifest, usd(budget) if budget else None), history, "listed")

    assert priced(plan, coverage) == told


@pytest.mark.parametrize("limit", [1, 2], ids=["the first of two", "both"])
async def test_a_script_pays_again_for_what_is_done_only_with_yes_whatever_else_is_done_with_the_input(
    tmp_path, monkeypatch, limit
):
    job = FalJob(tmp_path, f"{DEAR}\nmatrix: {{upscale_factor: [2, 3]}}", photos=1)
    async with fal_of(monkeypatch) as fal:
        await job.run(limit=limit)
        job.write(
            "model: fal/topaz-image\nparams: {output_format: png, face_enhancement: false}\n"
            "matrix: {upscale_factor: [2, 3]}"
        )

        refused = await to_thread.run_sync(lambda: batchup("run", job.file, cwd=tmp_path, status=2))

        assert "would be paid for again" in refused.stderr
        assert len(fal.accepted) == limit


async def test_whoever_is_asked_before_a_run_sees_both_the_whole_price_and_the_budgets_part(
    tmp_path, monkeypatch
):
    job = FalJob(tmp_path, DEAR, photos=3)
    async with fal_of(monkeypatch) as fal:

        def attend():
            with Typist("run", job.file, "--budget", "0.2 USD", cwd=tmp_path) as person:
                asked = person.until("Go on? [y/N]")
                assert "0.24 USD; the budget covers 2 of them, for 0.16 USD." in asked
                person.type("n\n")
                return person.end()

        assert await to_thread.run_sync(attend) == 2
        assert not fal.accepted
