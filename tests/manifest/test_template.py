"""A template is taken apart into literals and fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchup.manifest.template import Part, parse


def field(name: str) -> Part:
    return Part(name, field=True)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain", (Part("plain"),)),
        ("{stem}", (field("stem"),)),
        ("{dir}/{stem}-x{ext}", (field("dir"), Part("/"), field("stem"), Part("-x"), field("ext"))),
        ("{row.my title}", (field("row.my title"),)),
        ("{{{stem}}}", (Part("{"), field("stem"), Part("}"))),
        ("a{{b}}c", (Part("a{b}c"),)),
    ],
)
def test_a_template_is_its_parts(text, parts):
    assert parse(text) == parts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{stem", '"{stem": the { at character 1 is not closed'),
        ("stem}", '"stem}": the } at character 5 has no { before it'),
        ("{a{b}}", '"{a{b}}": the { at character 1 is not closed'),
        ("{}", '"{}": {} names nothing; write a name such as {stem}'),
        ("{row.}", '"{row.}": {row.} names nothing; write a name such as {stem}'),
    ],
)
def test_a_brace_out_of_place_is_told(text, said):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared as a whole
        parse(text)

    assert str(caught.value) == said


@given(st.text())
def test_any_text_can_stand_in_a_template_if_its_braces_are_doubled(text):
    parts = parse(text.replace("{", "{{").replace("}", "}}"))

    assert "".join(part.text for part in parts) == text
    assert not any(part.field for part in parts)
