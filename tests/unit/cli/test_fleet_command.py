"""``gatecert fleet plan``: how long first certificates take within the limits of a CA."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import yaml

from gatecert import cli

if TYPE_CHECKING:
    from pathlib import Path

AUTHORITIES = {
    "letsencrypt": {"terms_of_service_agreed": True},
    "private": {"directory_url": "https://ca.example.com/directory", "limits": "off"},
}
GATEWAYS: dict[str, dict[str, object]] = {
    "boston": {"hostname": "boston.first.com", "alternative_names": ["boston.second.com"]},
    "paris": {"hostname": "paris.second.com", "key": {"second": "rsa-2048"}},
    "home": {"hostname": "home.duckdns.org"},
    "inside": {"hostname": "vpn.third.com", "authorities": ["private", "letsencrypt"]},
    "manual": {"hostname": "vpn.fourth.com", "mode": "custom"},
    "beijing": {"hostname": "vpn.fifth.cn"},
}


class Plan(Protocol):
    """Runs ``gatecert fleet plan``; returns exit code, standard output and error."""

    def __call__(self, *arguments: str) -> tuple[int, str, str]: ...


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    written = {
        "state_directory": str(tmp_path / "state"),
        "authorities": AUTHORITIES,
        "gateways": GATEWAYS,
    }
    path.write_text(yaml.dump(written, sort_keys=False), "utf-8")
    return path


@pytest.fixture
def plan(
    configuration: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Plan:
    def command(*arguments: str) -> tuple[int, str, str]:
        argv = ["gatecert", "-c", str(configuration), "fleet", "plan", *arguments]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as ended:
            cli.run()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return command


def limits_of(output: str) -> list[tuple[str | None, int, int]]:
    """Return domain, certificates and days of each limit."""
    document: dict[str, Any] = json.loads(output)
    assert document["schema"] == 1
    return [
        (each["domain"], each["certificates"], int(each["seconds"] / 86_400))
        for each in document["limits"]
    ]


def row(output: str, label: str) -> str:
    return next(line for line in output.splitlines() if line.strip().startswith(label))


def test_a_thousand_gateways_below_one_domain(plan: Plan) -> None:
    code, output, error = plan("ddns.example=1000")
    assert (code, error) == (0, "")
    assert "23 weeks (20 weeks with the tenth" in row(output, "ddns.example")
    assert "12 hours" in row(output, "account")
    assert "only 428 below ddns.example" in row(output, "renewals")


def test_a_hundred_thousand_gateways_of_one_account(plan: Plan) -> None:
    output = plan("duckdns.org=100000")[1]
    assert "100,000, each within 50 in 7 days" in row(output, "domains")
    assert "47 days (42 days with the tenth" in row(output, "account")


def test_names_below_one_domain_count_together(plan: Plan) -> None:
    output = plan("ddns.example=30", "eu.ddns.example=30", "other.example=1", "--json")[1]
    assert limits_of(output) == [
        ("ddns.example", 60, 14),
        ("other.example", 1, 7),
        (None, 61, 0),
    ]


def test_the_slowest_domains_are_shown_and_the_others_counted(plan: Plan) -> None:
    output = plan(*(f"zone{number}.example={number}0" for number in range(12)))[1]
    assert [line.split()[0] for line in output.splitlines() if " below it, " in line] == [
        f"zone{number}.example" for number in (10, 11, 5, 6, 7)
    ]
    assert "and 2 more domains" in output
    assert "5, each within" in row(output, "other domains")


def test_the_gateways_of_the_configuration_count_where_most_share(plan: Plan) -> None:
    assert sorted(limits_of(plan("--json")[1]), key=str) == [
        ("home.duckdns.org", 1, 7),
        ("second.com", 3, 7),
        (None, 4, 0),
    ]


def test_a_ca_without_limits_makes_nobody_wait(plan: Plan) -> None:
    code, output, _ = plan("--authority", "private", "third.com=5000")
    assert code == 0
    assert output.splitlines()[:2] == [
        "private",
        "  certificates   5,000, each for 90 days and renewed after 60 days",
    ]
    assert "with 5,000 orders" in row(output, "busiest day")
    assert limits_of(plan("--authority", "private", "--json")[1]) == []


def test_short_lived_certificates_are_renewed_after_half_of_their_lifetime(plan: Plan) -> None:
    output = plan("ddns.example=30", "--lifetime", "6d")[1]
    assert "each for 6 days and renewed after 3 days" in output
    assert "10 a day" in row(output, "renewals")


def test_beyond_a_century_no_day_is_named(plan: Plan) -> None:
    output = plan("ddns.example=1000000")[1]
    assert "more than a century" in row(output, "first orders")
    assert "busiest" not in output
    document = json.loads(plan("ddns.example=1000000", "--json")[1])
    assert (document["busiest_day"], document["last_first_order"]) == (None, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ddns.example"], '"" is not a whole number; write at most 1,000,000, as in'),
        (["ddns.example=many"], '"many" is not a whole number'),
        (["_x=1"], '"_x" is not a valid host name label'),
        (["ddns.example=1000001"], "ddns.example=1000001: at most 1,000,000 can be planned"),
        (["ddns.example=1000000000"], "at most nine digits; write at most 1,000,000, as in"),
        ([f"ddns.example={'9' * 5000}"], "at most nine digits; write at most 1,000,000, as in"),
        (["--lifetime", "90"], '"90" has no unit; write 90s for seconds (or m, h, d); allowed: 2d'),
        (["--lifetime", "36h"], "36h is too short to plan by days; allowed: 2d to 3650d"),
        (["--lifetime", "3651d"], '"3651d" must be longer than zero and at most ten years'),
        (["--lifetime", "3651d"], "allowed: 2d to 3650d"),
        (["--lifetime", f"1{'0' * 12}d"], "allowed: 2d to 3650d"),
        (["--authority", "letsencript"], "did you mean 'letsencrypt'"),
    ],
)
def test_a_wrong_argument_is_explained(plan: Plan, arguments: list[str], said: str) -> None:
    code, output, error = plan(*arguments)
    assert (code, output) == (2, "")
    assert said in error


def test_without_a_ca_no_limits_are_known(plan: Plan, configuration: Path) -> None:
    manual = {"hostname": "vpn.example.com", "mode": "custom"}
    configuration.write_text(yaml.dump({"gateways": {"manual": manual}}), "utf-8")
    code, _, error = plan()
    assert code == 2
    assert "no CA, so no limits are known (add one to authorities" in error
