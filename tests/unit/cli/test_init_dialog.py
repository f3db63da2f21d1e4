"""Questions and answers without a terminal."""

from __future__ import annotations

import pytest

from gatecert.cli.init_dialog import Dialog
from gatecert.errors import WrongUsageError


def test_without_questions_a_default_is_the_answer() -> None:
    dialog = Dialog(asks=False)

    assert dialog.ask("Name", "--hostname", str, "gate.test") == "gate.test"
    assert dialog.confirm("Go on")


def test_without_questions_a_missing_answer_names_its_option() -> None:
    dialog = Dialog(asks=False)

    with pytest.raises(WrongUsageError, match=r"--hostname is missing: name\?"):
        dialog.ask("Name", "--hostname", str)
    with pytest.raises(WrongUsageError, match="--server is missing: which one: a, b"):
        dialog.choose("Which one", "--server", [("a", "A"), ("b", "B")])


def test_a_quiet_dialog_says_only_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    dialog = Dialog(asks=False, quiet=True)

    dialog.heading("This host")
    dialog.fact("server", "nginx")
    dialog.step("done")
    dialog.note("see the log")

    assert capsys.readouterr().out == "→ see the log\n"


def test_facts_have_names_and_files_are_indented(capsys: pytest.CaptureFixture[str]) -> None:
    dialog = Dialog(asks=False)

    dialog.fact("server", "nginx")
    dialog.verbatim(["a {", "    b;", "}"])

    assert capsys.readouterr().out == "  server     nginx\n    a {\n        b;\n    }\n"
