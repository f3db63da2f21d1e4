"""Messages on the line: each kind arrives as it was sent, and nothing else arrives at all."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.model import OutcomeKind, Stage
from gatecert.supervision.messages import (
    TO_CORE,
    TO_FOLLOWER,
    TO_WORKER,
    Configured,
    Done,
    LineReader,
    Message,
    MessageError,
    Open,
    Opened,
    Record,
    Step,
    Work,
    decode,
    encode,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.none() | st.booleans() | NUMBERS | st.text()
JSON = st.recursive(
    PLAIN | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": st.text(),
    "int": st.integers(),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "list[str]": st.lists(st.text(), max_size=3),
    "list[list[str]]": st.lists(st.lists(st.text(), max_size=3), max_size=3),
    "list[Any]": st.lists(PLAIN, max_size=3),
    "dict[str, Any]": st.dictionaries(st.text(), PLAIN, max_size=3),
    "dict[str, str]": st.dictionaries(st.text(), st.text(), max_size=3),
    "dict[str, list[str]]": st.dictionaries(st.text(), st.lists(st.text()), max_size=3),
}
ENUMERATED: dict[tuple[type[Message], str], st.SearchStrategy[Any]] = {
    (Done, "outcome"): st.sampled_from(["", *OutcomeKind]),
    (Step, "stage"): st.sampled_from(Stage),
}


def messages() -> st.SearchStrategy[Message]:
    return st.sampled_from([*TO_WORKER, *TO_CORE, *TO_FOLLOWER]).flatmap(of_kind)


def of_kind(kind: type[Message]) -> st.SearchStrategy[Message]:
    values = {
        each.name: ENUMERATED.get((kind, each.name), VALUES[str(each.type)])
        for each in fields(kind)
    }
    return st.builds(kind, **values)


def refused(line: bytes) -> str:
    with pytest.raises(MessageError) as caught:
        decode(line)
    return str(caught.value)


@given(messages())
def test_a_message_arrives_as_it_was_sent(message: Message) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == message


@pytest.mark.parametrize("kind", [*TO_WORKER, *TO_CORE, *TO_FOLLOWER])
def test_each_kind_occurs_on_the_line_by_its_name(kind: type[Message]) -> None:
    assert refused(json.dumps({"kind": kind.__name__, "unknown": 1}).encode()) == (
        f"a message {kind.__name__} with other fields"
    )


@given(st.binary())
def test_garbage_is_no_message(garbage: bytes) -> None:
    refused(garbage)


@given(st.data(), messages())
def test_a_part_of_a_line_is_no_message(data: st.DataObject, message: Message) -> None:
    line = encode(message)[:-1]
    refused(line[: data.draw(st.integers(0, len(line) - 1))])


@given(JSON)
def test_any_other_json_is_no_message(content: object) -> None:
    refused(json.dumps(content).encode())


@given(messages(), JSON, st.data())
def test_another_value_is_a_message_or_refused(
    message: Message, value: object, data: st.DataObject
) -> None:
    content = json.loads(encode(message))
    content[data.draw(st.sampled_from(sorted(content)))] = value
    try:
        decoded = decode(json.dumps(content).encode())
    except MessageError:
        return
    assert decode(encode(decoded)) == decoded or value != value  # noqa: PLR0124 - NaN


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" + 400 * "0"])
@pytest.mark.parametrize(
    "line",
    [
        '{"kind":"Done","gateway":"hq","wake_at":NUMBER}',
        '{"kind":"Done","gateway":"hq","seconds":NUMBER}',
        (
            '{"kind":"Configured","state_directory":"/","gateways":[],"longest_pass":1,"memory":1,'
            '"idle":NUMBER}'
        ),
    ],
)
def test_a_number_that_no_clock_can_add_is_refused(line: str, number: str) -> None:
    assert isinstance(decode(line.replace("NUMBER", "1").encode()), Done | Configured)
    assert "with a wrong value of" in refused(line.replace("NUMBER", number).encode())


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"", "a line that is not JSON"),
        (b'{"kind":"Leave"', "a line that is not JSON"),
        (b"\xff\xfe", "a line that is not JSON"),
        (200_000 * b"[", "a line that is not JSON"),
        (b"1" * 5000, "a line that is not JSON"),
        (b"[]", "a line that is no JSON object"),
        (b"NaN", "a line that is no JSON object"),
        (b"{}", "a message of an unknown kind"),
        (b'{"kind":"Message"}', "a message of an unknown kind"),
        (b'{"kind":["Leave"]}', "a message of an unknown kind"),
        (b'{"kind":"Work"}', "a message Work with other fields"),
        (b'{"kind":"Work","gateway":1}', "a message Work with a wrong value of gateway"),
        (b'{"kind":"Work","gateway":null}', "a message Work with a wrong value of gateway"),
        (
            b'{"kind":"Work","gateway":"hq","attend":1}',
            "a message Work with a wrong value of attend",
        ),
        (
            b'{"kind":"Done","gateway":"hq","wake_at":true}',
            "a message Done with a wrong value of wake_at",
        ),
        (
            b'{"kind":"Done","gateway":"hq","outcome":"exploded"}',
            "a message Done with a wrong value of outcome",
        ),
        (
            b'{"kind":"Step","gateway":"hq","stage":"lunch","text":""}',
            "a message Step with a wrong value of stage",
        ),
        (b'{"kind":"Open","unsaved":{"hq":[1]}}', "a message Open with a wrong value of unsaved"),
        (b'{"kind":"Open","unsaved":{"hq":"x"}}', "a message Open with a wrong value of unsaved"),
        (
            b'{"kind":"Invalid","problems":["x"]}',
            "a message Invalid with a wrong value of problems",
        ),
    ],
)
def test_the_error_says_what_is_wrong(line: bytes, problem: str) -> None:
    assert refused(line) == problem


def test_defaults_may_be_missing_on_the_line() -> None:
    assert decode(b'{"kind":"Work","gateway":"hq"}') == Work("hq")
    assert decode(b'{"kind":"Open","unsaved":{}}') == Open({})


def test_a_whole_number_is_a_number_of_seconds() -> None:
    message = Configured("/state", ["hq"], longest_pass=1800, idle=30, memory=1 << 30)
    assert decode(encode(message)) == message


# ---------------------------------------------------------------------- lines


@given(
    st.lists(st.binary().map(lambda line: line.replace(b"\n", b"")), max_size=5),
    st.binary().map(lambda rest: rest.replace(b"\n", b"")),
    st.data(),
)
def test_lines_are_the_same_however_they_are_cut(
    lines: list[bytes], rest: bytes, data: st.DataObject
) -> None:
    stream = b"".join(line + b"\n" for line in lines) + rest
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader, found = LineReader(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:end])
    assert found == lines
    assert reader.incomplete == bool(rest)


def feed_at_once(reader: LineReader, data: bytes) -> None:
    reader.feed(data)


def feed_each_byte(reader: LineReader, data: bytes) -> None:
    for number in data:
        reader.feed(bytes([number]))


@pytest.mark.parametrize("feed", [feed_at_once, feed_each_byte])
def test_a_line_that_does_not_end_is_refused(feed: Callable[[LineReader, bytes], None]) -> None:
    reader = LineReader(longest=100)
    feed(reader, 100 * b"x")
    with pytest.raises(MessageError, match="a line without an end"):
        feed(reader, b"x")


def test_a_line_of_every_gateway_fits() -> None:
    stamps = {f"gateway-{number}": 20 * "0" for number in range(100_000)}
    (line,) = LineReader().feed(encode(Opened(stamps)))
    assert decode(line) == Opened(stamps)


def test_a_record_carries_what_logging_needs() -> None:
    record = Record("gatecert", 20, "a=%s", ["x"], "file", 1, "function", 0.5, "", {"a": None})
    assert decode(encode(record)) == record


def test_text_that_is_no_unicode_arrives() -> None:
    """File names have such parts."""
    assert decode(encode(Step("hq", "order", "\udcff"))) == Step("hq", "order", "\udcff")
