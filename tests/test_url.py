"""Inputs that are URLs, by the real command line and a real server on this machine."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.library import batchup, events, manifest, outputs, photo, size


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def server(tmp_path):
    """The folder ``web``, served; its address."""
    (tmp_path / "web").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "web")) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_urls_are_upscaled_like_files_and_once(tmp_path, server):
    photo(tmp_path / "web/a photo.jpg")
    photo(tmp_path / "web/b.png")
    (tmp_path / "list.csv").write_text(f"url,title\n{server}/b.png,the second\n")
    file = manifest(
        tmp_path,
        f'inputs:\n  - url: "{server}/a%20photo.jpg"\n    allow_private: true\n'
        "  - list: list.csv\n    allow_private: true",
    )

    batchup("run", file, cwd=tmp_path)
    batchup("run", file, cwd=tmp_path)

    assert {name: size(path) for name, path in outputs(tmp_path / "out").items()} == {
        "a photo.jpg": (96, 72),
        "b.png": (96, 72),
    }
    assert len(events(tmp_path / "out/.batchup/holiday.jsonl", "done")) == 2
    assert not list((tmp_path / "out").rglob("*.input"))


def test_a_url_that_is_not_there_or_no_picture_fails_alone(tmp_path, server):
    photo(tmp_path / "web/a.jpg")
    (tmp_path / "web/text.jpg").write_text("I am no picture")
    urls = "".join(f"\n      - {server}/{name}" for name in ("a.jpg", "gone.jpg", "text.jpg"))
    file = manifest(tmp_path, f"inputs:\n  - allow_private: true\n    url:{urls}")

    batchup("run", file, cwd=tmp_path, status=1)

    failed = events(tmp_path / "out/.batchup/holiday.jsonl", "failed")
    assert sorted(event["kind"] for event in failed) == ["no_media", "url_not_found"]
    assert list(outputs(tmp_path / "out")) == ["a.jpg"]


def test_a_private_address_is_refused_before_anything_runs(tmp_path, server):
    done = batchup("run", manifest(tmp_path, f"inputs: [{{url: '{server}/a.jpg'}}]"), cwd=tmp_path, status=2)

    assert "allow_private: true" in done.stderr
