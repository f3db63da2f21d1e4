from __future__ import annotations

import pytest

from gatecert.ddns.update_answer import REFUSALS, read_answer
from gatecert.errors import (
    DdnsBlockedError,
    DdnsRefusedError,
    DdnsUnreachableError,
    GatecertError,
)

HERE = "gateways.boston.ddns"


def read(text: str, name: str = "boston.ddns.net") -> bool:
    return read_answer(text, service="dynupdate.no-ip.com", name=name, here=HERE)


@pytest.mark.parametrize("text", ["good 192.0.2.7", "good", "GOOD 192.0.2.7\r\n", " good\n"])
def test_good_is_a_change(text: str) -> None:
    assert read(text)


@pytest.mark.parametrize("text", ["nochg 192.0.2.7", "nochg"])
def test_nochg_is_a_success_without_a_change(text: str) -> None:
    assert not read(text)


@pytest.mark.parametrize("code", ["dnserr", "911", "servererror"])
def test_trouble_of_the_service_asks_for_half_an_hour(code: str) -> None:
    with pytest.raises(DdnsUnreachableError, match=f"dynupdate.no-ip.com .*{code}") as raised:
        read(code)

    assert raised.value.pause == 1800
    assert "no action needed" in raised.value.fix


@pytest.mark.parametrize("code", sorted(set(REFUSALS) - {"abuse"}))
def test_a_refusal_says_what_to_correct(code: str) -> None:
    with pytest.raises(DdnsRefusedError) as raised:
        read(code)

    assert code in raised.value.message
    assert raised.value.fix
    assert "{" not in str(raised.value)


def test_the_host_and_the_keys_are_named() -> None:
    with pytest.raises(DdnsRefusedError, match=r"has no host boston.ddns.net in this account"):
        read("nohost")
    with pytest.raises(DdnsRefusedError, match=r"gateways.boston.ddns.password_file"):
        read("badauth")


def test_abuse_is_a_block() -> None:
    with pytest.raises(DdnsBlockedError, match=r"has blocked boston\.ddns\.net"):
        read("abuse")


@pytest.mark.parametrize("text", ["", "<html>hello</html>", "ok", "good-bye", "\x1b[31mred"])
def test_anything_else_is_shown_cleaned_and_refused(text: str) -> None:
    with pytest.raises(DdnsRefusedError, match="no answer of the dyndns2 protocol") as raised:
        read(text)

    assert raised.value.message.isprintable()


def test_a_long_answer_is_cut() -> None:
    with pytest.raises(GatecertError) as raised:
        read("x" * 10_000)

    assert len(raised.value.message) < 300


def test_good_with_loopback_is_a_warning_to_the_client() -> None:
    with pytest.raises(DdnsRefusedError):
        read("good 127.0.0.1")
