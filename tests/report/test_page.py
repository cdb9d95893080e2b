"""The page in a real browser."""

from importlib import import_module

import pytest

from tests.library import events, photo
from tests.report.job import EVIL, MODELS, Story, report, written

CARDS = "document.querySelectorAll('.card').length"
TOLD = "document.getElementById('told').textContent"
OPEN = "document.getElementById('viewer').open"
SIDES = "[...document.querySelectorAll('#stage .zooms')]"
READY = f"{SIDES}.length > 1 && {SIDES}.every((one) => one.naturalWidth || one.readyState > 1)"
SLIDER = "document.querySelector('img-comparison-slider')"
PHOTO = ".card:has([title='0.jpg'])"


@pytest.fixture
async def page(browser, job):
    opened = await browser.open(job.page.as_uri())
    yield opened
    assert opened.errors == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []


async def look_at(page, name):
    """Open the viewer on the first task of an input."""
    await page.type("#find", name)
    await page.until(f"{CARDS} > 0 && {CARDS} < 10")
    await page.click(".card")
    await page.until(OPEN)


async def test_it_tells_what_happened_in_a_sentence_with_counts_cost_and_charts(page):
    text = await page.evaluate("document.body.innerText")

    assert "19 of 29 tasks are done, 8 failed, 1 held, 1 still to do, for 0.38 USD." in text
    assert "0.58 USD\nestimated, for all" in text or "estimated, for all\n0.58 USD" in text
    assert await page.evaluate(
        "[...document.querySelectorAll('svg[role=img] desc')].every((d) => d.textContent)"
    )


async def test_counts_and_the_ends_of_the_curves_are_what_the_ledger_tells(page, job):
    told = events(job.folder / "out/.batchup/library.jsonl")
    ends = {
        kind: len({one["id"] for one in told if one["event"] == kind}) for kind in ("done", "failed", "held")
    }
    spent = sum(float(one["charged_usd"]) for one in told if one["event"] == "done")
    # The level of a curve's end, read off the rows of numbers as a person would.
    drawn = await page.evaluate("""Object.fromEntries([...document.querySelectorAll(".chart path.line")].map((line) => {
        const svg = line.closest("svg");
        const base = Number(svg.querySelector(".axis").getAttribute("y1"));
        const [row, text] = [svg.querySelector(".grid"), svg.querySelector("text.row")];
        const usual = Number(text.textContent.replace(",", "")) / (base - Number(row.getAttribute("y1")));
        const end = Number(line.getAttribute("d").split(" ").at(-1));
        return [line.classList[1], (base - end) * usual];
    }))""")
    counts = await page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('.counts dl > div')].map((one) => [one.className, one.lastChild.textContent]))"
    )

    assert drawn == {
        "done": pytest.approx(ends["done"], rel=0.02),
        "failed": pytest.approx(ends["failed"], rel=0.02),
        "spent": pytest.approx(spent, rel=0.02),
    }
    assert {kind: int(counts[kind]) for kind in ends} == ends
    assert counts["pending"] == "1"


async def test_thumbnails_lie_beside_the_page_where_they_are_too_many_to_be_in_it(
    browser, tmp_path, monkeypatch
):
    story = Story()
    story.run()
    for number in range(3):
        photo(tmp_path / f"photos/{number}.jpg", (640, 480), seed=number)
        photo(tmp_path / f"out/{number}.png", (640, 480), seed=number)
        story.done(story.task(f"{number}.jpg", MODELS[0], f"{number}.png"), f"{number}.png")
    job = written(tmp_path, story.events)
    monkeypatch.setattr(import_module("batchup.report.write"), "MOST_EMBEDDED_BYTES", 1000)

    report(job, "--output", tmp_path / "new/r.html")
    page = await browser.open((tmp_path / "new/r.html").as_uri())
    await page.evaluate("document.getElementById('gallery').scrollIntoView()")
    await page.until(
        f"{CARDS} === 3 && [...document.querySelectorAll('.card img')].every((one) => one.naturalWidth)"
    )
    sources = await page.evaluate("[...document.querySelectorAll('.card img')].map((one) => one.src)")

    beside = (tmp_path / "new/.r.thumbnails").as_uri()
    assert [source.rpartition("/")[0] for source in sources] == [beside] * 3
    assert "data:image/webp" not in (tmp_path / "new/r.html").read_text()
    assert page.errors == []


async def test_failures_are_grouped_with_what_to_do_and_lead_to_their_pictures(page):
    heads = await page.evaluate("[...document.querySelectorAll('.failures h3')].map((h) => h.innerText)")

    await page.click("[data-find=content_policy_violation]")

    assert [head.split() for head in heads] == [["content_policy_violation", "7"], ["image_truncated", "1"]]
    assert await page.evaluate(TOLD) == "7 of 29 tasks"


@pytest.mark.parametrize(
    ("act", "left"),
    [
        ("document.querySelector('[data-state=failed]').click()", "8 of 29 tasks"),
        ("set('model', [...document.getElementById('model').options].find((o) => o.text == 'fal/crystal').value)", "4 of 29 tasks"),
        ("set('folder', 'photos/summer')", "9 of 29 tasks"),
        ("set('find', 'AURA winter')", "2 of 29 tasks"),
        ("set('find', 'no such picture')", "0 of 29 tasks"),
    ],
    ids=["state", "model", "folder with those below", "words", "nothing"],
)  # fmt: skip
async def test_the_gallery_is_filtered_by(page, act, left):
    await page.evaluate(
        "window.set = (id, to) => { const e = document.getElementById(id); e.value = to;"
        " e.dispatchEvent(new Event('input', {bubbles: true})) }"
    )

    await page.evaluate(act)

    await page.until(f"{TOLD} === {left!r}")
    await page.until(f"{CARDS} === {int(left.split()[0])}")


async def test_the_slider_moves_by_key_and_by_mouse(page):
    await look_at(page, "winter/0.jpg")
    await page.until(READY)

    await page.press("ArrowRight", hold_s=0.1)
    by_key = await page.evaluate(f"{SLIDER}.value")
    x, y = await page.place("#stage")
    await page.drag((x, y), (x - 300, y))

    assert by_key > 50
    assert await page.evaluate(f"{SLIDER}.value") < 40
    assert await page.evaluate(f"{SLIDER}.getAttribute('aria-valuenow')") == str(
        round(await page.evaluate(f"{SLIDER}.value"))
    )


async def test_zoom_and_pan_are_the_same_on_both_sides(page):
    await look_at(page, "winter/0.jpg")
    await page.until(READY)

    await page.wheel("#stage", -600)
    await page.until("document.getElementById('stage').scale > 2")
    x, y = await page.place("#stage")
    await page.drag((x + 200, y + 100), (x + 300, y + 150))
    await page.press("ArrowUp", shift=True)

    views = await page.evaluate(f"{SIDES}.map((one) => getComputedStyle(one).transform)")
    assert views[0] == views[1] != "none"
    assert await page.evaluate(f"{SLIDER}.value") == 50
    pans = await page.evaluate(f"(() => {{ const m = new DOMMatrix({views[0]!r}); return [m.e, m.f] }})()")
    assert abs(pans[0] - 100) < 2
    assert pans[1] > 50


async def test_the_wheel_zooms_into_what_lies_under_the_pointer(page):
    await look_at(page, "winter/0.jpg")
    await page.until(READY)
    x, y = await page.place("#stage")

    await page.call("Input.dispatchMouseEvent", type="mouseWheel", x=x + 200, y=y, deltaX=0, deltaY=-400)
    scale = await page.until(
        "(document.getElementById('stage').scale > 1.5) * document.getElementById('stage').scale"
    )

    moved = await page.evaluate(f"new DOMMatrix(getComputedStyle({SIDES}[0]).transform).e")
    assert moved == pytest.approx(200 * (1 - scale), abs=2)


async def test_several_models_are_compared_side_by_side_for_one_input(page):
    await look_at(page, "winter/0.jpg")

    await page.click("[name=mode][value=all]")
    await page.until(READY)

    captions = await page.evaluate(
        "[...document.querySelectorAll('#stage figcaption')].map((c) => c.textContent)"
    )
    assert [caption.split(" ·")[0].split("96")[0].strip() for caption in captions] == [
        "Before",
        "fal/seedvr-image",
        "fal/aura-sr, upscale_factor 4",
        "fal/crystal",
    ]


async def test_any_two_results_can_lie_under_the_slider(page):
    await look_at(page, "winter/0.jpg")

    await page.evaluate(
        "(() => { const e = document.getElementById('left'); e.value = 3; e.dispatchEvent(new Event('change')) })()"
    )
    await page.until(READY)

    sources = await page.evaluate(f"{SIDES}.map((one) => one.src.split('/').pop())")
    assert sources == ["0-crystal.png", "0-seedvr-image.png"]


@pytest.fixture
async def films(page):
    """Look at the two videos; in the page, `films` is both of them and `apart` how far they are from one another."""
    await look_at(page, "film.webm")
    await page.until(f"{SIDES}.length === 2 && {READY}")
    await page.evaluate(
        f"window.films = {SIDES}; window.apart = () => Math.abs(films[0].currentTime - films[1].currentTime); null"
    )
    return page


async def test_videos_play_side_by_side_and_in_step_also_when_one_lags(films):
    await films.evaluate(
        "document.addEventListener('ratechange', (event) => event.stopImmediatePropagation(), true)"
    )

    await films.click("#play")
    await films.until("films.every((film) => film.currentTime > 0.1)")
    await films.evaluate("films[1].playbackRate = 0.0625")
    await films.until("films[0].currentTime > 0.9")

    assert await films.evaluate("apart()") < 0.2
    assert await films.evaluate("document.getElementById('play').textContent") == "Pause"


@pytest.mark.parametrize(("one", "other"), [(0, 1), (1, 0)], ids=["before leads", "after leads"])
async def test_what_is_done_to_one_video_is_done_to_the_other(films, one, other):
    await films.evaluate(f"films[{one}].playbackRate = 0.5")
    await films.until(f"films[{other}].playbackRate === 0.5")
    await films.evaluate(f"films[{one}].play()")
    await films.until(f"films[{other}].currentTime > 0.05")
    await films.evaluate(f"films[{one}].currentTime = 1.2")
    await films.until(f"films[{other}].currentTime >= 1.2")
    await films.evaluate(f"films[{one}].pause()")
    await films.until(f"films[{other}].paused")
    await films.until("document.getElementById('play').textContent === 'Play'")
    await films.evaluate(f"films[{one}].currentTime = 0.3")
    await films.until(f"Math.abs(films[{other}].currentTime - 0.3) < 0.05")
    assert await films.evaluate("Math.abs(document.getElementById('seek').value - 0.15)") < 0.03


async def test_a_moment_that_is_sought_is_sought_in_both_videos(films):
    await films.evaluate("document.getElementById('seek').focus()")
    await films.press("End")
    await films.until("films.every((film) => film.currentTime > 1.5)")
    await films.press("Home")

    await films.until("films.every((film) => film.currentTime < 0.05)")


async def test_what_no_browser_shows_has_a_preview(page):
    await look_at(page, "scan.tif")

    await page.until(READY)

    assert await page.evaluate(f"{SIDES}.map((one) => one.naturalWidth)") == [80, 160]


async def test_a_name_that_is_an_attack_is_text(page):
    await look_at(page, "alert")

    shown = await page.evaluate("document.getElementById('viewer-name').textContent")

    assert shown == EVIL.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b").replace("\n", "\\n")
    await page.until(READY)
    assert await page.evaluate("document.querySelectorAll('script').length") == 5


async def test_all_of_it_can_be_done_by_keyboard(page):
    await page.evaluate("document.getElementById('order').focus()")
    await page.until(f"{CARDS} > 0")
    for _ in range(5):  # four states, then the gallery is one stop
        await page.press("Tab")
    await page.press("ArrowRight")
    await page.press("Enter")
    await page.until(OPEN)
    await page.until(READY)
    await page.press("n")
    await page.press("Escape")
    await page.until(f"!{OPEN}")

    await page.until("document.activeElement.dataset.place === '2'")


async def test_a_task_without_a_result_shows_what_there_is_and_what_was_said(page):
    await look_at(page, "cut.jpg")

    assert "image_truncated: the image is cut" in await page.evaluate(
        "document.getElementById('viewer').innerText"
    )
    assert "There is no file of it on this machine." in await page.evaluate(
        "document.getElementById('stage').innerText"
    )


async def test_on_paper_there_are_the_pictures_and_nothing_to_click(page):
    await page.call("Emulation.setEmulatedMedia", media="print")
    await page.evaluate("dispatchEvent(new Event('beforeprint'))")

    await page.until("[...document.querySelectorAll('.card img')].every((one) => one.complete)")
    assert await page.evaluate(CARDS) == 29
    assert await page.evaluate("getComputedStyle(document.getElementById('filters')).display") == "none"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390], ids=["wide", "phone"])
async def test_a_checker_finds_nothing_serious_and_nothing_runs_over_the_edge(browser, job, dark, width):
    page = await browser.open(job.page.as_uri(), width=width, dark=dark)

    await page.evaluate("document.getElementById('gallery').scrollIntoView()")
    await page.until(f"{CARDS} > 0")
    found = await page.serious()
    await page.click(PHOTO)
    await page.until(READY)
    found += await page.serious()

    assert found == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
