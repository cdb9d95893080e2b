"""The server in a process of its own."""

import json
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest

COMMAND = [sys.executable, "-m", "batchup.rehearsal"]


@contextmanager
def started(*args):
    process = subprocess.Popen([*COMMAND, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def asked(url, key="", body=None):
    request = urllib.request.Request(url, body, {"Authorization": f"Key {key}"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_tells_what_it_has_seen_and_ends_quietly(stop):
    with started("--settings", '{"outputs": "blank", "foreign": [8, 8]}') as process:
        ready = json.loads(process.stdout.readline())
        environment = ready["environment"]
        body = b'{"image_url": "https://example.com/a"}'

        ticket = asked(f"{environment['FAL_RUN_URL']}/fal-ai/aura-sr", environment["FAL_KEY"], body)
        state = asked(ready["state_url"])
        process.send_signal(stop)
        _, said = process.communicate(timeout=10)

    assert ticket["image"]["width"] == 32
    assert [row["status_code"] for row in state["accepted"]] == [200]
    assert set(environment) == {"FAL_QUEUE_URL", "FAL_RUN_URL", "FAL_REST_URL", "FAL_API_URL", "FAL_KEY"}
    assert (process.returncode, said) == (0, "")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("{", "truncated"),
        ('{"task_s": "x"}', "task_s"),
        ('{"concurrency": 0}', "concurrency: must be 1 or more"),
        ("@/nowhere", "No such file"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_words(settings, words):
    with started("--settings", settings) as process:
        _, said = process.communicate(timeout=10)

    assert process.returncode == 2
    assert words in said
    assert "Traceback" not in said
