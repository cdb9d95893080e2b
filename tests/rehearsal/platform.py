"""What a client without any cleverness does with the platform, for tests that look at each step."""

import hashlib
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
from PIL import Image

from batchup.rehearsal import Fal, Settings, open_fal
from tests.videos import make_video

BLANK = {"outputs": "blank", "task_s": 0.0}

INPUTS: dict[str, dict[str, Any]] = {
    "fal-ai/aura-sr": {"checkpoint": "v2"},
    "fal-ai/seedvr/upscale/image": {"upscale_factor": 2, "output_format": "png"},
    "fal-ai/esrgan": {"scale": 2},
    "fal-ai/topaz/upscale/image": {"upscale_factor": 2, "output_format": "jpeg"},
    "fal-ai/crystal-upscaler": {"scale_factor": 3},
    "fal-ai/seedvr/upscale/video": {"upscale_factor": 2},
    "fal-ai/bytedance-upscaler/upscale/video": {},
    "fal-ai/topaz/upscale/video": {"upscale_factor": 2},
}
"""Endpoint -> some parameters."""


def is_video(endpoint: str) -> bool:
    return endpoint.endswith("/video")


def photo(path: Path, size=(48, 36), **save) -> Path:
    picture = Image.new("RGB", size)
    picture.putdata(
        [(x * 5 % 256, y * 7 % 256, (x + y) % 256) for y in range(size[1]) for x in range(size[0])]
    )
    picture.save(path, **save)
    return path


def sample(folder: Path, endpoint: str) -> Path:
    """Write something that *endpoint* takes: 48x36 pixels, half a second."""
    if is_video(endpoint):
        return make_video(folder / "clip.mp4", seconds=0.4, size=(48, 36))
    return photo(folder / "photo.png")


class Client:
    def __init__(self, fal: Fal, session: aiohttp.ClientSession) -> None:
        self.fal = fal
        self.http = session
        self.key = {"Authorization": f"Key {fal.settings.key}"}

    def url(self, service: str, path: str) -> str:
        return self.fal.addresses[service] + path

    async def token(self) -> dict[str, str]:
        url = self.url("rest", "/storage/auth/token?storage_type=fal-cdn-v3")
        async with self.http.post(url, json={}, headers=self.key) as answer:
            assert answer.status == 200
            found = await answer.json()
        return {"Authorization": f"{found['token_type']} {found['token']}"}

    async def upload(self, content: bytes, name="photo.png", **headers) -> str:
        sent = {**await self.token(), "X-Fal-File-Name": name, **headers}
        async with self.http.post(self.url("cdn", "/files/upload"), data=content, headers=sent) as answer:
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["access_url"])

    async def submit(self, endpoint: str, body: object, **headers) -> Any:
        sent = {**self.key, **headers}
        async with self.http.post(self.url("queue", f"/{endpoint}"), json=body, headers=sent) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def get(self, url: str) -> tuple[int, Any]:
        async with self.http.get(url, headers=self.key) as answer:
            return answer.status, await answer.json()

    async def completed(self, ticket: Any) -> Any:
        while True:
            status, found = await self.get(ticket["status_url"])
            assert status == (200 if found["status"] == "COMPLETED" else 202)
            if status == 200:
                return found
            await anyio.sleep(0.002)

    async def outcome(self, endpoint: str, body: object, **headers) -> tuple[int, Any, Any]:
        """Run a request to its end; return the result's status, body and the last standing."""
        ticket = await self.submit(endpoint, body, **headers)
        standing = await self.completed(ticket)
        return *await self.get(ticket["response_url"]), standing

    async def download(self, url: str, **headers) -> bytes:
        async with self.http.get(url, headers=headers) as answer:
            assert answer.status in {200, 206}
            return await answer.read()


@asynccontextmanager
async def opened(**settings):
    """A fal of our own and a client for it."""
    async with open_fal(Settings(**settings)) as fal, aiohttp.ClientSession() as session:
        yield Client(fal, session)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
