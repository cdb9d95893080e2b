import logging

import pytest

from batchup.ledger.index import moved, remember, state_folder


@pytest.fixture
def job(tmp_path):
    """A manifest, and its ledger in one of two places."""
    old, new = tmp_path / "old" / "job.jsonl", tmp_path / "new" / "job.jsonl"
    for path in old, new:
        path.parent.mkdir()
    manifest = tmp_path / "job.yaml"
    manifest.write_text("")
    return manifest, old, new


def test_a_ledger_that_stayed_behind_is_found(job):
    manifest, old, new = job
    old.write_bytes(b"x")

    remember(manifest, "holiday", old)

    assert moved(manifest, "holiday", new) == old


@pytest.mark.parametrize("there", [b"", None])
def test_nothing_has_moved_where_the_old_ledger_is_gone(job, there):
    manifest, old, new = job
    if there is not None:
        old.write_bytes(there)

    remember(manifest, "holiday", old)

    assert moved(manifest, "holiday", new) is None


def test_nothing_has_moved_where_the_new_place_has_a_ledger(job):
    manifest, old, new = job
    old.write_bytes(b"x")
    new.write_bytes(b"y")

    remember(manifest, "holiday", old)

    assert moved(manifest, "holiday", new) is None


def test_an_empty_file_at_the_new_place_is_no_ledger(job):
    manifest, old, new = job
    old.write_bytes(b"x")
    new.write_bytes(b"")

    remember(manifest, "holiday", old)

    assert moved(manifest, "holiday", new) == old


def test_the_latest_place_counts_and_links_are_the_same_place(job, tmp_path):
    manifest, old, new = job
    new.write_bytes(b"x")
    (tmp_path / "link").symlink_to(new.parent)

    remember(manifest, "holiday", old)
    remember(manifest, "holiday", new)

    assert moved(manifest, "holiday", tmp_path / "link" / "job.jsonl") is None
    assert moved(manifest, "holiday", old) == new


def test_other_manifests_and_other_jobs_are_other_jobs(job, tmp_path):
    manifest, old, new = job
    old.write_bytes(b"x")

    remember(manifest, "holiday", old)

    assert moved(manifest, "work", new) is None
    assert moved(tmp_path / "other.yaml", "holiday", new) is None


def test_names_that_are_not_unicode_are_remembered(job, tmp_path):
    manifest, _, new = job
    old = tmp_path / "b\udcffd.jsonl"
    old.write_bytes(b"x")

    remember(manifest, "holiday", old)

    assert moved(manifest, "holiday", new) == old


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"ledger": 1}', b"\xff"], ids=repr)
def test_a_broken_index_stops_nothing_and_is_said(job, caplog, content):
    manifest, old, new = job
    old.write_bytes(b"x")
    remember(manifest, "holiday", old)
    for file in (state_folder() / "ledgers").iterdir():
        file.write_bytes(content)

    with caplog.at_level(logging.WARNING):
        assert moved(manifest, "holiday", new) is None

    assert f"cannot tell where the ledger of {manifest} was before" in caplog.text


def test_an_index_that_cannot_be_written_stops_nothing_and_is_said(job, caplog, monkeypatch, tmp_path):
    manifest, old, _ = job
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("BATCHUP_STATE_HOME", str(tmp_path / "file"))

    remember(manifest, "holiday", old)

    assert f"cannot note where the ledger of {manifest} is" in caplog.text


def test_the_state_folder_is_where_the_system_says(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/x")
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("BATCHUP_STATE_HOME", raising=False)
    found = []
    for base in "", "relative", str(tmp_path):
        monkeypatch.setenv("XDG_STATE_HOME", base)
        found.append(str(state_folder()))

    assert found == ["/home/x/.local/state/batchup"] * 2 + [str(tmp_path / "batchup")]
