import asyncio
import ipaddress
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from batchup.errors import RejectedError, TransientError
from batchup.transport import open_transport
from batchup.transport.addresses import (
    PrivateAddressError,
    PublicResolver,
    is_public,
    parsed,
    redirected,
    shown,
)
from batchup.transport.answers import retry_after_s, validator

BODY = bytes(range(256)) * 4000
HALF = len(BODY) // 2
OLD = "Mon, 01 Jan 2024 00:00:00 GMT"
NOW = datetime(2026, 11, 8, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Names(AbstractResolver):
    """Knows the names that a test gives it."""

    def __init__(self, **addresses: str) -> None:
        self.addresses = addresses

    async def resolve(self, host, port=0, family=socket.AF_INET):  # noqa: ARG002 - both families are given
        try:
            found = self.addresses[host.partition(".")[0]].split()
        except KeyError:
            raise OSError(None, "Name or service not known") from None
        return [self._result(host, address, port) for address in found]

    @staticmethod
    def _result(host, address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)

    async def close(self):
        pass


class Patient(Names):
    async def resolve(self, host, port=0, family=socket.AF_INET):  # noqa: ARG002 - it never gets that far
        await anyio.sleep_forever()


class Clock:
    def now_s(self):
        return 0.0

    def utc(self):
        return NOW

    async def sleep(self, seconds):
        pass


class Shelf:
    """A server's one file, which it cuts in the middle as often as it is told."""

    def __init__(self, body=BODY, *, cuts=0, ranges=True, **headers):
        self.body, self.cuts, self.ranges = body, cuts, ranges
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.asked: list[str] = []
        self.sent: list[int] = []
        self.arrived = asyncio.Event()

    def note(self, _part):
        """Take it that the client has written something."""
        self.arrived.set()

    async def __call__(self, request):
        self.asked.append(request.headers.get("Range", ""))
        start = self._start(request)
        if start > len(self.body):
            return web.Response(status=416)
        response = web.StreamResponse(status=206 if start else 200, headers=self.headers)
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
        response.content_length = len(self.body) - start
        await response.prepare(request)
        end = HALF if self.cuts else len(self.body)
        await response.write(self.body[start:end])
        self.sent.append(end - start)
        if self.cuts:
            self.cuts -= 1
            await self.arrived.wait()
            request.transport.close()
        return response

    def _start(self, request):
        asked, condition = request.headers.get("Range"), request.headers.get("If-Range")
        known = {self.headers.get("ETag"), self.headers.get("Last-Modified")}
        return int(asked[6:-1]) if asked and self.ranges and condition in known else 0


@asynccontextmanager
async def serving(handler, host="127.0.0.1"):
    """Yield the address of a real server that hands every request to *handler*."""
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.01)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, 0)
        await site.start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def fetch(handler, target, **options):
    """Download one file from a server that answers with *handler*."""
    async with serving(handler) as server, open_transport(clock=Clock()) as transport:
        await transport.download(f"{server}/photo.jpg", target, allow_private=True, **options)


async def fetch_cut_then_again(first, second, target):
    """Download from a server that cuts, then again from what stands there by then."""
    shelves = iter([first, second])
    serves = [next(shelves)]

    async def now(request):
        return await serves[0](request)

    async with serving(now) as server, open_transport() as transport:
        with pytest.raises(TransientError) as met:
            await transport.download(f"{server}/photo.jpg", target, allow_private=True, tell=first.note)
        assert met.value.kind == "download_cut"
        assert 0 < target.stat().st_size <= HALF
        serves[0] = next(shelves)
        await transport.download(f"{server}/photo.jpg", target, allow_private=True)


async def test_a_file_comes_whole_and_progress_is_told(tmp_path):
    told: list[float] = []

    await fetch(Shelf(), tmp_path / "part", tell=told.append)

    assert (tmp_path / "part").read_bytes() == BODY
    assert told == sorted(told)
    assert told[-1] == 1.0


async def test_what_lay_at_the_target_before_is_overwritten(tmp_path):
    target = tmp_path / "part"
    target.write_bytes(b"x" * len(BODY) * 2)

    await fetch(Shelf(), target)

    assert target.read_bytes() == BODY


async def test_a_request_says_who_asks_and_wants_no_compression(tmp_path):
    seen = {}

    async def notes(request):
        seen.update(request.headers)
        return web.Response(body=b"x")

    await fetch(notes, tmp_path / "part")

    assert seen["User-Agent"].startswith("batchup/0")
    assert seen["Accept-Encoding"] == "identity"


async def test_a_body_that_is_compressed_all_the_same_is_unpacked(tmp_path):
    async def packs(_request):
        response = web.Response(body=BODY)
        response.enable_compression(web.ContentCoding.gzip)
        response._compression_force = web.ContentCoding.gzip
        return response

    await fetch(packs, tmp_path / "part")

    assert (tmp_path / "part").read_bytes() == BODY


@pytest.mark.parametrize("known_by", [{"ETag": '"v1"'}, {"Last_Modified": OLD}], ids=["etag", "date"])
async def test_a_cut_download_is_continued_where_it_broke(known_by, tmp_path):
    shelf = Shelf(cuts=1, **known_by)

    await fetch_cut_then_again(shelf, shelf, tmp_path / "part")

    assert (tmp_path / "part").read_bytes() == BODY
    assert shelf.asked[1].startswith("bytes=")
    assert shelf.sent[1] < len(BODY)


@pytest.mark.parametrize(
    "second",
    [
        Shelf(BODY[::-1], ETag='"v2"'),
        Shelf(BODY[::-1], ETag='"v1"', ranges=False),
        Shelf(b"short", ETag='"v1"'),
    ],
    ids=["changed", "ignores ranges", "shrunk"],
)
async def test_what_cannot_be_continued_is_fetched_from_its_beginning(second, tmp_path):
    await fetch_cut_then_again(Shelf(cuts=1, ETag='"v1"'), second, tmp_path / "part")

    assert (tmp_path / "part").read_bytes() == second.body
    assert second.asked[0].startswith("bytes=")


async def test_a_rest_that_calls_itself_another_version_is_not_appended(tmp_path):
    class Careless(Shelf):
        def _start(self, request):  # ignores If-Range
            return int(request.headers.get("Range", "bytes=0-")[6:-1])

    other = Careless(BODY[::-1], ETag='"v2"')

    await fetch_cut_then_again(Shelf(cuts=1, ETag='"v1"'), other, tmp_path / "part")

    assert (tmp_path / "part").read_bytes() == BODY[::-1]
    assert other.asked[0].startswith("bytes=")
    assert other.asked[1:] == [""]


@pytest.mark.parametrize("known_by", [{}, {"ETag": 'W/"v1"'}], ids=["nothing", "weak etag"])
async def test_without_a_strong_validator_nothing_is_continued(known_by, tmp_path):
    shelf = Shelf(cuts=1, **known_by)

    await fetch_cut_then_again(shelf, shelf, tmp_path / "part")

    assert (tmp_path / "part").read_bytes() == BODY
    assert shelf.asked == ["", ""]


async def test_a_part_that_is_gone_from_disk_is_fetched_again(tmp_path):
    target = tmp_path / "part"
    shelf = Shelf(cuts=1, ETag='"v1"')
    async with serving(shelf) as server, open_transport() as transport:
        with pytest.raises(TransientError):
            await transport.download(f"{server}/a", target, allow_private=True, tell=shelf.note)
        target.unlink()

        await transport.download(f"{server}/a", target, allow_private=True)

    assert target.read_bytes() == BODY
    assert shelf.asked == ["", ""]


async def test_a_part_of_another_url_is_not_continued(tmp_path):
    shelf = Shelf(cuts=1, ETag='"v1"')
    async with serving(shelf) as server, open_transport() as transport:
        with pytest.raises(TransientError):
            await transport.download(f"{server}/a", tmp_path / "part", allow_private=True, tell=shelf.note)

        await transport.download(f"{server}/b", tmp_path / "part", allow_private=True)

    assert shelf.asked == ["", ""]


async def test_a_cancelled_download_is_continued(tmp_path):
    target = tmp_path / "part"
    shelf = Shelf(ETag='"v1"')
    async with serving(shelf) as server, open_transport() as transport:
        with anyio.CancelScope() as scope:
            await transport.download(
                f"{server}/a", target, allow_private=True, tell=lambda _part: scope.cancel()
            )
        assert scope.cancelled_caught
        assert 0 < target.stat().st_size < len(BODY)

        await transport.download(f"{server}/a", target, allow_private=True)

    assert target.read_bytes() == BODY
    assert shelf.asked[1].startswith("bytes=")


async def test_a_chunked_body_that_is_cut_is_no_file(tmp_path):
    async def cuts(request):
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(BODY[:1000])
        request.transport.close()
        return response

    with pytest.raises(TransientError) as met:
        await fetch(cuts, tmp_path / "part")

    assert met.value.kind == "download_cut"


@pytest.mark.parametrize("after", ["headers", "first bytes"])
async def test_a_stalled_download_is_given_up(after, tmp_path):
    async def stalls(request):
        if after == "first bytes":
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b"x")
        await asyncio.Event().wait()

    async with serving(stalls) as server, open_transport(stall_s=0.1) as transport:
        with pytest.raises(TransientError, match="nothing came for too long") as met:
            await transport.download(f"{server}/a", tmp_path / "part", allow_private=True)

    assert met.value.kind == "download_stalled"


async def test_a_slow_download_that_goes_on_is_no_stall(tmp_path):
    async def drips(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(8):
            await asyncio.sleep(0.05)
            await response.write(b"x")
        return response

    async with serving(drips) as server, open_transport(stall_s=0.2) as transport:
        await transport.download(f"{server}/a", tmp_path / "part", allow_private=True)

    assert (tmp_path / "part").read_bytes() == b"x" * 8


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "url_refused"),
        (403, "url_refused"),
        (404, "url_not_found"),
        (410, "url_not_found"),
        (416, "url_refused"),
        (204, "url_refused"),
        (206, "url_refused"),
        (304, "url_refused"),
    ],
)
async def test_a_status_that_will_not_change_rejects_the_task(status, kind, tmp_path):
    async def answers(_request):
        return web.Response(status=status)

    with pytest.raises(RejectedError, match=f"HTTP {status}") as met:
        await fetch(answers, tmp_path / "part")

    assert met.value.kind == kind
    assert not (tmp_path / "part").exists()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(408, "server_error"), (429, "rate_limited"), (500, "server_error"), (503, "server_error")],
)
async def test_a_status_that_may_pass_is_tried_again_when_the_server_says(status, kind, tmp_path):
    async def answers(_request):
        return web.Response(status=status, headers={"Retry-After": "7"})

    with pytest.raises(TransientError, match=f"HTTP {status}") as met:
        await fetch(answers, tmp_path / "part")

    assert (met.value.kind, met.value.retry_after_s) == (kind, 7.0)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 12 "}, 12.0),
        ({"Retry-After": "Sun, 08 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Sunday, 08-Nov-26 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Sun Nov  8 12:00:30 2026"}, 30.0),
        ({"Retry-After": "Sun, 08 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "Sun, 08 Nov 2026 13:00:30 GMT", "Date": "Sun, 08 Nov 2026 13:00:00 GMT"}, 30.0),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "9" * 5000}, None),
        ({"Retry-After": "Sun, 99 Nov 2026 12:00:30 GMT"}, None),
    ],
    ids=lambda value: str(value)[:60],
)
def test_retry_after_is_read_as_seconds_and_as_a_date(headers, expected):
    assert retry_after_s(headers, NOW) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"ETag": '"a"', "Last-Modified": OLD}, '"a"'),
        ({"ETag": 'W/"a"', "Last-Modified": OLD}, ""),
        ({"Last-Modified": OLD, "Date": "Mon, 01 Jan 2024 00:00:01 GMT"}, OLD),
        ({"Last-Modified": OLD, "Date": OLD}, ""),
        ({"Last-Modified": OLD}, ""),
        ({"ETag": '"a"', "Content-Encoding": "gzip"}, ""),
    ],
    ids=str,
)
def test_only_strong_validators_are_kept(headers, expected):
    assert validator(headers) == expected


async def test_an_error_of_the_own_disk_is_not_taken_for_one_of_the_network(tmp_path):
    with pytest.raises(FileNotFoundError):
        await fetch(Shelf(), tmp_path / "missing" / "part")


async def test_nobody_there_is_tried_again(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a"
        async with open_transport() as transport:
            with pytest.raises(TransientError, match="could not connect") as met:
                await transport.download(url, tmp_path / "part", allow_private=True)

    assert met.value.kind == "not_connected"


async def test_a_name_that_is_not_found_is_tried_again(tmp_path):
    async with open_transport(resolver=Names()) as transport:
        with pytest.raises(TransientError, match="could not connect") as met:
            await transport.download("http://photos.example/a", tmp_path / "part")

    assert met.value.kind == "not_connected"


async def test_a_name_server_that_never_answers_counts_as_no_connection(tmp_path):
    async with open_transport(resolver=Patient(), connect_s=0.05) as transport:
        with pytest.raises(TransientError, match="no connection in time") as met:
            await transport.download("http://photos.example/a", tmp_path / "part")

    assert met.value.kind == "not_connected"


async def test_garbage_instead_of_http_is_tried_again(tmp_path):
    async def garbage(reader, writer):
        await reader.readline()
        writer.write(b"220 ftp.example ready\r\n")
        writer.close()

    server = await asyncio.start_server(garbage, "127.0.0.1", 0)
    async with server, open_transport() as transport:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a"
        with pytest.raises(TransientError) as met:
            await transport.download(url, tmp_path / "part", allow_private=True)

    assert met.value.kind == "download_cut"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "[fe80::1%25lo]",
        "localhost",
        "\N{FULLWIDTH DIGIT ONE}\N{FULLWIDTH DIGIT TWO}\N{FULLWIDTH DIGIT SEVEN}.0.0.1",
    ],
)
async def test_an_address_of_a_private_network_is_refused(host, tmp_path):
    async with serving(Shelf()) as server, open_transport() as transport:
        with pytest.raises(RejectedError, match="allow_private: true") as met:
            await transport.download(f"http://{host}:{URL(server).port}/a", tmp_path / "part")

    assert met.value.kind == "private_address"


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0177.0.0.1", "0x7f.1", "127.0.0.1."])
async def test_an_address_that_hides_its_numbers_is_refused(host, tmp_path):
    async with open_transport() as transport:
        with pytest.raises(RejectedError) as met:
            await transport.download(f"http://{host}/a", tmp_path / "part")

    assert met.value.kind in {"private_address", "url_invalid"}


@pytest.mark.parametrize("addresses", ["127.0.0.1", "::1", "93.184.215.14 10.0.0.1"])
async def test_a_name_is_refused_if_any_of_its_addresses_is_private(addresses, tmp_path):
    async with open_transport(resolver=Names(photos=addresses)) as transport:
        with pytest.raises(RejectedError, match=r"photos\.example is at") as met:
            await transport.download("http://photos.example/a", tmp_path / "part")

    assert met.value.kind == "private_address"


async def test_a_name_is_looked_up_once_for_its_check_and_its_use():
    class Rebinding(Names):
        async def resolve(self, host, port=0, family=socket.AF_INET):
            found = await super().resolve(host, port, family)
            self.addresses["photos"] = "127.0.0.1"
            return found

    resolver = PublicResolver(Rebinding(photos="93.184.215.14"))

    found = await resolver.resolve("photos.example", 80)

    assert [result["host"] for result in found] == ["93.184.215.14"]
    with pytest.raises(PrivateAddressError):
        await resolver.resolve("photos.example", 80)


async def test_a_private_name_is_fetched_where_that_is_allowed(tmp_path):
    async with serving(Shelf()) as server, open_transport(resolver=Names(nas="127.0.0.1")) as transport:
        url = f"http://nas.example:{URL(server).port}/a"

        await transport.download(url, tmp_path / "part", allow_private=True)
        with pytest.raises(RejectedError, match="private network"):  # though a connection is open
            await transport.download(url, tmp_path / "part")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("100.64.0.1", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::127.0.0.1", False),
        ("fc00::1", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::a00:1", False),
    ],
)
def test_public_is_what_one_host_on_the_internet_can_have(address, public):
    assert is_public(ipaddress.ip_address(address)) is public


async def test_redirects_are_followed_relative_and_absolute(tmp_path):
    async def leads(request):
        if request.path == "/photo.jpg":
            return web.Response(status=302, headers={"Location": "b?x=%2F"})
        if request.path == "/b":
            assert request.raw_path == "/b?x=%2F"
            raise web.HTTPPermanentRedirect(f"http://127.0.0.1:{request.url.port}/c")
        return web.Response(body=b"here")

    await fetch(leads, tmp_path / "part")

    assert (tmp_path / "part").read_bytes() == b"here"


async def test_a_redirect_without_a_place_is_refused(tmp_path):
    async def leads(_request):
        return web.Response(status=302)

    with pytest.raises(RejectedError, match="HTTP 302"):
        await fetch(leads, tmp_path / "part")


async def test_redirects_in_a_circle_end(tmp_path):
    seen = []

    async def leads(request):
        seen.append(request.path)
        raise web.HTTPFound("/again")

    with pytest.raises(RejectedError, match="more than 10 redirects"):
        await fetch(leads, tmp_path / "part")

    assert len(seen) == 11


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://photos.example/a", "http://[::1"])
async def test_a_redirect_to_what_is_no_web_address_is_refused(to, tmp_path):
    async def leads(_request):
        return web.Response(status=302, headers={"Location": to})

    with pytest.raises(RejectedError, match="leads to") as met:
        await fetch(leads, tmp_path / "part")

    assert met.value.kind == "url_refused"


@pytest.mark.parametrize(
    "text", ["photo.jpg", "", "ftp://host/a", "http://", "http://host:99999/", "http://a..b/"]
)
async def test_what_is_no_web_address_is_refused(text, tmp_path):
    async with open_transport() as transport:
        with pytest.raises(RejectedError) as met:
            await transport.download(text, tmp_path / "part")

    assert met.value.kind == "url_invalid"


def test_a_redirect_from_https_to_plain_http_is_refused():
    with pytest.raises(RejectedError, match="from https to plain http"):
        redirected(URL("https://photos.example/a"), "http://photos.example/a", "photo")


async def test_a_user_and_password_go_to_their_own_origin_only(tmp_path):
    seen = {}

    async def other(request):
        seen["other"] = request.headers.get("Authorization")
        return web.Response(body=b"x")

    async with serving(other) as elsewhere, open_transport() as transport:

        async def leads(request):
            seen[request.path] = request.headers.get("Authorization")
            raise web.HTTPFound("/b" if request.path == "/a" else f"{elsewhere}/c")

        async with serving(leads) as server:
            url = str(URL(server).with_user("me").with_password("secret")) + "/a"
            await transport.download(url, tmp_path / "part", allow_private=True)

    assert seen["/a"] == seen["/b"] == "Basic bWU6c2VjcmV0"
    assert seen["other"] is None


async def test_cookies_are_not_kept(tmp_path):
    seen = []

    async def bakes(request):
        seen.append(request.headers.get("Cookie"))
        return web.Response(body=b"x", headers={"Set-Cookie": "id=1"})

    async with serving(bakes, "localhost") as server, open_transport() as transport:
        for _ in range(2):
            await transport.download(f"{server}/a", tmp_path / "part", allow_private=True)

    assert seen == [None, None]


@pytest.mark.parametrize(
    "text",
    [
        "http://me:secret@photos.example/a?sig=secret#secret",
        "http://me:se/secret@photos.example/a",
        "http://me:secret@[bad/a?sig=secret",
        "ftp://me:secret@photos.example/a?x=secret",
        "http://photos.example:99999/a?sig=secret",
    ],
)
async def test_no_message_holds_what_is_secret_in_a_url(text, tmp_path):
    async with open_transport(resolver=Names(photos="10.0.0.1")) as transport:
        with pytest.raises(RejectedError) as met:
            await transport.download(text, tmp_path / "part")

    assert "secret" not in str(met.value)
    assert "secret" not in repr(met.value.__cause__)


@pytest.mark.parametrize(
    "text",
    ["https://h.example/a%2Fb?sig=%7E%2f%20", "https://h.example/a/../b", "https://h.example/a'(1).jpg"],
)
def test_a_url_that_needs_no_quoting_is_sent_as_it_is_written(text):
    assert str(parsed(text)) == text


@pytest.mark.parametrize(
    "text",
    ["https://h.example/a/b-c_d~e.png", "http://127.0.0.1:43567/a", "http://h:8080/a", "https://a--b.c/d/e"],
)
def test_a_plain_url_is_what_it_is_to_everybody(text):
    url, known = parsed(text), URL(text)

    assert (url, hash(url), str(url)) == (known, hash(known), text)
    assert (url.host, url.port, url.path, url.parts) == (known.host, known.port, known.path, known.parts)


def test_a_url_with_spaces_and_umlauts_is_quoted():
    url = parsed("https://bücher.example/ein bild.jpg")

    assert shown(url) == "https://xn--bcher-kva.example/ein%20bild.jpg"


async def test_the_proxy_of_the_environment_is_used(tmp_path, monkeypatch):
    seen = []

    async def proxy(request):
        seen.append((request.raw_path, request.headers.get("Proxy-Authorization")))
        return web.Response(body=b"through")

    async with serving(proxy) as server:
        monkeypatch.setenv("http_proxy", str(URL(server).with_user("me").with_password("secret")))
        async with open_transport(resolver=Names(photos="93.184.215.14")) as transport:
            await transport.download("http://photos.example/a", tmp_path / "part")
            await transport.download("http://only-the-proxy-knows.example/b", tmp_path / "part")

    assert (tmp_path / "part").read_bytes() == b"through"
    assert seen == [
        ("http://photos.example/a", "Basic bWU6c2VjcmV0"),
        ("http://only-the-proxy-knows.example/b", "Basic bWU6c2VjcmV0"),
    ]


@pytest.mark.parametrize("to", ["http://127.0.0.1:{port}/a", "http://10.0.0.1/a", "http://nas.example/a"])
async def test_a_redirect_into_a_private_network_is_refused(to, tmp_path, monkeypatch):
    seen = []

    async def public(request):
        seen.append(request.raw_path)
        raise web.HTTPFound(to.format(port=request.transport.get_extra_info("sockname")[1]))

    names = Names(photos="93.184.215.14", nas="192.168.1.2")
    async with serving(public) as server:
        # A proxy stands in for the internet: a test reaches no public address otherwise.
        monkeypatch.setenv("http_proxy", server)
        async with open_transport(resolver=names) as transport:
            with pytest.raises(RejectedError, match="private network") as met:
                await transport.download("http://photos.example/a", tmp_path / "part")

    assert met.value.kind == "private_address"
    assert seen == ["http://photos.example/a"]


async def test_this_machine_is_not_reached_through_a_proxy(tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://192.0.2.1:9")

    await fetch(Shelf(), tmp_path / "part")

    assert (tmp_path / "part").read_bytes() == BODY


async def test_a_proxy_of_an_unknown_kind_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "socks5://me:secret@proxy.example:1080")

    async with open_transport() as transport:
        with pytest.raises(RejectedError, match=r"socks5://proxy\.example") as met:
            await transport.download("http://photos.example/a", tmp_path / "part")

    assert met.value.kind == "proxy_unusable"


@pytest.mark.parametrize(
    ("status", "error"), [(403, RejectedError), (407, RejectedError), (502, TransientError)]
)
async def test_a_proxy_that_opens_no_tunnel_is_an_error_by_its_status(status, error, tmp_path, monkeypatch):
    async def proxy(_request):
        return web.Response(status=status)

    async with serving(proxy) as server:
        monkeypatch.setenv("https_proxy", server)
        async with open_transport(resolver=Names()) as transport:
            with pytest.raises(error, match=f"the proxy .*HTTP {status}"):
                await transport.download("https://photos.example/a", tmp_path / "part")


async def test_downloads_run_side_by_side_and_each_is_right(tmp_path):
    async def sends(request):
        return web.Response(body=request.path.encode() * 10_000)

    async with serving(sends) as server, open_transport() as transport, anyio.create_task_group() as group:

        async def bring(name):
            await transport.download(f"{server}/{name}", tmp_path / name, allow_private=True)

        for number in range(50):
            group.start_soon(bring, str(number))

    assert all((tmp_path / str(n)).read_bytes() == f"/{n}".encode() * 10_000 for n in range(50))
