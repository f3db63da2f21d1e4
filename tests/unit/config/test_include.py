from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from gatecert.config.include import read
from gatecert.config.load import load, validate
from gatecert.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BOSTON = "gateways: {boston: {hostname: boston.example.com, mode: custom}}\n"
LONDON = "gateways: {london: {hostname: london.example.com, mode: custom}}\n"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write files below a directory; return the first."""

    def written(**files: str) -> Path:
        paths = []
        for name, content in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text(content, encoding="utf-8")
            paths.append(path)
        return paths[0]

    return written


def complaints(path: Path, *, most_files: int = 100) -> list[str]:
    """Return the errors, with paths relative to the directory of the first file."""
    with pytest.raises(ConfigurationError) as caught:
        validate(read(path, most_files=most_files))
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


def test_included_files_hold_more_of_the_same(write: Callable[..., Path]) -> None:
    path = write(
        main=f"include: [d/*.yaml, le.yaml]\n{BOSTON}resolver: {{interval: 1m}}\n",
        d__b="gateways: {z: {hostname: z.example.com}}\nresolver: {timeout: 3s}\n",
        d__a="gateways: {b: {hostname: b.example.com}}\nauthorities: {two: {directory_url: "
        "https://two.example.com/}}\n",
        le="include: [deeper.yaml]\nauthorities: {letsencrypt: {}}\n",
        deeper="state_directory: /srv/gatecert\n",
    )
    loaded = load(path)
    assert list(loaded.gateways) == ["boston", "b", "z"]
    assert list(loaded.authorities) == ["two", "letsencrypt"]
    assert loaded.resolver.interval.total_seconds() == 60
    assert loaded.resolver.timeout.total_seconds() == 3
    assert str(loaded.state_directory) == "/srv/gatecert"


def test_relative_paths_start_at_the_file_in_which_they_stand(write: Callable[..., Path]) -> None:
    users = "gateways: {a: {hostname: a.example.com, client_authentication: {known_users: users}}}"
    path = write(
        main="include: [d/one.yaml]\nstate_directory: state\n",
        d__one=f"include: [two.yaml]\n{users}\n",
        d__two=BOSTON + "authorities: {letsencrypt: {}}\n",
    )
    loaded = load(path)
    authentication = loaded.gateways["a"].client_authentication
    assert authentication is not None
    assert authentication.known_users == path.parent / "d" / "users"
    assert loaded.state_directory == path.parent / "state"
    assert list(loaded.gateways) == ["a", "boston"]


def test_errors_name_the_file_and_line(write: Callable[..., Path]) -> None:
    path = write(
        main="include: [d/*.yaml]\n\nresolver: {interval: 5}\n",
        d__b="gateways:\n  b:\n    hostname: 10.0.0.1\n",
        d__a="# a\ngateways:\n  a:\n    hostnam: a.example.com\nresolvr: {}\n",
    )
    found = complaints(path)
    assert [line.split(" ")[:2] for line in found] == [
        ["main.yaml:3:", "resolver.interval:"],
        ["d/a.yaml:3:", "gateways.a.hostname:"],
        ["d/a.yaml:4:", "gateways.a.hostnam:"],
        ["d/a.yaml:5:", "resolvr:"],
        ["d/b.yaml:3:", "gateways.b.hostname:"],
    ]


def test_what_is_written_in_two_files_names_both(write: Callable[..., Path]) -> None:
    path = write(
        main=f"include: [a.yaml, b.yaml]\n{BOSTON}state_directory: /a\n",
        a="# x\ngateways:\n  boston: {hostname: x.example.com}\nexcluded_regions: [cn]\n",
        b="state_directory: /a\nexcluded_regions: [cn]\nauthorities: text\n",
    )
    assert complaints(path) == [
        "a.yaml:3: gateways.boston: is already written in main.yaml:2; write it once",
        "b.yaml:1: state_directory: is already written in main.yaml:3; write it once",
        "b.yaml:2: excluded_regions: is already written in a.yaml:4; write it once",
        "b.yaml:3: authorities: must contain names with settings, indented below it",
    ]


def test_a_key_without_a_value_counts_as_not_written(write: Callable[..., Path]) -> None:
    path = write(
        main=f"include: [a.yaml, empty.yaml]\n{BOSTON}resolver:\nauthorities:\n",
        a="gateways:\nresolver: {interval: 1m}\n",
        empty="# nothing yet\n",
    )
    assert load(path).resolver.interval.total_seconds() == 60


def test_each_file_is_read_once(write: Callable[..., Path]) -> None:
    path = write(
        main="include: [d/*.yaml, d/a.yaml, other.yaml]\nauthorities: {letsencrypt: {}}\n",
        d__a=BOSTON,
        other="include: [d/a.yaml]\n",
    )
    (path.parent / "d" / "link.yaml").symlink_to("a.yaml")
    assert [file.path.name for file in read(path).files] == ["main.yaml", "a.yaml", "other.yaml"]
    assert list(load(path).gateways) == ["boston"]


def test_a_pattern_that_matches_nothing_is_noted(write: Callable[..., Path]) -> None:
    path = write(main=f"include:\n  - none.d/*.yaml\n  - '[x].yaml'\n{BOSTON}")
    assert [note.removeprefix(f"{path}:") for note in read(path).notes] == [
        "2: include[0]: no file matches none.d/*.yaml",
        "3: include[1]: no file matches [x].yaml",
    ]


def test_a_directory_may_have_the_characters_of_patterns(write: Callable[..., Path]) -> None:
    path = write(**{"[x]__m": "include: ['n*.yaml']\n", "[x]__n": BOSTON})
    assert [file.path.name for file in read(path).files] == ["m.yaml", "n.yaml"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        (
            {"main": "a: 1\ninclude: [none.yaml]\n"},
            "main.yaml:2: include[0]: there is no file none.yaml",
        ),
        (
            {"main": "include:\n- d\n", "d__a": BOSTON},
            "main.yaml:2: include[0]: d is a directory; write d/*.yaml for its files",
        ),
        (
            {"main": "include: [main.yaml]\n"},
            "main.yaml:1: include[0]: main.yaml includes itself; leave one of these entries out",
        ),
        (
            {"main": "include: [a.yaml]", "a": "\ninclude: [b.yaml]", "b": "include: ['m*.yaml']"},
            "b.yaml:1: include[0]: main.yaml includes itself by way of a.yaml, b.yaml; leave",
        ),
        (
            {"main": "include: [a.yaml]", "a": "a: 1\n\tb: 2\n"},
            "a.yaml:2: cannot be read as YAML: ",
        ),
        ({"main": "include: [a.yaml]", "a": "- b\n"}, "a.yaml: holds a list; write keys and"),
        ({"main": "include: [a.yaml]", "a": "a: \x00\n"}, "a.yaml:1: is not a text file"),
        ({"main": "include: conf.d/*.yaml\n"}, "main.yaml:1: include: must be a list"),
        ({"main": "include: ['', {a: b}]\n"}, "main.yaml:1: include[0]: is empty"),
        ({"main": "include: [~/x.yaml]\n"}, 'main.yaml:1: include[0]: "~/x.yaml": ~ is not expan'),
        (
            {"main": "include: [a.yaml]", "a": f"include: b.yaml\n{BOSTON}"},
            "a.yaml:1: include: must be a list",
        ),
        (
            {"main": "include: [a.yaml]", "a": "a: 1\na: 2\n"},
            "a.yaml:2: the key a is already written in line 1",
        ),
        (
            {"main": "x: &x {}\ninclude: [a.yaml]", "a": "gateways: *x\n"},
            "a.yaml:1: the alias *x has no anchor before it in this file",
        ),
        (
            {"main": "include: [a.yaml/b.yaml]\n", "a": BOSTON},
            "main.yaml:1: include[0]: a.yaml/b.yaml cannot be read: not a directory",
        ),
        (
            {"main": "include: [a.yaml/*.yaml]\n", "a": BOSTON},
            "main.yaml:1: include[0]: a.yaml cannot be read: not a directory",
        ),
    ],
)
def test_a_wrong_include_is_refused(
    write: Callable[..., Path], files: dict[str, str], told: str
) -> None:
    assert any(line.startswith(told) for line in complaints(write(**files)))


def test_every_file_that_cannot_be_used_is_reported(write: Callable[..., Path]) -> None:
    path = write(main="include: [none.yaml, a.yaml, d/*.yaml]\n", a="[]\n", d__b="{\n")
    assert [line.partition(": ")[0] for line in complaints(path)] == [
        "main.yaml:1",
        "a.yaml",
        "d/b.yaml:2",
    ]


def test_a_broken_link_is_named_as_one(write: Callable[..., Path]) -> None:
    path = write(main="include: [d/*.yaml]\n", d__a=BOSTON)
    (path.parent / "d" / "b.yaml").symlink_to("none")
    assert complaints(path) == [
        "main.yaml:1: include[0]: d/b.yaml is a symbolic link to a file that does not exist"
    ]


def test_included_files_and_their_directory_belong_to_their_owner(
    write: Callable[..., Path],
) -> None:
    path = write(main="include: [d/*.yaml]\n", d__a=BOSTON)
    (path.parent / "d" / "a.yaml").chmod(0o646)
    assert complaints(path)[0].startswith("d/a.yaml: is world-writable")
    (path.parent / "d").chmod(0o777)
    assert complaints(path)[0].startswith("main.yaml:1: include[0]: d is world-writable")


def test_a_directory_that_cannot_be_searched_is_no_empty_one(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    path = write(main=f"include: [d/*.yaml]\n{BOSTON}", d__a=LONDON)
    monkeypatch.setattr(os, "scandir", refuse)
    assert complaints(path) == ["main.yaml:1: include[0]: d cannot be read: permission denied"]


def test_the_number_of_files_is_limited(write: Callable[..., Path]) -> None:
    path = write(main="include: [d/*.yaml]\n", d__a=BOSTON, d__b=LONDON, d__c="{}\n")
    assert complaints(path, most_files=3) == [
        "main.yaml:1: include[0]: more than 3 files; write several gateways into each"
    ]


def test_files_that_include_each_other_are_limited(write: Callable[..., Path]) -> None:
    files = {f"f{number}": f"include: [f{number + 1}.yaml]\n" for number in range(20)}
    assert complaints(write(**files, f20=BOSTON)) == [
        "f7.yaml:1: include[0]: f8.yaml is included by more than 8 files in a row"
    ]


def test_line_ends_of_every_kind_keep_the_files_apart(write: Callable[..., Path]) -> None:
    path = write(
        main=f"include: [a.yaml, b.yaml]\n{BOSTON}",
        a="# \u2028\u2029\x85\n" * 5 + "x: 1\n",
        b="y: 1\n",
    )
    assert [line.partition(": ")[0].partition(":")[0] for line in complaints(path)] == [
        "a.yaml",
        "b.yaml",
    ]
