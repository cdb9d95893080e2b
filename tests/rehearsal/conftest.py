"""Whatever is done to the server, nothing in it goes wrong."""

import pytest


@pytest.fixture(autouse=True)
def quiet(caplog):
    yield
    said = [record.getMessage() for when in ("setup", "call") for record in caplog.get_records(when)]
    assert not [one for one in said if "rror" in one], said
