"""Who has no token sees and changes nothing, and neither does another web page or a name that was rebound."""

import re
from contextlib import asynccontextmanager

import aiohttp
import pytest
from yarl import URL

from batchup.dashboard.door import Door
from batchup.dashboard.server import open_dashboard
from batchup.manifest import load
from batchup.transport.addresses import is_loopback
from tests.dashboard.visitor import visiting
from tests.ledger.samples import task_id

TASK = task_id(1)
SECRET = re.compile(rb"photos|library|r-[0-9a-f]{32}|PNG|JFIF")
"""What would give a job away."""


def paths(key):
    return [
        "",
        "events",
        f"events?job={key}",
        f"story/{key}/{TASK}",
        f"thumbnail/{key}/{TASK}/input",
        f"whole/{key}/{TASK}/output",
    ]


@asynccontextmanager
async def asked(visitor, method, path, **options):
    """Ask as somebody who shares nothing with *visitor* but the address."""
    async with (
        aiohttp.ClientSession() as stranger,
        stranger.request(method, visitor.base + path, **options) as got,
    ):
        yield got, await got.content.read(100_000)


async def test_the_token_becomes_a_cookie_that_no_script_reads_and_the_address_is_cleaned(visitor):
    async with visitor.http.get(visitor.address.url, allow_redirects=False) as answer:
        [cookie] = answer.headers.getall("Set-Cookie")

    assert answer.status == 303
    assert visitor.origin + answer.headers["Location"] == visitor.base
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert f"Path={answer.headers['Location']}" in cookie
    assert visitor.address.url.rpartition("=")[2] not in cookie + visitor.base


async def test_every_dashboard_has_a_token_cookie_and_path_of_its_own(job):
    manifest = load(job.manifest)
    async with open_dashboard(manifest) as one, open_dashboard(manifest) as other:
        assert one.url.rpartition("=")[2] != other.url.rpartition("=")[2]
    doors = Door("127.0.0.1"), Door("127.0.0.1")
    assert len({door.path for door in doors} | {door._cookie for door in doors}) == 4


@pytest.mark.parametrize("given", ["", "?token=", "?token=wrong", "?token=%00%ff%ed", "?token=a&token=b"])
async def test_without_the_token_nobody_comes_in(visitor, given):
    address = URL(f"{visitor.origin}/{given}", encoded=True)
    async with aiohttp.ClientSession() as stranger, stranger.get(address, allow_redirects=False) as answer:
        text = await answer.text()

    assert answer.status == 403
    assert "token" in text
    assert "Set-Cookie" not in answer.headers
    assert visitor.base.split("/")[-2] not in text


@pytest.mark.parametrize(
    "number", range(6), ids=["page", "events", "events of a job", "story", "thumbnail", "file"]
)
async def test_with_the_cookie_all_of_it_can_be_read(visitor, number):
    async with visitor.http.get(visitor.base + paths(visitor.key)[number]) as answer:
        assert answer.status == 200
        body = await answer.content.readany()

    assert number == 0 or b"data:" in body or SECRET.search(body)


@pytest.mark.parametrize(
    "number", range(6), ids=["page", "events", "events of a job", "story", "thumbnail", "file"]
)
async def test_without_the_cookie_nothing_can_be_read(visitor, number):
    async with asked(visitor, "GET", paths(visitor.key)[number]) as (answer, body):
        assert answer.status == 403
        assert not SECRET.search(body)


@pytest.mark.parametrize("cookie", ["", "wrong", "é"], ids=["empty", "wrong", "not ascii"])
async def test_a_wrong_cookie_is_none(visitor, cookie):
    [own] = visitor.http.cookie_jar
    headers = {"Cookie": f"{own.key}={cookie}"}
    async with asked(visitor, "GET", f"story/{visitor.key}/{TASK}", headers=headers) as (answer, body):
        assert answer.status == 403
        assert not SECRET.search(body)


async def test_without_the_cookie_nothing_can_be_changed(visitor):
    wish = {"job": visitor.key, "do": "drain"}
    async with asked(visitor, "POST", "do", json=wish, headers={"Origin": visitor.origin}) as (answer, _):
        assert answer.status == 403


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example",
        "localhost.evil",
        "10.0.0.1",
        "",
        "[::1",
        "a@localhost",
    ],
)
async def test_under_a_rebound_name_nothing_can_be_read_even_with_cookie_and_token(visitor, host):
    name = host.format(port=visitor.address.port)
    for path in (visitor.address.url, *(visitor.base + path for path in paths(visitor.key))):
        async with visitor.http.get(path, headers={"Host": name}) as answer:
            assert answer.status in {400, 403}
            assert not SECRET.search(await answer.content.read(100_000))
            assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST:9", "127.0.0.1", "[::1]:80"])
async def test_a_tunnel_may_have_another_port_and_another_name_of_this_machine(visitor, name):
    status, body, _ = await visitor.get(f"story/{visitor.key}/{TASK}", Host=name)

    assert status == 200
    assert SECRET.search(body)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_another_page_reads_nothing_and_changes_nothing_even_with_the_cookie(visitor, headers):
    for path in paths(visitor.key):
        status, body, _ = await visitor.get(path, **headers)
        assert status == 403
        assert not SECRET.search(body)
    wish = {"job": visitor.key, "do": "drain"}
    given = {"Origin": visitor.origin, **headers}
    async with visitor.http.post(f"{visitor.base}do", json=wish, headers=given) as answer:
        assert answer.status == 403


async def test_a_command_without_an_origin_is_refused(visitor):
    async with visitor.http.post(f"{visitor.base}do", json={"job": visitor.key, "do": "drain"}) as answer:
        assert answer.status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_only_a_post_is_a_command(visitor, method):
    headers = {"Origin": visitor.origin}
    wish = {"job": visitor.key, "do": "drain"}
    async with visitor.http.request(method, f"{visitor.base}do", json=wish, headers=headers) as answer:
        assert answer.status == 405
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ('{"do": "drain"}', "application/json", 400),
        ('{"job": "KEY", "do": "erase"}', "application/json", 400),
        ('{"job": "KEY", "do": "drain", "path": "/"}', "application/json", 400),
        ('{"job": "KEY", "do": "drain"}', "text/plain", 415),
        ("\xff", "application/json", 400),
        ('{"job": "' + "x" * 5000 + '", "do": "drain"}', "application/json", 413),
        ('{"job": "nothing", "do": "drain"}', "application/json", 404),
    ],
    ids=["no job", "no such command", "more than is known", "a form", "no json", "too long", "no such job"],
)
async def test_what_is_no_command_is_refused(visitor, body, kind, status):
    headers = {"Origin": visitor.origin, "Content-Type": kind}
    data = body.replace("KEY", visitor.key).encode("latin-1")
    async with visitor.http.post(f"{visitor.base}do", data=data, headers=headers) as answer:
        assert answer.status == status


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2fetc%2fpasswd",
        "photos%2f1.jpg",
        "library.yaml",
        "0" * 31,
        "0" * 33,
        TASK.upper(),
        TASK[:-1] + "%00",
        "é" * 32,
    ],
)
@pytest.mark.parametrize(
    "what", ["story/{key}/{name}", "whole/{key}/{name}/input", "thumbnail/{key}/{name}/output"]
)
async def test_a_path_is_no_task(visitor, what, name):
    status, body, _ = await visitor.get(what.format(key=visitor.key, name=name))

    assert status == 404
    assert not SECRET.search(body)


async def test_a_task_that_is_not_of_this_job_has_no_story_and_no_file(visitor):
    stranger = "0" * 32

    assert (await visitor.get(f"story/{visitor.key}/{stranger}"))[:2] == (200, b"[]")
    for side in ("input", "output"):
        assert (await visitor.get(f"whole/{visitor.key}/{stranger}/{side}"))[:2] == (204, b"")


@pytest.mark.parametrize("path", ["", "events", f"story/KEY/{TASK}", f"whole/KEY/{TASK}/input", "nothing"])
async def test_every_answer_says_that_it_may_not_be_framed_sniffed_or_kept(visitor, path):
    async with visitor.http.get(visitor.base + path.replace("KEY", visitor.key)) as answer:
        headers = answer.headers

    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Server" not in headers


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", None),
        (b"<!doctype html><script>alert(1)</script>", None),
        (b"\x89PNG\r\n\x1a\n<script>", "image/png"),
        (b"", None),
    ],
    ids=["svg", "html", "what begins like a PNG", "empty"],
)
async def test_a_file_is_shown_as_what_it_is_or_not_at_all(tmp_path, job, content, kind):
    folder = tmp_path / "copy"
    (folder / "out/.batchup").mkdir(parents=True)
    (folder / "photos/winter").mkdir(parents=True)
    (folder / "library.yaml").write_text(job.manifest.read_text())
    ledger = job.folder / "out/.batchup/library.jsonl"
    (folder / "out/.batchup/library.jsonl").write_bytes(ledger.read_bytes())
    (folder / "photos/winter/0.jpg").write_bytes(content)

    async with visiting(folder / "library.yaml") as visitor:
        await visitor.told()
        for size in ("whole", "thumbnail"):
            status, body, headers = await visitor.get(f"{size}/{visitor.key}/{TASK}/input")

            assert (status, body) == ((204, b"") if kind is None else (200, content))
            assert headers.get("Content-Type") == kind
            assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "names", "called", "is_known"),
    [
        ("127.0.0.1", [], "192.168.0.7", False),
        ("192.168.0.7", [], "192.168.0.7", True),
        ("0.0.0.0", [], "192.168.0.7", True),
        ("0.0.0.0", [], "[fe80::1]", True),
        ("0.0.0.0", [], "evil.example", False),
        ("127.0.0.1", ["Proxy.example"], "proxy.example", True),
    ],
)
def test_names_of_this_machine_are_known_and_no_others(host, names, called, is_known):
    assert Door(host, names)._is_own(called) is is_known


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("nas", False),
    ],
)
def test_what_only_this_machine_reaches_is_told_apart(host, own):
    assert is_loopback(host) is own
