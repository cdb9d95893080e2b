"""Prices that only the work tells: estimated from what earlier tasks took."""

from decimal import Decimal

import pytest

from batchup.rehearsal import Chance, Delay, Faults
from tests.fal.job import Job, fal_of
from tests.library import photo

MODEL = "model: fal/esrgan\nparams: {output_format: png}"


async def test_what_earlier_tasks_took_is_what_later_ones_reserve(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nprices: {{fal/esrgan: 1 USD/s}}", photos=6)
    slow = Faults(chances=(Chance("task", Delay(0.03), 1.0),))
    async with fal_of(monkeypatch, faults=slow, prices={"fal-ai/esrgan": "1"}):
        assert await job.tasks() == {"done": 6}
        for number in range(6, 8):
            photo(job.folder / f"photos/{number}.png", size=(48, 36), seed=number)
        assert await job.tasks() == {"done": 8}

    first, later = job.events("submitting")[0], job.events("submitting")[6:]
    charged = [Decimal(one["charged_usd"]) for one in job.events("done")[:6]]
    stated = Decimal(2) * 96 * 72 / 10**6
    assert Decimal(first["reserved_usd"]) == stated
    assert min(charged) > stated
    assert Decimal(later[0]["reserved_usd"]) == pytest.approx(max(charged))


async def test_a_price_that_was_learned_makes_no_old_task_new(tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nprices: {{fal/esrgan: 1 USD/s}}")
    async with fal_of(monkeypatch, prices={"fal-ai/esrgan": "1"}) as fal:
        await job.run()

        again = await job.run()

        assert again.plan.to_run == 0
        assert len(fal.accepted) == 3
    assert len(job.events("task")) == 3


async def test_a_done_task_tells_the_pixels_that_it_wrote(tmp_path, monkeypatch):
    job = Job(tmp_path, MODEL, photos=1)
    async with fal_of(monkeypatch):
        await job.run()

    assert [one["pixels"] for one in job.events("done")] == [96 * 72]
