"""The message catalogue explains every code that an entry of the journal can carry."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from gatecert import errors
from gatecert.doctor import codes, fleet_codes, message_catalogue
from gatecert.doctor.finding import Code
from gatecert.doctor.outcome_codes import OUTCOME_CODES
from gatecert.outcome_kinds import OutcomeKind
from gatecert.report.message_ids import message_id

PROJECT = Path(__file__).parents[3]
HEADERS = {"Subject", "Defined-By", "Documentation"}
OF_COMMANDS = {errors.WrongUsageError.code}  # errors that no pass of the daemon ends with
COLUMNS = 80  # of a terminal, less the mark of journalctl


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as journald reads it."""

    id: str
    headers: tuple[tuple[str, str], ...]
    text: str


def entries() -> list[Entry]:
    """Parse the catalogue as `catalog_import_file` of systemd does."""
    lines = [line for line in message_catalogue.text().splitlines() if not line.startswith("#")]
    found = []
    for entry in re.split(r"^-- ", "\n".join(lines), flags=re.MULTILINE)[1:]:
        identifier, _, payload = entry.partition("\n")
        head, _, text = payload.partition("\n\n")
        headers = [line.partition(": ") for line in head.splitlines()]
        found.append(Entry(identifier, tuple((key, value) for key, _, value in headers), text))
    return found


def names_of_errors() -> set[str]:
    classes = [each for _, each in inspect.getmembers(errors, inspect.isclass)]
    return {each.code for each in classes if issubclass(each, errors.GatecertError)}


def names_of_held_orders() -> set[str]:
    found = [each for each in vars(codes).values() if isinstance(each, Code)]
    of_names = [*codes.BY_RESOLUTION.values(), *codes.OF_DDNS.values()]
    return {each.name for each in found if each.recheck_after} | {each.name for each in of_names}


def names() -> list[str]:
    """Return every name that an outcome can have."""
    carried = names_of_errors() | names_of_held_orders() | {"drift"}
    return sorted({*OutcomeKind, *carried} - OF_COMMANDS)


def test_every_outcome_has_an_entry() -> None:
    explained = {entry.id for entry in entries()}
    assert [name for name in names() if message_id(name) not in explained] == []


def test_every_kind_of_outcome_has_its_own_words() -> None:
    assert set(message_catalogue.MEANING) == set(OutcomeKind)


def test_no_two_entries_have_an_identifier_in_common() -> None:
    found = [entry.id for entry in entries()]
    assert len(set(found)) == len(found)
    assert {len(bytes.fromhex(each)) for each in found} == {16}


def test_a_code_has_one_meaning() -> None:
    known = [*vars(codes).values(), *vars(fleet_codes).values()]
    of_checks = {each.name for each in known if isinstance(each, Code)}
    assert of_checks.isdisjoint(code.name for code in OUTCOME_CODES)
    assert not set(OutcomeKind) & set(message_catalogue.catalogued_codes())


def test_every_code_is_on_the_page_of_the_doctor() -> None:
    page = (PROJECT / "docs/doctor.md").read_text("utf-8")
    assert [n for n in message_catalogue.catalogued_codes() if f"| `{n}` |" not in page] == []


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: str(dict(entry.headers)["Subject"]))
def test_an_entry_keeps_the_format(entry: Entry) -> None:
    assert {key for key, _ in entry.headers} == HEADERS
    assert all(value for _, value in entry.headers)
    whole = "\n".join([*(value for _, value in entry.headers), entry.text])
    assert "@" not in whole.replace("@GATECERT_GATEWAY@", "")
    assert max(map(len, entry.text.splitlines())) < COLUMNS
    assert entry.text.strip().endswith(".")
    assert ".." not in entry.text


def test_the_pages_that_entries_name_exist() -> None:
    prefix = "file:///usr/share/doc/gatecert/"
    named = {value for entry in entries() for key, value in entry.headers if key == "Documentation"}
    pages = {each.removeprefix(prefix) for each in named if each.startswith(prefix)}
    assert pages == {"docs/doctor.md", "docs/status.md"}
    assert all((PROJECT / page).is_file() for page in pages)
    assert named - {prefix + page for page in pages} == {"man:gatecert(1)"}


def test_the_page_shows_an_identifier_that_exists() -> None:
    shown = re.findall(r"MESSAGE_ID=(\w+)", (PROJECT / "docs/systemd.md").read_text("utf-8"))
    assert shown == [message_id("not-served")]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("not-served", "If the entry begins with rolled-back"),
        ("not-served", "gatecert doctor @GATECERT_GATEWAY@ shows"),
        ("configuration", "gatecert doctor shows"),
        ("user-action-required", "What to do: open the URL in the message"),
    ],
)
def test_an_entry_says_what_to_do(name: str, expected: str) -> None:
    (found,) = [entry for entry in entries() if entry.id == message_id(name)]
    assert expected in " ".join(found.text.split())
