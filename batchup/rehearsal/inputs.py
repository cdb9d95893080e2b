"""Inputs: the file that a request's address leads to. Nothing beyond this machine is ever asked."""

import base64
import binascii
import hashlib
import ipaddress
from pathlib import Path
from typing import NamedTuple

import aiohttp
from anyio import to_thread
from yarl import URL

from batchup.errors import RejectedError
from batchup.media import probe
from batchup.rehearsal.answers import Answer, WorkError, model_error
from batchup.rehearsal.services.storage import Tokens
from batchup.rehearsal.store import Store
from batchup.source import Kind, Media

FETCH_S = 60
_PART_BYTES = 1 << 18


class Input(NamedTuple):
    """What a request is about. Without a path it is only pretended: an address that may not be fetched."""

    path: Path | None
    sha256: str
    media: Media


class Inputs:
    """Finds inputs: in the CDN's own files, in ``data:`` addresses, at http addresses on loopback."""

    def __init__(
        self, store: Store, tokens: Tokens, foreign: tuple[int, int] | None, foreign_s: float
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._foreign = foreign
        self._foreign_s = foreign_s

    async def read(self, address: str, kind: Kind, field: str) -> Input:
        """Return the file at *address*, which *field* of a body named.

        Raises:
            WorkError: There is none, or it is no *kind*.
        """
        own = f"{self._tokens.cdn_url}/files/b/"
        if address.startswith(own):
            found = self._store.find(address.removeprefix(own).split("/")[0])
            if found is None:
                raise WorkError(_unreachable(field))
            path, sha256 = found.path, found.sha256
        elif address.startswith("data:"):
            path, sha256 = await to_thread.run_sync(self._decoded, address, field)
        elif self._foreign:
            return Input(None, hashlib.sha256(address.encode()).hexdigest(), self._pretended(kind))
        elif _is_here(address):
            path, sha256 = await self._fetched(address, field)
        else:
            raise WorkError(_unreachable(field))
        return Input(path, sha256, await to_thread.run_sync(_probed, path, kind, field))

    def _pretended(self, kind: Kind) -> Media:
        width, height = self._foreign or (1, 1)
        if kind == "image":
            return Media(kind, "JPEG", width, height)
        return Media(kind, "MP4", width, height, round(self._foreign_s * 25), self._foreign_s)

    def _decoded(self, address: str, field: str) -> tuple[Path, str]:
        head, _, data = address.partition(",")
        try:
            content = base64.b64decode(data, validate=True) if head.endswith(";base64") else None
        except binascii.Error:
            content = None
        if content is None:
            raise WorkError(_unreachable(field))
        path = self._store.room()
        path.write_bytes(content)
        return path, hashlib.sha256(content).hexdigest()

    async def _fetched(self, address: str, field: str) -> tuple[Path, str]:
        timeout = aiohttp.ClientTimeout(total=FETCH_S)
        try:
            # A redirect might lead off this machine.
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
                session.get(address, allow_redirects=False) as answer,
            ):
                if answer.status != 200:  # noqa: PLR2004 - HTTP's own
                    raise WorkError(_unreachable(field))
                return await self._store.receive(answer.content.iter_chunked(_PART_BYTES))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise WorkError(_unreachable(field)) from error


def _unreachable(field: str) -> Answer:
    return model_error("file_download_error", "Failed to download the file", ("body", field))


def _is_here(address: str) -> bool:
    try:
        url = URL(address)
    except ValueError:
        return False
    if url.scheme != "http" or not url.host:
        return False
    try:
        return ipaddress.ip_address(url.host).is_loopback
    except ValueError:
        return url.host == "localhost"


def _probed(path: Path, kind: Kind, field: str) -> Media:
    broken = "image_load_error" if kind == "image" else "unsupported_video_format"
    try:
        media = probe(path)
    except RejectedError as error:
        raise WorkError(model_error(broken, loc=("body", field))) from error
    if media is None or (media.kind != kind and not _is_clip(media, kind)):
        raise WorkError(model_error(broken, loc=("body", field)))
    return media


def _is_clip(media: Media, kind: Kind) -> bool:
    """An animated GIF passes for a video."""
    return kind == "video" and media.format == "GIF" and media.frames > 1
