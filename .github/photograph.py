"""Photographs the report and the dashboard for the README, from a real run: ``python .github/photograph.py .github``.

The demo's pictures are upscaled in a folder of their own, slowly enough that the dashboard is seen at work; headless
Chromium opens both pages.
"""  # noqa: INP001 - a script, no package

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import anyio

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from tests.browser import FLAGS, NAMES, _address, connected  # noqa: E402 - where it is, is known only now

WIDTH, HEIGHT = 1100, 900
JOB = """version: 1
name: holiday
inputs: [{path: photos}]
model: local/lanczos
matrix: {scale: [2, 4]}
rules: [{match: {kind: video}, skip: true}]
run: {concurrency: 1, rate: 2/s}
output: {dir: upscaled}
"""
BATCHUP = [sys.executable, "-m", "batchup"]


def dashboard_of(run: "subprocess.Popen[str]") -> str:
    """Return the address that a run gives of its dashboard."""
    assert run.stderr
    return next(line for line in run.stderr if line.startswith("dashboard: ")).split()[1]


async def photograph(debugger: str, url: str, target: Path, *, after_s: float, at: str = "body") -> None:
    """Take a picture of a page from the element *at* on, *after_s* seconds after it was opened."""
    async with connected(debugger) as browser:
        page = await browser.open(url, width=WIDTH, height=HEIGHT)
        await page.evaluate(f"document.querySelector('{at}').scrollIntoView()")
        await anyio.sleep(after_s)
        await page.screenshot(target)


def take_both(folder: Path, debugger: str, target: Path) -> None:
    """Run the job in *folder*, and take a picture of each page."""
    environment = {**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen(  # noqa: S603 - our own command line
        [*BATCHUP, "run", "job.yaml", "--dashboard"],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    anyio.run(lambda: photograph(debugger, dashboard_of(run), target / "dashboard.png", after_s=8))
    run.communicate()
    subprocess.run([*BATCHUP, "report", "job.yaml", "-q"], cwd=folder, env=environment, check=True)  # noqa: S603 - as above
    report = (folder / "upscaled/.batchup/holiday.html").as_uri()
    anyio.run(lambda: photograph(debugger, report, target / "report.png", after_s=2, at="#gallery"))


def main(target: Path) -> None:
    """Take both pictures."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise SystemExit("no Chromium is installed; on Debian: apt-get install chromium")
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        subprocess.run(  # noqa: S603 - our own script
            [sys.executable, ROOT / "jobs/samples.py", folder / "photos"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (folder / "job.yaml").write_text(JOB)
        chromium = subprocess.Popen(  # noqa: S603 - found by its name
            [program, *FLAGS.split(), f"--user-data-dir={folder / 'chromium'}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            take_both(folder, _address(folder / "chromium/DevToolsActivePort", chromium), target)
        finally:
            chromium.terminate()
            chromium.wait()


main(Path(sys.argv[1]).absolute())
