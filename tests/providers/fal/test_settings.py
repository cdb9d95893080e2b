import copy
import pickle

import pytest

from batchup.errors import FatalError, ManifestError, RejectedError
from batchup.providers.fal.settings import Secret, Settings
from tests.providers.fal.servers import KEY, settings


def test_the_key_comes_from_fal_key():
    assert Settings.from_environment({"FAL_KEY": f" {KEY}\n"}).key.reveal() == KEY


def test_the_key_comes_in_two_halves():
    halves = {"FAL_KEY_ID": "abc", "FAL_KEY_SECRET": "def"}

    assert Settings.from_environment(halves).key.reveal() == "abc:def"


def test_fals_own_addresses_are_the_usual_ones():
    found = Settings.from_environment({"FAL_KEY": KEY})

    assert [str(found.queue), str(found.run), str(found.rest), str(found.platform)] == [
        "https://queue.fal.run",
        "https://fal.run",
        "https://rest.fal.ai",
        "https://api.fal.ai",
    ]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param({}, "there is no key for fal: set FAL_KEY", id="no key"),
        pytest.param({"FAL_KEY_ID": "abc"}, "FAL_KEY_SECRET is missing", id="half a key"),
        pytest.param({"FAL_KEY": "a\nX-Other: b"}, "FAL_KEY: holds a space, a line break", id="a line break"),
    ],
)
def test_without_a_key_that_can_be_sent_nothing_will_work(environment, said):
    with pytest.raises(FatalError) as met:
        Settings.from_environment(environment)

    assert met.value.stopped == "account"
    assert said in str(met.value)
    assert "https://fal.ai/dashboard/keys" in str(met.value)
    assert "X-Other" not in str(met.value)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param(
            {"FAL_KEY": KEY, "FAL_QUEUE_URL": "http://queue.fal.run"}, "must be https", id="plain http"
        ),
        pytest.param({"FAL_KEY": KEY, "FAL_RUN_URL": "ftp://localhost"}, "FAL_RUN_URL: ftp://", id="ftp"),
        pytest.param({"FAL_KEY": KEY, "FAL_REST_URL": "https://a:b@c.d"}, "FAL_REST_URL", id="a user"),
        pytest.param(
            {"FAL_KEY": KEY, "FAL_API_URL": "https://c.d/?a=b"}, "only a scheme, a host", id="a query"
        ),
    ],
)
def test_an_address_that_does_not_do_is_told(environment, said):
    with pytest.raises(ManifestError) as met:
        Settings.from_environment(environment)

    assert said in str(met.value)
    assert "a:b" not in str(met.value)


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:80/queue"])
def test_plain_http_will_do_on_this_machine(address):
    found = Settings.from_environment({"FAL_KEY": KEY, "FAL_QUEUE_URL": address})

    assert found.address("queue", "fal-ai/aura-sr").host == found.queue.host


def test_no_way_of_showing_settings_shows_the_key():
    found = Settings.from_environment({"FAL_KEY": KEY})

    for text in (repr(found), str(found), f"{found.key}", repr(found.key), f"{vars}", repr([found.key])):
        assert KEY not in text
        assert KEY.partition(":")[2] not in text
    for write in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            write(found.key)


def test_a_text_that_holds_the_key_or_its_secret_half_is_told_without():
    key = Secret(KEY)

    assert key.hidden(f"no such key {KEY}") == "no such key …"
    assert key.hidden_bytes(f"no such key {KEY.partition(':')[2]}".encode()) == "no such key …".encode()


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("fal-ai/aura-sr", "https://queue.fal.run/fal-ai/aura-sr"),
        ("/fal-ai/aura-sr?logs=1", "https://queue.fal.run/fal-ai/aura-sr?logs=1"),
        ("//evil.example/x", "https://queue.fal.run/evil.example/x"),
        (
            "https://queue.fal.run/fal-ai/x/requests/1/status",
            "https://queue.fal.run/fal-ai/x/requests/1/status",
        ),
        ("https://QUEUE.fal.run:443/x", "https://queue.fal.run/x"),
        ("v1?url=https://evil.example/", "https://queue.fal.run/v1?url=https://evil.example/"),
    ],
)
def test_an_address_of_the_service_is_found(url, target):
    assert str(Settings.from_environment({"FAL_KEY": KEY}).address("queue", url)) == target


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/fal-ai/x",
        "http://queue.fal.run/x",
        "https://queue.fal.run:8443/x",
        "https://queue.fal.run.evil.example/x",
        "https://queue.fal.run@evil.example/x",
        "https://user:word@queue.fal.run/x",
        "https://fal.run/x",
    ],
)
def test_an_address_elsewhere_gets_no_key(url):
    with pytest.raises(RejectedError) as met:
        Settings.from_environment({"FAL_KEY": KEY}).address("queue", url)

    assert met.value.kind == "foreign_origin"
    assert "word" not in str(met.value)


@pytest.mark.parametrize("path", ["/cdn/files/1", "/queue/../cdn/files/1", "/queues/1"])
def test_where_services_share_an_origin_each_has_its_own_path(path):
    shared = settings("http://127.0.0.1:8000/queue")

    with pytest.raises(RejectedError):
        shared.address("queue", f"http://127.0.0.1:8000{path}")
    assert shared.address("queue", "http://127.0.0.1:8000/queue/1").path == "/queue/1"
