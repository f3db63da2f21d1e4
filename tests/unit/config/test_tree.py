from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gatecert.config.tree import LimitError, Node, Plain, build

HERE = Path("/etc/gatecert")


def plain(written: str) -> Plain:
    root, problems = build(written, HERE)
    assert problems == []
    assert root is not None
    return root.plain()


def problems(written: str) -> list[tuple[int, str]]:
    return build(written, HERE)[1]


def test_every_scalar_stays_text() -> None:
    written = "{region: no, port: 22:22, mode: 0640, on: 1e3, day: 2026-01-01, none: ~, q: '~'}"
    assert plain(written) == {
        "region": "no",
        "port": "22:22",
        "mode": "0640",
        "on": "1e3",
        "day": "2026-01-01",
        "none": None,
        "q": "~",
    }


def test_keys_and_items_have_their_lines() -> None:
    root, _ = build("a:\n  b:\n    - x\n    - y\n", HERE)
    assert root is not None
    assert isinstance(root.value, dict)
    assert root.key_lines == {"a": 1}
    inner = root.value["a"]
    assert inner.key_lines == {"b": 2}
    assert isinstance(inner.value, dict)
    items = inner.value["b"].value
    assert isinstance(items, list)
    assert [item.line for item in items] == [3, 4]


def test_aliases_refer_to_their_anchors() -> None:
    root, _ = build("a: &x [1, 2]\nb:\n  *x\n", HERE)
    assert root is not None
    assert isinstance(root.value, dict)
    assert root.value["b"].plain() == ["1", "2"]
    assert root.value["b"].line == 3


def test_merge_keys_fill_in_missing_keys() -> None:
    written = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}\nw:\n  <<: *x\n"
    result = plain(written)
    assert isinstance(result, dict)
    assert result["z"] == {"a": "0", "b": "1", "c": "2"}
    assert result["w"] == {"a": "1", "b": "1"}


@pytest.mark.parametrize(
    ("written", "line", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "the key a is already written in line 1"),
        ("a: 1\n---\nb: 2\n", 2, "a second document starts here; write only one"),
        ("a: !!python/object:os.system x\n", 1, "the tag tag:yaml.org,2002:python/object"),
        ("a: !secret x\n", 1, "the tag !secret is not allowed"),
        ("a: !!set {x}\n", 1, "the tag tag:yaml.org,2002:set is not allowed"),
        ("? [a]\n: b\n", 1, "a key must be plain text"),
        ("~: b\n", 1, "a key must be plain text"),
        ("a: *x\n", 1, "the alias *x has no anchor before it"),
        ("a: &x [*x]\n", 1, "the alias *x has no anchor before it"),
        ("b: 1\na: {<<: text}\n", 2, "<< takes a mapping"),
        ("a: {<<: [{b: 1}, 2]}\n", 1, "<< takes a mapping"),
    ],
)
def test_forbidden_yaml_is_reported(written: str, line: int, said: str) -> None:
    (found,) = problems(written)
    assert found[0] == line
    assert said in found[1]


def test_a_repeated_key_keeps_its_first_value() -> None:
    root, _ = build("a: 1\na: 2\n", HERE)
    assert root is not None
    assert root.plain() == {"a": "1"}


def test_an_empty_file_has_no_root() -> None:
    assert build("", HERE) == (None, [])
    assert build("# nothing\n", HERE) == (None, [])


def test_alias_expansion_is_limited() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(LimitError, match="more than 1000000 values") as caught:
        build("\n".join(lines), HERE)
    assert caught.value.line == 6


@pytest.mark.parametrize(
    "written",
    [
        "[" * 100_000,
        "{a: " * 40 + "}" * 40,
        "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 50))]),
    ],
)
def test_nesting_has_a_limit(written: str) -> None:
    with pytest.raises(LimitError, match="nested deeper than 32 levels"):
        build(written, HERE)


@given(st.text(alphabet="ab:-[]{}&*<'\"#!|>? \n\t", max_size=60))
def test_any_text_is_a_tree_or_a_yaml_error(written: str) -> None:
    try:
        root, found = build(written, HERE)
    except (yaml.YAMLError, LimitError):
        return
    assert root is None or isinstance(root, Node)
    assert all(line >= 1 and what.isprintable() for line, what in found)
