"""The page in a real browser: what it shows, what its buttons and keys do, and for whom it can be used."""

from contextlib import asynccontextmanager

import anyio
import pytest

from batchup.rehearsal import Cut, Script, answers
from tests.dashboard.visitor import visiting
from tests.fal.job import DEAR, LOSSY, MODEL, Job, fal_of, forgive
from tests.report.job import EVIL

READY = "document.querySelector('#legend li') !== null"


@asynccontextmanager
async def opened(browser, manifest, **view):
    """Open the page of a job, and see to it that it logs no error and asks nobody else for anything."""
    async with visiting(manifest) as visitor:
        page = await browser.open(visitor.address.url, **view)
        await page.until(READY)
        yield page
        assert page.errors == []
        assert all(request.startswith((visitor.origin, "data:")) for request in page.requests)
        await page.go("about:blank")


def text(selector):
    return f"document.querySelector('{selector}').innerText"


async def test_the_address_is_cleaned_of_its_token(browser, job):
    async with opened(browser, job.manifest) as page:
        assert "token" not in await page.evaluate("location.href + document.referrer + document.cookie")
        assert await page.evaluate("history.length") <= 2


async def test_a_finished_job_is_shown_and_its_buttons_say_why_they_do_nothing(browser, job):
    async with opened(browser, job.manifest) as page:
        assert await page.evaluate(text("h1")) == "library"
        assert "19 of 29 (65%) done" in await page.evaluate(text("#legend"))
        assert await page.evaluate(text("#stage")) == "no run"

        await page.click("#pause")

        assert "No run is going on" in await page.until(text("#line"))
        assert (
            await page.evaluate("document.querySelectorAll('main [aria-disabled=true]').length") == 5 + 8 + 1
        )


async def test_a_name_that_is_an_attack_is_a_text(browser, job):
    async with opened(browser, job.manifest) as page:
        names = await page.evaluate("[...document.querySelectorAll('bdi')].map((one) => one.textContent)")
        assert f"photos/{EVIL.encode('unicode_escape').decode()}" in names
        assert "\u202e" not in await page.evaluate("document.body.textContent")
        assert (
            await page.evaluate("document.querySelectorAll('main script, main b:not(.pair b)').length") == 0
        )


async def test_before_and_after_are_shown_and_compared_with_the_keyboard_alone(browser, job):
    async with opened(browser, job.manifest) as page:
        await page.until("document.querySelectorAll('#fresh img').length >= 4")
        await page.until(
            "[...document.querySelectorAll('#fresh img')].every((one) => one.complete && one.naturalWidth)"
        )
        await page.evaluate("document.querySelector('#fresh li:nth-child(4) button').focus()")
        await page.press("Enter")
        await page.until("document.querySelectorAll('#compare img').length == 2")
        await page.until("[...document.querySelectorAll('#compare img')].every((one) => one.naturalWidth)")

        await page.evaluate("document.querySelector('#compare input').focus()")
        await page.press("Home")
        assert (
            await page.evaluate("document.querySelector('#compare .stage').style.getPropertyValue('--at')")
            == "0%"
        )

        await page.press("Escape")
        assert not await page.evaluate("document.querySelector('#task').open")


@pytest.mark.parametrize(("one", "other"), [(0, 1), (1, 0)], ids=["before leads", "after leads"])
async def test_what_is_done_to_one_video_is_done_to_the_other(browser, job, one, other):
    async with opened(browser, job.manifest) as page:
        await page.click("#fresh li:first-child button")
        await page.until("document.querySelectorAll('#compare video').length === 2")
        await page.until(
            "(window.films = [...document.querySelectorAll('#compare video')]).every((f) => f.readyState > 1)"
        )
        await page.evaluate(f"films[{one}].playbackRate = 0.5")
        await page.until(f"films[{other}].playbackRate === 0.5")
        await page.evaluate(f"films[{one}].play()")
        await page.until(f"films[{other}].currentTime > 0.05")
        await page.evaluate(f"films[{one}].currentTime = 1.2")
        await page.until(f"films[{other}].currentTime >= 1.1")
        await page.evaluate(f"films[{one}].pause()")
        await page.until(f"films[{other}].paused")
        await page.evaluate(f"films[{one}].currentTime = 0.3")
        await page.until(f"Math.abs(films[{other}].currentTime - 0.3) < 0.11")
        await page.press("Escape")


async def test_a_failure_tells_its_whole_story(browser, job):
    async with opened(browser, job.manifest) as page:
        await page.click("#failures button.item")

        story = await page.until("document.querySelectorAll('#story time').length && " + text("#story"))
        assert "Found: fal/aura-sr" in story
        assert "again in 1s: image_truncated" in story
        assert "Given up: image_truncated: the image is cut" in story


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390], ids=["desk", "phone"])
async def test_a_checker_of_accessibility_finds_nothing_serious(browser, job, width, dark):
    async with opened(browser, job.manifest, width=width, dark=dark) as page:
        assert await page.serious() == []
        await page.press("?")
        assert await page.serious() == []
        await page.press("?")
        await page.click("#held button.item")
        await page.until("document.querySelectorAll('#story time').length")
        assert await page.serious() == []


async def test_on_a_phone_nothing_is_wider_than_the_screen_and_fingers_find_their_buttons(browser, job):
    async with opened(browser, job.manifest, width=390, height=844) as page:
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        heights = await page.evaluate(
            "[...document.querySelectorAll('button:not(.item)')].map((one) => one.offsetHeight).filter(Boolean)"
        )
        assert min(heights) >= 44


async def test_a_run_is_steered_by_keys_alone(browser, tmp_path, monkeypatch):
    job = Job(tmp_path, f"{MODEL}\nrun: {{concurrency: 1}}", photos=30)
    async with (
        fal_of(monkeypatch, task_s=0.15),
        anyio.create_task_group() as group,
        opened(browser, job.file) as page,
    ):
        group.start_soon(job.run)
        await page.until(text("#stage") + " === 'running'")

        await page.press("p")
        await page.until(text("#stage") + " === 'paused'")
        await page.press("c")
        await page.type("#ask-value", "many")
        await page.press("Enter")
        assert "no number" in await page.until(text("#ask-error"))
        await page.type("#ask-value", "3")
        await page.press("Enter")
        await page.until("!document.querySelector('#ask').open")
        await page.press("r")
        await page.type("#ask-value", "900/min")
        await page.press("Enter")
        await page.until(text("#figures") + ".includes('900/min')")
        assert "At a time\n3" in await page.evaluate(text("#figures"))
        await page.press("p")
        await page.until(text("#stage") + " === 'running'")
        await page.press("d")
        await page.press("Enter")
        await page.until(text("#stage") + " === 'no run'")
    assert 0 < len(job.outputs()) < 30


async def test_every_button_of_two_runs_is_clicked_and_does_it_to_the_run_that_is_shown(
    browser, tmp_path, monkeypatch
):
    one = Job(tmp_path / "one", f"{DEAR}\nrun: {{concurrency: 1, budget: 3 USD}}", photos=12)
    other = Job(tmp_path / "other", f"{MODEL}\nrun: {{concurrency: 1}}", photos=40)

    async def change(button, value, then):
        await page.click(button)
        await page.type("#ask-value", value)
        await page.click("#ask-yes")
        await page.until(text("#figures") + f".includes('{then}')")
        await page.until("!document.querySelector('#ask').open")

    async with (
        fal_of(monkeypatch, task_s=0.1),
        anyio.create_task_group() as group,
        opened(browser, one.file) as page,
    ):
        group.start_soon(one.run)
        await page.until(text("#stage") + " === 'running'")
        await page.click("#pause")
        await page.until(text("#stage") + " === 'paused' && document.querySelector('#flight li') === null")
        begun = len(one.events("submitting"))
        group.start_soon(other.run)

        await page.click("#budget")
        assert await page.evaluate("document.querySelector('#ask-value').value") == "3 USD"
        await page.type("#ask-value", "lots")
        await page.click("#ask-yes")
        assert "lots" in await page.until(text("#ask-error"))
        await page.click("#ask .close")
        assert "Budget\n3.00 USD" in await page.evaluate(text("#figures"))
        await change("#budget", "0.64 USD", "Budget\\n0.64 USD")
        await change("#concurrency", "2", "At a time\\n2")
        await change("#rate", "50/s", "Rate limit\\n50/s")

        await page.click("#jobs li:nth-child(2) button")
        await page.until(text("#legend") + ".includes('of 40')")
        await page.click("#drain")
        await page.click("#ask-yes")
        await page.until(text("#stage") + " === 'no run'")
        assert [event["why"] for event in other.events("stopped")] == ["interrupted"]
        assert len(one.events("submitting")) == begun

        await page.click("#jobs li:nth-child(1) button")
        await page.until(text("#legend") + ".includes('of 12')")
        await page.click("#pause")
        await page.until(text("#stage") + " === 'no run'")
    assert [event["why"] for event in one.events("stopped")] == ["budget"]
    assert len(one.events("submitting")) == len(one.outputs()) == 8
    assert 0 < len(other.outputs()) < 40


async def test_failed_tasks_are_retried_and_a_held_one_released_after_their_price_was_shown(
    browser, tmp_path, monkeypatch
):
    job = Job(tmp_path, f"{DEAR}\n{LOSSY}\nrun: {{concurrency: 1}}\nretry: {{attempts: 1}}", photos=9)
    wrong = (
        Script("task", answers.model_error("content_policy_violation"), times=2),
        Script("submit", Cut("after"), nth=3),
        Script("history", answers.forbidden(), times=0),
    )
    async with (
        fal_of(monkeypatch, *wrong, task_s=0.15) as fal,
        anyio.create_task_group() as group,
        opened(browser, job.file) as page,
    ):
        group.start_soon(job.run)
        await page.until("!!document.querySelector('#held li') && !!document.querySelector('#failures li')")
        await page.press("p")
        await page.until(text("#stage") + " === 'paused' && document.querySelector('#flight li') === null")
        forgive(fal)

        await page.press("l")
        assert "costs about 0.080 USD" in await page.evaluate(text("#ask"))
        assert "may already have cost 0.080 USD" in await page.evaluate(text("#ask"))
        await page.click("#ask .close")
        assert len(fal.accepted) == len(job.events("submitting"))
        await page.click("#held button.item")
        await page.click("#task-tools button")
        await page.click("#ask-yes")
        await page.until("document.querySelector('dialog[open]') === null")
        await page.press("t")
        assert "0.080 USD" in await page.evaluate(text("#ask"))
        await page.press("Enter")
        await page.until("document.querySelector('dialog[open]') === null")
        await page.click("#failures li:last-child button:not(.item)")
        await page.click("#ask-yes")
        await page.until("document.querySelector('dialog[open]') === null")
        await page.press("p")
        await page.until(text("#legend") + ".includes('9 of 9')")
    again = {event["id"] for event in job.events() if event["event"] in {"failed", "held"}}
    submitted = [event["id"] for event in job.events("submitting")]
    assert len(again) == 3
    assert sorted(submitted) == sorted([*set(submitted), *again])
    assert len(job.outputs()) == 9


async def test_the_page_says_when_the_dashboard_has_ended_and_logs_no_error(browser, job):
    async with visiting(job.manifest) as visitor:
        page = await browser.open(visitor.address.url)
        await page.until(READY)

    assert "The dashboard has ended" in await page.until(text("#line"))
    await page.press("p")
    await page.click("#failures button.item")
    assert "The dashboard has ended" in await page.until(
        "document.querySelector('#story li')?.textContent != '…' && " + text("#story")
    )
    assert page.errors == []


async def test_another_page_in_the_same_browser_cannot_reach_it(browser, job):
    async with visiting(job.manifest) as visitor:
        page = await browser.open(visitor.address.url)
        await page.until(READY)
        base = await page.evaluate("location.href")
        # Another port of the same machine: to the browser the same site, and no same origin.
        async with visiting(job.manifest) as other:
            stranger = await browser.open(other.address.url)
            await stranger.until(READY)
            reach = f"""(async () => {{
                const got = [];
                for (const mode of ["cors", "no-cors"]) for (const method of ["GET", "POST"])
                    got.push(await fetch("{base}do", {{ method, mode, credentials: "include", body: method == "POST" ? "{{}}" : undefined }})
                        .then((answer) => answer.type + answer.status, () => "refused"));
                return got;
            }})()"""
            assert set(await stranger.evaluate(reach)) == {"refused"}
            await stranger.evaluate(
                f"document.body.append(Object.assign(document.createElement('iframe'), {{src: '{base}'}}))"
            )
            await anyio.sleep(0.1)
            assert await stranger.evaluate(
                "frames.length == 0 || (() => { try { return !frames[0].document.body.innerText } catch { return true } })()"
            )
