"""A question on a page of this machine is answered once, by who has the token."""

import aiohttp
import anyio
import pytest

from batchup.approval import open_approval


async def sent(approval, *, answer="yes", token=None, host=None, method="POST"):
    """Send an answer as a browser would; return status and text."""
    fields = {"token": approval.token if token is None else token, "answer": answer}
    headers = {"Host": host} if host else {}
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method,
            approval.url,
            data=fields if method == "POST" else None,
            params=fields if method == "GET" else None,
            headers=headers,
        ) as reply,
    ):
        return reply.status, await reply.text(), reply.headers


@pytest.mark.parametrize(("answer", "said"), [("yes", True), ("no", False), ("perhaps", False)])
async def test_an_answer_is_taken_and_the_first_one_counts(answer, said):
    async with open_approval("Go on?") as approval:
        status, _, _ = await sent(approval, answer=answer)
        await sent(approval, answer="no" if said else "yes")

        assert (status, await approval.wait()) == (200, said)


@pytest.mark.parametrize(
    "wrong",
    [{"token": ""}, {"token": "guess"}, {"host": "evil.example"}, {"host": "localhost:1"}],
    ids=["no token", "wrong token", "rebound name", "another port"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_stranger_neither_sees_nor_answers_it(wrong, method):
    async with open_approval("Go on?") as approval:
        status, text, _ = await sent(approval, method=method, **wrong)

        assert status == 403
        assert "Go on?" not in text
        with anyio.move_on_after(0.05) as waited:
            await approval.wait()
        assert waited.cancelled_caught


async def test_its_own_page_asks_and_can_be_put_into_no_other():
    async with open_approval("The rest: 3 tasks for <1 USD>. Go on?") as approval:
        status, text, headers = await sent(approval, method="GET")

        assert status == 200
        assert "The rest: 3 tasks for &lt;1 USD&gt;. Go on?" in text
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
