"""The CDN: takes files, whole or in parts, and gives them back, whole or from where a download broke."""

import json
import re
import uuid
from collections.abc import Mapping

from aiohttp import web
from yarl import URL

from batchup.rehearsal.answers import Answer, said
from batchup.rehearsal.faults import Fault
from batchup.rehearsal.gate import Gate
from batchup.rehearsal.job import lifetime_s
from batchup.rehearsal.record import Record
from batchup.rehearsal.services.storage import Tokens
from batchup.rehearsal.settings import Settings
from batchup.rehearsal.store import Multipart, Store, Stored
from batchup.rehearsal.wire import Content, File, received

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_LIFECYCLE = "X-Fal-Object-Lifecycle", "X-Fal-Object-Lifecycle-Preference"
MOST_PARTS = 10_000


class Cdn:
    """Answers the CDN's calls. It wants its own token, and never the account's key."""

    def __init__(self, settings: Settings, store: Store, tokens: Tokens, record: Record) -> None:
        self._settings = settings
        self._record = record
        self._store = store
        self._tokens = tokens

    def add(self, router: web.UrlDispatcher, gate: Gate) -> None:
        """Put the CDN's addresses into *router*."""
        one = "/files/{owner}/{id}/{name}"
        router.add_post("/files/upload", gate.door("cdn", "upload", self.upload))
        router.add_post("/files/upload/multipart", gate.door("cdn", "multipart", self.begin))
        router.add_put(f"{one}/multipart/{{upload}}/{{number}}", gate.door("cdn", "part", self.part))
        router.add_post(f"{one}/multipart/{{upload}}/complete", gate.door("cdn", "complete", self.complete))
        router.add_get(one, gate.door("cdn", "download", self.download))

    def address(self, stored: Stored) -> str:
        """Return where *stored* can be downloaded."""
        return f"{self._tokens.cdn_url}{_path(stored.id, stored.name)}"

    async def upload(self, request: web.Request, fault: Fault | None) -> Answer:
        """Take a file."""
        refused = self._refused(request)
        if refused:
            return refused
        path, sha256 = await self._store.receive(received(request, fault))
        name = request.headers.get("X-Fal-File-Name", "upload.bin")
        stored = self._store.add(path, sha256, name, request.content_type, self._lifetime_s(request.headers))
        return said({"access_url": self.address(stored)})

    def _refused(self, request: web.Request) -> Answer | None:
        if self._tokens.good(request.headers.get("Authorization", "")):
            return None
        return said({"detail": "Invalid or expired token"}, 401)

    def _lifetime_s(self, headers: Mapping[str, str]) -> float | None:
        found = lifetime_s(headers, *_LIFECYCLE)
        return None if found is None else self._settings.clock_s(found)

    async def begin(self, request: web.Request, _: Fault | None) -> Answer:
        """Begin an upload in parts."""
        refused = self._refused(request)
        if refused:
            return refused
        name = request.headers.get("X-Fal-File-Name", "upload.bin")
        upload = Multipart(uuid.uuid4().hex, name, request.content_type, self._lifetime_s(request.headers))
        upload_id = uuid.uuid4().hex
        self._store.multiparts[upload_id] = upload
        url = f"{self._tokens.cdn_url}{_path(upload.file_id, name)}"
        return said({"access_url": url, "uploadId": upload_id})

    async def part(self, request: web.Request, fault: Fault | None) -> Answer:
        """Take a part; the same one again replaces it."""
        upload = self._upload(request)
        if isinstance(upload, Answer):
            return upload
        number = request.match_info["number"]
        if not number.isdecimal() or not 1 <= int(number) <= MOST_PARTS:
            return said({"detail": "Part numbers go from 1 to 10000"}, 400)
        path, sha256 = await self._store.receive(received(request, fault))
        old = upload.paths.get(int(number))
        if old:
            old.unlink()
        upload.paths[int(number)] = path
        upload.etags[int(number)] = f'"{sha256[:32]}"'
        return Answer(200, headers={"ETag": upload.etags[int(number)]})

    def _upload(self, request: web.Request) -> Multipart | Answer:
        refused = self._refused(request)
        if refused:
            return refused
        upload = self._store.multiparts.get(request.match_info["upload"])
        if upload is None or upload.file_id != request.match_info["id"]:
            return said({"detail": "No such upload"}, 404)
        return upload

    async def complete(self, request: web.Request, _: Fault | None) -> Answer:
        """Make one file of the parts."""
        upload = self._upload(request)
        if isinstance(upload, Answer):
            return upload
        try:
            parts = [(int(part["partNumber"]), str(part["etag"])) for part in (await request.json())["parts"]]
        except (KeyError, TypeError, ValueError):
            return said({"detail": "parts: a list of partNumber and etag is required"}, 400)
        numbers = [number for number, _ in parts]
        if not numbers or len(set(numbers)) < len(numbers):
            return said({"detail": "InvalidPart: no part, or one twice"}, 400)
        # The documented order is ascending, but the official client lists them as they happened to finish.
        self._record.disorderly += numbers != sorted(numbers)
        if any(upload.etags.get(number) != etag for number, etag in parts):
            return said({"detail": "InvalidPart: a part is missing, or another one"}, 400)
        stored = await self._store.join(upload, sorted(numbers))
        del self._store.multiparts[request.match_info["upload"]]
        return said({"access_url": self.address(stored)})

    async def download(self, request: web.Request, _: Fault | None) -> Content:
        """Give a file, or the rest of it."""
        if request.headers.get("Authorization", "").startswith("Key "):
            return said({"detail": "The account's key has no business here"}, 403)
        stored = self._store.find(request.match_info["id"])
        if stored is None:
            return said({"detail": "Not Found"}, 404)
        return _ranged(stored, request.headers)


def _path(file_id: str, name: str) -> str:
    return URL.build(path=f"/files/b/{file_id}/{name.replace('/', '_')}").raw_path


def _ranged(stored: Stored, headers: Mapping[str, str]) -> Content:
    """Return what of *stored* the headers ask for."""
    sent = {"Content-Type": stored.media_type, "ETag": stored.etag, "Accept-Ranges": "bytes"}
    asked = _RANGE.fullmatch(headers.get("Range", ""))
    known = headers.get("If-Range", stored.etag) == stored.etag
    if asked is None or not known or asked.groups() == ("", ""):
        return File(stored.path, 0, stored.size_bytes, 200, sent)
    first, last = asked.groups()
    start = int(first) if first else max(0, stored.size_bytes - int(last))
    end = min(int(last), stored.size_bytes - 1) if first and last else stored.size_bytes - 1
    if start > end:
        outside = {"Content-Range": f"bytes */{stored.size_bytes}"}
        return Answer(416, json.dumps({"detail": "Requested range not satisfiable"}), outside)
    sent["Content-Range"] = f"bytes {start}-{end}/{stored.size_bytes}"
    return File(stored.path, start, end - start + 1, 206, sent)
