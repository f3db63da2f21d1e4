"""A function in a process of its own."""

from __future__ import annotations

import os
from typing import Any, NoReturn

import pytest

from gatecert.cli.child_process import ChildError, in_child
from gatecert.errors import GatecertError, LockTimeoutError

# The processes of pytest-xdist have threads; that of the command has none.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def test_the_result_comes_back() -> None:
    process = os.getpid()

    result = in_child(lambda: {"process": os.getpid(), "text": "ü"})

    assert result["text"] == "ü"
    assert result["process"] != process


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (GatecertError("no", fix="do it"), ChildError, r"no \(do it\)"),
        (LockTimeoutError("held"), LockTimeoutError, "held"),
        (ValueError("odd"), ChildError, r"unexpected ValueError\('odd'\)"),
    ],
)
def test_an_error_comes_back(error: Exception, kind: type[Exception], message: str) -> None:
    def work() -> dict[str, Any]:
        raise error

    with pytest.raises(kind, match=message):
        in_child(work)


def test_a_lost_process_is_an_error() -> None:
    def work() -> NoReturn:
        os._exit(9)

    with pytest.raises(ChildError, match=r"was lost \(exit status 9\)"):
        in_child(work)
