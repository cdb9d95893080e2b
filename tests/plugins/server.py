"""Acme: a small platform that is paid by the job, as a real HTTP server in a thread of this process."""

import io
import json
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

SLOW_S = 60.0
KEY = "acme-key-5f2c9d7e"

STATUSES = {"busy": 429, "broken": 500, "account": 401, "rejected": 422, "forgotten": 404, "expired": 404}


class Acme:
    """What it knows, and what it is told to do wrong.

    Attributes:
        task_s: How long a job takes.
        jobs: All that were accepted, in order.
        peak: The most jobs that were under way at once.
    """

    def __init__(self, task_s=0.0):
        self.task_s = task_s
        self.inputs: dict[str, bytes] = {}
        self.jobs: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.peak = 0
        self.work = "done"
        self._faults: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    @property
    def environment(self):
        return {"ACME_KEY": KEY, "ACME_URL": self.url}

    def fault(self, call, fault):
        """Let the next such call go wrong."""
        self._faults.append((call, fault))

    def met(self, call):
        with self._lock:
            self.calls.append(call)
            found = next((one for one in self._faults if one[0] == call), None)
            if found:
                self._faults.remove(found)
            return found[1] if found else ""

    def accept(self, body):
        with self._lock:
            job = {
                "id": f"j{len(self.jobs) + 1}",
                "body": body,
                "at": datetime.now(UTC).isoformat(),
                "state": self.work,
            }
            job["ends_s"] = time.monotonic() + (SLOW_S if self.work == "slow" else self.task_s)
            self.work = "done"
            self.jobs.append(job)
            now_s = time.monotonic()
            self.peak = max(self.peak, sum(one["ends_s"] > now_s for one in self.jobs))
            return job

    def state(self, job):
        return job["state"] if time.monotonic() >= job["ends_s"] else "running"

    def output(self, job):
        data = self.inputs[job["body"]["input"].rpartition("/")[2]]
        with Image.open(io.BytesIO(data)) as picture:
            scale = job["body"]["scale"]
            out = io.BytesIO()
            picture.resize((picture.width * scale, picture.height * scale)).save(out, "PNG")
            return out.getvalue()

    def start(self, port=0):
        self.server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (Handler,), {"acme": self}))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    @asynccontextmanager
    async def unplugged(self):
        """Let nobody connect while the block lasts."""
        self.stop()
        yield
        self.start(self.server.server_port)


class Handler(BaseHTTPRequestHandler):
    acme: Acme

    def log_message(self, format, *args):  # noqa: A002 - the standard library's name
        pass

    def do_GET(self):
        acme, path = self.acme, self.path
        if path.startswith("/results/"):
            job = self.job(path.removesuffix(".png"))
            if not self.refused("fetch"):
                self.say(acme.output(job), "image/png")
        elif not self.refused({"/": "reach", "/jobs": "find"}.get(path, "complete")):
            if path == "/":
                self.say({})
            elif path == "/jobs":
                self.say([{name: job[name] for name in ("id", "body", "at")} for job in acme.jobs])
            else:
                job = self.job(path)
                self.say(
                    {"state": acme.state(job), "usd": "0.02", "url": f"{acme.url}/results/{job['id']}.png"}
                )

    def do_PUT(self):
        data = self.body()
        if not self.refused("prepare"):
            self.acme.inputs[self.path.rpartition("/")[2]] = data
            self.say({})

    def do_POST(self):
        body = json.loads(self.body())
        fault = self.refused("submit")
        if fault == "lost":
            self.acme.accept(body)
            self.close_connection = True
        elif fault == "garbled":
            self.acme.accept(body)
            self.say({"number": 1}, status=201)
        elif fault == "cut":
            self.close_connection = True
        elif not fault:
            self.say({"id": self.acme.accept(body)["id"]}, status=201)

    def job(self, path):
        return next(job for job in self.acme.jobs if job["id"] == path.rpartition("/")[2])

    def body(self):
        return self.rfile.read(int(self.headers["Content-Length"]))

    def refused(self, call):
        """Answer with what is to go wrong with this call, and return that."""
        is_open = call == "fetch" or self.headers.get("Authorization") == f"Bearer {KEY}"
        fault = self.acme.met(call) if is_open else "account"
        if fault in STATUSES:
            self.say({}, status=STATUSES[fault])
        return fault

    def say(self, value, kind="application/json", status=200):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Retry-After", "0.01")
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def open_acme(**settings):
    """Give a platform while the block lasts."""
    acme = Acme(**settings)
    acme.start()
    try:
        yield acme
    finally:
        acme.stop()
