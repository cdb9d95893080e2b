"""The question on the report's page, clicked in a real browser."""

import anyio
import pytest

from batchup.approval import open_approval
from batchup.cli.report import open_report
from batchup.manifest import load
from batchup.report import write
from batchup.report.page import Question
from tests.report.job import Story, written

ASKED = "The rest: 3 tasks for 0.24 USD. Go on?"


@pytest.mark.parametrize("answer", ["yes", "no"])
async def test_a_click_on_the_reports_page_decides(browser, tmp_path, answer):
    story = Story()
    story.run()
    job = written(tmp_path, story.events)
    manifest = load(job.manifest)
    async with open_approval(ASKED) as approval:
        question = Question(ASKED, approval.url, approval.token)
        with open_report(manifest) as told:
            file = write(told, manifest, job.page, question=question).file
        page = await browser.open(file.as_uri())
        assert ASKED in await page.evaluate("document.querySelector('.question').innerText")

        await page.click(f"button[value={answer}]")

        with anyio.fail_after(10):
            assert await approval.wait() is (answer == "yes")
        said = {"yes": "The run goes on", "no": "Nothing more is run"}[answer]
        await page.until(f"document.body?.innerText.includes({said!r})")
        assert page.errors == []
