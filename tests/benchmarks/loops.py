"""What batchup is measured against: loops that keep no state, run as ``python -m tests.benchmarks.loops NAME IN OUT``.

Each does what is asked of the platform for a task, and nothing more: no record, no check, no retry.
"""

import asyncio
import os
import sys
from pathlib import Path

ENDPOINT = "fal-ai/aura-sr"
BODY = {"upscaling_factor": 4, "overlapping_tiles": False, "checkpoint": "v2"}
IN_FLIGHT = 64
POLL_S = 0.1


async def bare(photos: list[Path], folder: Path) -> None:
    """The plainest loop there is, with nothing but asyncio and aiohttp."""
    import aiohttp

    key = {"Authorization": f"Key {os.environ['FAL_KEY']}"}
    rest, queue = os.environ["FAL_REST_URL"], os.environ["FAL_QUEUE_URL"]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        url = f"{rest}/storage/auth/token?storage_type=fal-cdn-v3"
        async with http.post(url, json={}, headers=key) as answer:
            token = await answer.json()
        storage = f"{token['base_url']}/files/upload"
        sender = {
            "Authorization": f"{token['token_type']} {token['token']}",
            "Content-Type": "image/png",
            "X-Fal-File-Name": "input.png",
        }

        async def one(photo: Path) -> None:
            async with http.post(storage, data=photo.read_bytes(), headers=sender) as answer:  # noqa: ASYNC240 - as bare as a loop can be
                body = {"image_url": (await answer.json())["access_url"], **BODY}
            async with http.post(f"{queue}/{ENDPOINT}", json=body, headers=key) as answer:
                ticket = await answer.json()
            while True:
                async with http.get(ticket["status_url"], headers=key) as answer:
                    if (await answer.json())["status"] == "COMPLETED":
                        break
                await asyncio.sleep(POLL_S)
            async with http.get(ticket["response_url"], headers=key) as answer:
                result = await answer.json()
            async with http.get(result["image"]["url"]) as answer:
                (folder / photo.name).write_bytes(await answer.read())

        await _each(photos, one)


async def official(photos: list[Path], folder: Path) -> None:
    """fal-client as its own documentation uses it; outputs come by its HTTP library."""
    import fal_client
    import httpx

    for name, variable in {"RUN_URL_FORMAT": "RUN", "QUEUE_URL_FORMAT": "QUEUE"}.items():
        setattr(fal_client.client, name, os.environ[f"FAL_{variable}_URL"] + "/")
    fal_client.client.REST_URL = os.environ["FAL_REST_URL"]
    fal_client.client.CDN_URL = os.environ["BENCH_CDN_URL"]
    client = fal_client.AsyncClient(key=os.environ["FAL_KEY"])
    async with httpx.AsyncClient() as http:

        async def one(photo: Path) -> None:
            url = await client.upload_file(photo, fallback_repository=[])
            body = {"image_url": url, **BODY}
            result = await client.subscribe(ENDPOINT, body)
            answer = await http.get(result["image"]["url"])
            (folder / photo.name).write_bytes(answer.content)

        await _each(photos, one)


async def _each(photos: list[Path], one) -> None:
    left = iter(photos)

    async def work() -> None:
        for photo in left:
            await one(photo)

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(work())


if __name__ == "__main__":
    name, photos, out = sys.argv[1:]
    Path(out).mkdir()
    asyncio.run({"bare": bare, "official": official}[name](sorted(Path(photos).iterdir()), Path(out)))
