from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchup.events import encode as encode_event
from batchup.ledger.format import GROUP_LINES, Damage, checksums, cut, encode, format_of, pack, whole
from tests.ledger.samples import RUN, ledger, seen, small

GROUPS = [[encode_event(event) for event in group] for group in small()]
BYTES = ledger(small())


def in_pieces(data: bytes, size_bytes: int):
    file = BytesIO(data)
    return lambda _: file.read(size_bytes)


def lines_of(data: bytes, size_bytes: int = 1 << 20) -> list[list[bytes]]:
    return [group.lines for group in whole(in_pieces(data, size_bytes))]


def outcome(data: bytes):
    """Return the damaged line's number, or what was read."""
    try:
        return None, lines_of(data)
    except Damage as damage:
        return damage.line, None


def line_at(position: int) -> int:
    return BYTES.count(b"\n", 0, position) + 1


LINE = st.binary(min_size=1, max_size=60).map(lambda text: b'{"event":"' + text.replace(b"\n", b""))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(LINE, min_size=1, max_size=6), max_size=6), st.integers(1, 50))
def test_what_is_written_is_read_however_the_file_comes_in_pieces(groups, size_bytes):
    data = b"".join(map(encode, groups))

    assert lines_of(data, size_bytes) == groups


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(LINE, min_size=1, max_size=6), min_size=1, max_size=4), st.data())
def test_a_file_cut_anywhere_holds_exactly_its_whole_groups(groups, data):
    pieces = list(map(encode, groups))
    end = data.draw(st.integers(0, sum(map(len, pieces))))

    read = lines_of(b"".join(pieces)[:end], 7)

    assert read == [group for i, group in enumerate(groups) if sum(map(len, pieces[: i + 1])) <= end]


def test_every_group_is_placed_at_its_offset_and_line():
    for group in cut(BytesIO(BYTES).read):
        assert BYTES[group.offset : group.end] == encode(group.lines)
        assert line_at(group.offset) == group.line


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda byte: byte ^ 0x01, id="lowest bit"),
        pytest.param(lambda byte: byte ^ 0x20, id="case bit"),
        pytest.param(lambda byte: byte ^ 0x80, id="highest bit"),
        pytest.param(lambda _: 0x0A, id="newline"),
        pytest.param(lambda _: 0x00, id="zero"),
    ],
)
def test_a_changed_byte_is_found_in_its_line_or_is_in_the_torn_tail(change):
    before_last = sum(len(encode(group)) for group in GROUPS[:-1])
    for position, byte in enumerate(BYTES):
        if change(byte) == byte:
            continue
        changed = BYTES[:position] + bytes([change(byte)]) + BYTES[position + 1 :]

        damage, read = outcome(changed)

        assert damage == line_at(position) or (position >= before_last and read == GROUPS[:-1])


@pytest.mark.parametrize("kept", [0, 1, 100, -30])
def test_zeros_where_the_last_write_did_not_reach_the_disk_are_a_torn_tail(kept):
    last = encode(GROUPS[1])
    zeros = last[:kept] + bytes(len(last) - len(last[:kept]))

    assert lines_of(encode(GROUPS[0]) + zeros) == GROUPS[:1]


def test_zeros_before_a_surviving_end_of_the_last_write_are_a_torn_tail():
    last = encode(GROUPS[1])

    assert lines_of(encode(GROUPS[0]) + bytes(300) + last[300:]) == GROUPS[:1]


def test_a_changed_line_of_the_last_group_is_damage_and_not_a_crash():
    with pytest.raises(Damage, match="line 4"):
        lines_of(
            ledger([[RUN], [seen(1), seen(2)]]).replace(b"a.jpg", b"b.jpg", 2).replace(b"b.jpg", b"a.jpg", 1)
        )


def test_zeros_in_an_acknowledged_group_are_damage_though_its_checksums_are_lost():
    data = ledger([[RUN], [seen(1)], [seen(2)]])
    broken = data.replace(b"a.jpg", b"a\0jpg", 1)
    position = broken.index(b"group", broken.index(b"a\0jpg"))

    with pytest.raises(Damage, match="line 3"):
        lines_of(broken[:position] + b"grxup" + broken[position + 5 :])


@pytest.mark.parametrize(
    ("head", "number"),
    [
        pytest.param(b"", 0, id="empty"),
        pytest.param(b"{", 0, id="cut after a byte"),
        pytest.param(b'{"event":"run","format":1', 0, id="cut in the number"),
        pytest.param(b'{"event":"run","format":1,"job"', 1, id="a ledger"),
        pytest.param(b'{"event":"run","format":12,"job"', 12, id="of a later version"),
        pytest.param(b"{\n", None, id="some JSON"),
        pytest.param(b'{"event":"run","format":"1"', None, id="somebody else's events"),
        pytest.param(b"\x89PNG", None, id="a picture"),
        pytest.param(bytes(64), None, id="zeros"),
    ],
)
def test_a_ledger_is_known_by_its_first_bytes(head, number):
    assert format_of(head) == number


def test_checksums_are_plain_json_and_their_values_never_change():
    assert checksums([b"a", b""]) == b'{"event":"group","crc":["e8b7be43","00000000"]}'


def test_a_great_many_lines_are_shared_out_to_groups_of_a_bounded_size():
    groups = list(pack(b"x" for _ in range(2 * GROUP_LINES + 1)))

    assert [len(group) for group in groups] == [GROUP_LINES, GROUP_LINES, 1]


def test_long_lines_make_smaller_groups():
    groups = list(pack(bytes(3 << 20) for _ in range(3)))

    assert [len(group) for group in groups] == [1, 1, 1]
