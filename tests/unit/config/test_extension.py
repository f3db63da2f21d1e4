"""Extension of files: what is written stays to the byte, and the result is valid."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
import yaml

from gatecert.config.extension import Additions, extend, read_unfinished
from gatecert.config.load import load
from gatecert.errors import ConfigurationError

CA: Final = {"contact": ["ops@widgets.test"], "terms_of_service_agreed": True}
NEW: Final = Additions(
    gateways={"edge": {"hostname": "edge.widgets.test", "install": {"verify": ["127.0.0.1:443"]}}},
    authorities={"letsencrypt": CA},
)
WRITTEN: Final = """\
# Mine.
authorities:
  letsencrypt:   # the usual one
    contact: ["ops@widgets.test"]
    terms_of_service_agreed: yes

gateways:
  boston:
    hostname:   boston.widgets.test   # do not touch
    install: {verify: ["127.0.0.1:8443"]}
    #region: us
  # paris:
    #hostname: paris.widgets.test

# The end of my file.
"""


def added_lines(before: str, after: str) -> list[str]:
    """Return the lines that are new; all others are there, in their order."""
    rest = iter(after.splitlines())
    new: list[str] = []
    for line in before.splitlines():
        for other in rest:
            if other == line:
                break
            new.append(other)
        else:
            pytest.fail(f"this line is gone: {line!r}")
    return [*new, *rest]


def extended(path: Path, written: str | None, additions: Additions = NEW) -> str:
    """Return the new text of a file, after a check that the loader accepts it."""
    if written is not None:
        path.write_bytes(written.encode())
    extension = extend(path, additions)
    path.write_bytes(extension.data)
    assert load(path) == extension.configuration
    return extension.data.decode()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def test_a_new_file(path: Path) -> None:
    text = extended(path, None)

    assert text.startswith("# The configuration of gatecert")
    assert yaml.safe_load(text) == {
        "authorities": {"letsencrypt": CA},
        "gateways": NEW.gateways,
    }


def test_a_gateway_is_added_behind_the_others_and_their_comments(path: Path) -> None:
    text = extended(path, WRITTEN)

    assert added_lines(WRITTEN, text) == [
        "  edge:",
        "    hostname: edge.widgets.test",
        "    install:",
        "      verify: ['127.0.0.1:443']",
    ]
    assert text.index("#hostname: paris") < text.index("  edge:") < text.index("# The end")


@pytest.mark.parametrize(
    "written",
    [
        "",
        "\n\n",
        "# only comments\n\n# and more",
        "---\n",
        "state_directory: /srv/state\n",
        "gateways:\n",
        "gateways:   # none yet\n# and nothing else\n",
        "gateways: ~\nauthorities: null\n",
        "gateways: {}\n",
        "{gateways: {}}",
        "{gateways: , authorities: {}}\n",
        "{}\n",
        "gateways: {a: {hostname: a.widgets.test}}\nauthorities: {letsencrypt: {}}\n",
        "{gateways: {a: {hostname: a.widgets.test}}, authorities: {letsencrypt: {}},}\n",
        (
            "gateways: {\n  a: {hostname: a.widgets.test},  # one\n  # two\n}\nauthorities: {b: "
            '{directory_url: "https://ca.widgets.test/"}}'
        ),
        "gateways:\n    a:\n        hostname: a.widgets.test\nauthorities:\n    letsencrypt: {}\n",
        "gateways:\n  a: {hostname: a.widgets.test}\nauthorities:\n  letsencrypt: {}",
        (
            "gateways:\n  a:\n    hostname: |-\n      a.widgets.test\n\n  # a comment\n"
            "authorities:\n  letsencrypt: {}\n"
        ),
        (
            "  gateways:\n    a:\n      hostname: a.widgets.test\n      alternative_names:\n"
            "      - b.widgets.test\n  authorities: {letsencrypt: {}}\n"
        ),
        (
            "gateways:\n\n  a:\n    hostname: a.widgets.test\n\n  b:\n"
            "    hostname: b.widgets.test\n\n\nauthorities: {letsencrypt: {}}\n...\n"
        ),
        (
            "gateways:\n  a: &a {hostname: a.widgets.test}\n"
            "  b: {<<: *a, hostname: b.widgets.test}\nauthorities: {letsencrypt: {}}\n"
        ),
        (
            "# über 🚪\nauthorities:\n  letsencrypt: {contact: []} # 🚪\ngateways:\n"
            '  a: {hostname: "a.widgets.test"} # 🚪\n'
        ),
    ],
)
def test_every_style(path: Path, written: str) -> None:
    before = yaml.safe_load(written) or {}
    additions = Additions(NEW.gateways, {} if before.get("authorities") else NEW.authorities)

    text = extended(path, written, additions)

    after = yaml.safe_load(text)
    for section, entries in additions.sections().items():
        if entries or section in before:
            assert after[section] == {**(before.get(section) or {}), **entries}
    comments = [line for line in written.splitlines() if line.lstrip().startswith("#")]
    assert [line for line in text.splitlines() if line in comments] == comments or not written


def test_line_ends_and_byte_order_mark_stay(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + WRITTEN.replace("\n", "\r\n").encode())

    data = extend(path, NEW).data

    assert data.startswith(b"\xef\xbb\xbf# Mine.\r\n")
    assert data.count(b"\n") == data.count(b"\r\n") == WRITTEN.count("\n") + 4


def test_blank_lines_between_gateways_continue(path: Path) -> None:
    written = WRITTEN.replace("    #region: us\n", "\n  rome:\n    hostname: rome.widgets.test\n")

    assert "\n\n  edge:\n" in extended(path, written)


def test_an_existing_gateway_is_refused_with_its_line(path: Path) -> None:
    path.write_text(WRITTEN, "utf-8")

    with pytest.raises(ConfigurationError, match=r"config.yaml:8: gateways.boston: exists already"):
        extend(path, Additions({"boston": {"hostname": "other.widgets.test"}}))

    assert path.read_text("utf-8") == WRITTEN


def test_one_in_an_included_file_too(path: Path) -> None:
    (path.parent / "more.yaml").write_text("gateways: {edge: {hostname: edge.test}}\n")
    path.write_text("include: [more.yaml]\n")

    with pytest.raises(ConfigurationError, match=r"more.yaml:1: gateways.edge: exists"):
        extend(path, NEW)


def test_included_files_count_and_are_left_alone(path: Path) -> None:
    more = path.parent / "more.yaml"
    more.write_text(WRITTEN)

    text = extended(path, "include: [m*.yaml]  # the rest\n")

    assert yaml.safe_load(text) == {"include": ["m*.yaml"], "gateways": NEW.gateways}
    assert more.read_text() == WRITTEN


def test_an_equal_authority_and_challenge_are_no_change(path: Path) -> None:
    written = WRITTEN.replace("gateways:", "challenges:\n  http-01: {webroot: .}\ngateways:")
    additions = Additions(NEW.gateways, NEW.authorities, {"http-01": {"webroot": str(path.parent)}})

    text = extended(path, written, additions)

    assert len(added_lines(written, text)) == 4


@pytest.mark.parametrize(
    ("additions", "what"),
    [
        (
            Additions({}, {"letsencrypt": {**CA, "contact": ["else@widgets.test"]}}),
            "authorities.letsencrypt: is written differently",
        ),
        (
            Additions({}, challenges={"http-01": {"listen": ["127.0.0.1:888"]}}),
            "challenges.http-01: is written differently",
        ),
    ],
)
def test_a_different_one_is_refused(path: Path, additions: Additions, what: str) -> None:
    path.write_text(WRITTEN.replace("gateways:", "challenges: {http-01: {webroot: /}}\ngateways:"))

    with pytest.raises(ConfigurationError, match=what):
        extend(path, additions)


def test_errors_of_the_result_are_those_of_the_loader(path: Path) -> None:
    path.write_text(WRITTEN)

    with pytest.raises(ConfigurationError, match=r"gateways.edge.hostnam: .*did you mean"):
        extend(path, Additions({"edge": {"hostnam": "edge.widgets.test"}}))


@pytest.mark.parametrize(
    "written",
    [
        "other: &g\n  a: {hostname: a.test}\ngateways: *g\n",
        "<<: &x {gateways: {a: {hostname: a.test}}}\n",
        "gateways: !!map {a: {hostname: a.test}}\n",
    ],
)
def test_what_cannot_be_extended_safely_is_shown_instead(path: Path, written: str) -> None:
    path.write_text(written)

    with pytest.raises(ConfigurationError) as caught:
        extend(path, Additions({"edge": {"hostname": "edge.test"}}))

    assert "add this yourself: gateways: {edge: {hostname: edge.test}}" in str(caught.value)
    assert path.read_text() == written


def test_the_example_of_the_package_can_be_extended(path: Path) -> None:
    written = (Path(__file__).resolve().parents[3] / "config.example.yaml").read_text("utf-8")

    text = extended(path, written, Additions(NEW.gateways))

    assert len(added_lines(written, text)) == 5


@pytest.mark.parametrize("written", ["resolver: {interval: 1s}\n", "gateways: {}\n", WRITTEN])
def test_a_configuration_without_gateways_can_be_read(path: Path, written: str) -> None:
    path.write_text(written)

    found = read_unfinished(path)

    assert found is not None
    assert list(found.gateways) == (["boston"] if written == WRITTEN else [])
    assert path.read_text() == written


def test_no_configuration_at_all(path: Path) -> None:
    assert read_unfinished(path) is None
    path.write_text("# nothing yet\n")
    assert read_unfinished(path) is None


def test_a_link_that_leads_nowhere_is_an_error(path: Path) -> None:
    path.symlink_to("missing.yaml")

    with pytest.raises(ConfigurationError, match="does not exist"):
        extend(path, NEW)
