import json
import logging
import socket
import ssl
import traceback

import anyio
import pytest
from aiohttp import web
from yarl import URL

from batchup.errors import AnswerLostError, NotSentError, RejectedError, TransientError
from batchup.providers.fal.answers import failure
from batchup.providers.fal.api import Api, open_api
from batchup.providers.fal.wire import MAX_ANSWER_BYTES, Sending, open_wire
from tests.providers.fal.servers import KEY, Clock, read_request, serving, settings, speaking

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def ask(address, *args, connect_s=5.0, **options):
    async with open_api(settings(address), connect_s=connect_s, clock=Clock()) as api:
        return await api.ask(*args, **options)


async def test_a_call_carries_the_key_and_json_and_comes_back_whole():
    met = []

    async def handler(request):
        met.append((request.method, request.path_qs, request.headers, await request.json()))
        return web.json_response({"request_id": "1"}, headers={"X-Fal-Request-Id": "1"})

    async with serving(handler) as server:
        answer = await ask(
            server, "queue", "POST", "fal-ai/x?a=b", body={"scale": 2}, headers={"X-Fal-Store-IO": "0"}
        )

    [(method, path, headers, body)] = met
    assert (method, path, body) == ("POST", "/fal-ai/x?a=b", {"scale": 2})
    assert headers["Authorization"] == f"Key {KEY}"
    assert headers["X-Fal-Store-IO"] == "0"
    assert headers["Content-Type"] == "application/json"
    assert answer.status == 200
    assert answer.headers["x-fal-request-id"] == "1"
    assert answer.json() == {"request_id": "1"}


async def test_nothing_is_sent_to_an_address_of_somebody_else():
    met = []

    async def handler(request):
        met.append(request)
        return web.Response()

    async with serving(handler) as ours, serving(handler) as theirs:
        with pytest.raises(RejectedError) as raised:
            await ask(ours, "queue", "GET", f"{theirs}/fal-ai/x/requests/1/status")

    assert raised.value.kind == "foreign_origin"
    assert met == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_key_follows_no_redirect(method, status):
    met = []

    async def theirs(request):
        met.append(request)
        return web.Response()

    async with serving(theirs) as elsewhere:

        async def ours(_):
            return web.Response(status=status, headers={"Location": f"{elsewhere}/x"})

        async with serving(ours) as server:
            answer = await ask(server, "queue", method, "x")

    assert answer.status == status
    assert getattr(failure("submit", answer), "kind", "") == "redirected"
    assert met == []


def refused():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


async def test_a_refused_connection_sent_nothing():
    with pytest.raises(NotSentError) as met:
        await ask(refused(), "queue", "POST", "x", body={})

    assert met.value.kind == "not_connected"


async def test_a_name_without_an_address_sent_nothing():
    with pytest.raises(NotSentError):
        await ask("http://nowhere.invalid", "queue", "POST", "x", body={})


async def test_no_connection_in_time_sent_nothing():
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        with socket.socket() as one, socket.socket() as two:
            for waiting in (one, two):  # the backlog is full, and further connections get no answer
                waiting.setblocking(False)
                waiting.connect_ex(address)
            with pytest.raises(NotSentError) as met:
                await ask(f"http://127.0.0.1:{address[1]}", "queue", "POST", "x", body={}, connect_s=0.2)

    assert met.value.kind == "not_connected"


async def test_no_tls_sent_nothing():
    async def talk(_number, reader, writer):
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with speaking(talk) as server:
        with pytest.raises(NotSentError):
            await ask(server.replace("http:", "https:"), "queue", "POST", "x", body={})


@pytest.mark.parametrize(
    "said",
    [b"", b"HTTP/1.1 200", OK[:-1], b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}"],
    ids=["nothing", "half a head", "half a body", "half a chunk"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_cut_after_sending_loses_the_answer(method, said):
    async def talk(_number, reader, writer):
        await read_request(reader)
        writer.write(said)
        await writer.drain()

    async with speaking(talk) as server:
        with pytest.raises(AnswerLostError) as met:
            await ask(server, "queue", method, "x")

    assert met.value.kind == "answer_cut"


async def test_a_reset_before_anything_was_read_is_no_proof_that_nothing_arrived():
    async def talk(_number, _reader, writer):
        writer.transport.abort()

    async with speaking(talk) as server:
        with pytest.raises(AnswerLostError):
            await ask(server, "queue", "POST", "x", body={})


@pytest.mark.parametrize("said", [b"", OK[:-1]], ids=["nothing", "half a body"])
async def test_no_answer_in_time_is_a_lost_one(said):
    async def talk(_number, reader, writer):
        await read_request(reader)
        writer.write(said)
        await anyio.sleep_forever()

    async with speaking(talk) as server:
        with pytest.raises(AnswerLostError) as met:
            await ask(server, "queue", "POST", "x", body={}, within_s=0.1, connect_s=0.1)

    assert met.value.kind == "no_answer"


async def test_an_answer_without_end_is_lost():
    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(MAX_ANSWER_BYTES // (1 << 20) + 1):
            await response.write(bytes(1 << 20))
        return response

    async with serving(handler) as server:
        with pytest.raises(AnswerLostError) as met:
            await ask(server, "queue", "GET", "x")

    assert met.value.kind == "answer_too_large"


@pytest.mark.parametrize(("fresh_s", "met"), [(0.02, [1, 2, 3]), (60, [1, 1, 1])], ids=["idle", "just used"])
@pytest.mark.parametrize("service", ["queue", "run"])
async def test_a_paid_post_never_goes_out_on_a_connection_that_was_idle(service, fresh_s, met):
    numbers: list[int] = []

    async def talk(number, reader, writer):
        while await read_request(reader) is not None:
            numbers.append(number)
            writer.write(OK)

    async with speaking(talk) as server, open_wire(connect_s=5, clock=Clock(), fresh_s=fresh_s) as wire:
        api = Api(settings(server), wire)
        for _ in range(3):
            assert (await api.ask(service, "POST", "x", body={})).status == 200
            await anyio.sleep(0.03)

    assert numbers == met


async def test_a_paid_post_and_what_is_free_share_no_connection():
    met: list[int] = []

    async def talk(number, reader, writer):
        while await read_request(reader) is not None:
            met.append(number)
            writer.write(OK)

    async with speaking(talk) as server, open_api(settings(server), connect_s=5, clock=Clock()) as api:
        await api.ask("queue", "GET", "x")
        await api.ask("queue", "POST", "x", body={})

    assert met == [1, 2]


async def test_what_is_free_reuses_its_connection():
    met = []

    async def talk(number, reader, writer):
        while await read_request(reader) is not None:
            met.append(number)
            writer.write(OK)

    async with speaking(talk) as server, open_api(settings(server), connect_s=5, clock=Clock()) as api:
        for _ in range(3):
            await api.ask("queue", "GET", "x")
        await api.ask("rest", "POST", "x", body={})

    assert met == [1, 1, 1, 1]


async def sent_twice(method, secret=None):
    """Send over a kept connection that the server closes as the second request comes; return what it read."""
    met = []

    async def talk(number, reader, writer):
        met.append((number, (await read_request(reader)).split()[0]))
        writer.write(OK)
        await writer.drain()
        if number == 1:
            met.append((number, (await read_request(reader)).split()[0]))

    async with speaking(talk) as server, open_api(settings(server), connect_s=5, clock=Clock()) as api:
        sending = Sending(method, URL(server), {}, b"{}", secret)
        await api.wire.send(sending)
        error = None
        try:
            await api.wire.send(sending)
        except TransientError as raised:
            error = raised
    return met, error


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_aiohttp_sends_what_may_be_repeated_once_more_by_itself(method):
    met, error = await sent_twice(method)

    assert error is None
    assert [number for number, _ in met] == [1, 1, 2]


async def test_aiohttp_sends_no_post_again():
    met, error = await sent_twice("POST")

    assert type(error) is AnswerLostError
    assert [number for number, _ in met] == [1, 1]


def everything_said(error):
    """Return all that a log could hold of an error."""
    seen, texts = set(), [repr(error), *traceback.format_exception(error)]
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        texts += [repr(error), str(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
        f"HTTP/1.1 {KEY}\r\nX: {KEY}\r\n\r\n".encode(),
    ],
    ids=["nothing", "no HTTP", "half a body", "a bad length", "bad gzip", "too many headers", "the key"],
)
async def test_no_error_holds_the_key(said, caplog):
    caplog.set_level(logging.DEBUG)

    async def talk(_number, reader, writer):
        await read_request(reader)
        writer.write(said)
        await writer.drain()

    async with speaking(talk) as server:
        with pytest.raises(AnswerLostError) as met:
            await ask(server, "queue", "POST", "x", body={})

    assert met.value.__cause__ is None
    assert met.value.__context__ is None
    for text in (everything_said(met.value), caplog.text):
        assert KEY not in text
        assert KEY.partition(":")[2] not in text


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "http://nowhere.invalid", "https://127.0.0.1:1"])
async def test_no_error_of_connecting_holds_the_key(address):
    with pytest.raises(NotSentError) as met:
        await ask(address, "queue", "POST", "x", body={})

    assert KEY not in everything_said(met.value)


async def test_an_answer_that_says_the_key_is_told_without_it():
    async def handler(_):
        return web.json_response(
            {"detail": f"No such key: {KEY}"},
            status=422,
            headers={"X-Fal-Error-Type": "bad_request", "X-Key": KEY},
        )

    async with serving(handler) as server:
        answer = await ask(server, "queue", "POST", "x", body={})

    error = failure("submit", answer)
    assert str(error).endswith("No such key: … (bad_request)")
    assert KEY not in repr(answer)


async def test_a_wrong_certificate_sent_nothing(tmp_path):
    met = []

    async def handler(request):
        met.append(request)
        return web.Response()

    context = self_signed(tmp_path)
    if context is None:
        pytest.skip("no openssl to make a certificate with")
    runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.01)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        with pytest.raises(NotSentError) as raised:
            await ask(f"https://127.0.0.1:{runner.addresses[0][1]}", "queue", "POST", "x", body={})
    finally:
        await runner.cleanup()

    assert raised.value.kind == "certificate_invalid"
    assert met == []


def self_signed(folder):
    import shutil
    import subprocess

    if shutil.which("openssl") is None:
        return None
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-subj", "/CN=127.0.0.1", "-days", "1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_a_body_is_sent_as_the_json_that_it_is():
    met = []

    async def handler(request):
        met.append(await request.read())
        return web.Response(text="{}")

    body = {"image_url": "https://a/ü.png", "scale": 2, "noise": 0.1, "face": False, "seed": None}
    async with serving(handler) as server:
        await ask(server, "run", "POST", "x", body=body, within_s=None)

    assert json.loads(met[0]) == body
