"""A configuration of many gateways: everything in it is looked at once for each."""

from __future__ import annotations

import pickle
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from gatecert.config.load import load
from gatecert.config.targets import targets
from gatecert.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import FrameType

HEAD = """\
authorities:
  le:
    directory_url: https://acme.example.com/
    external_account: {key_id: k, hmac_key_file: secret}
gateways:
"""


def fleet(number: int, gateway: str) -> str:
    lines = (f"  gw{each}: {{{gateway.format(each)}}}\n" for each in range(number))
    return HEAD + "".join(lines)


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[str], Path]:
    secret = tmp_path / "secret"
    secret.write_text("a2V5\n", encoding="utf-8")
    secret.chmod(0o600)

    def write(written: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(written, encoding="utf-8")
        return path

    return write


def calls(action: Callable[[], object]) -> int:
    """Count the calls of Python functions, which do not depend on the machine's speed."""
    count = 0

    def counted(_frame: FrameType, event: str, _value: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    "gateway",
    [
        "hostname: gw{0}.example.com, install: {{verify: ['127.0.0.1:443']}}",
        "hostname: gw{0}.example.com, install: {{watch: 5}}, challenge: http-01",
        "hostname: gw{0}.example.com, authorities: [lee]",
        "hostname: same.example.com",
    ],
)
def test_the_work_grows_with_the_number_of_gateways_only(
    loaded: Callable[[str], Path], gateway: str
) -> None:
    def work(number: int) -> int:
        path = loaded(fleet(number, gateway))

        def action() -> None:
            with suppress(ConfigurationError):
                targets(load(path))

        return calls(action)

    work(10)  # what is imported and compiled at first use
    few, many = work(100), work(400)
    assert many < 4.4 * few


def test_a_configuration_survives_pickling(loaded: Callable[[str], Path]) -> None:
    path = loaded(fleet(20, "hostname: gw{0}.example.com, install: {{reload: [true]}}"))
    configuration = load(path)
    copy = pickle.loads(pickle.dumps(configuration))  # noqa: S301 - its own
    assert copy == configuration
    assert targets(copy) == targets(configuration)
    account = copy.authorities["le"].external_account
    assert account is not None
    assert account.hmac_key_file == path.parent / "secret"
