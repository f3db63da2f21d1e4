"""``gatecert csr`` and ``gatecert import``: output, errors and exit codes."""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING, Protocol

import pytest
import yaml
from cryptography import x509
from tests.fakes.custom_office import HOST, Office

from gatecert import cli

if TYPE_CHECKING:
    from pathlib import Path

PRIMARY = {"common_name": "primaryvpn.company.com"}
SPARE = {"common_name": "secondaryvpn.company.com"}


class Run(Protocol):
    """Runs a command; returns exit code, standard output and error."""

    def __call__(self, *arguments: str, given: bytes = b"") -> tuple[int, str, str]: ...


@pytest.fixture
def gateway() -> dict[str, object]:
    return {"hostname": HOST, "mode": "custom"}


@pytest.fixture
def run(
    tmp_path: Path,
    gateway: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    configuration = tmp_path / "config.yaml"

    def command(*arguments: str, given: bytes = b"") -> tuple[int, str, str]:
        written = {"state_directory": str(tmp_path / "state"), "gateways": {"hq": gateway}}
        configuration.write_text(yaml.safe_dump(written), "utf-8")
        monkeypatch.setattr(sys, "argv", ["gatecert", "-c", str(configuration), *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
        with pytest.raises(SystemExit) as ended:
            cli.run()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    return command


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """An office of which only the CA is used; the gateway is the command's."""
    from datetime import UTC, datetime  # noqa: PLC0415 - the command reads the real clock

    made = Office(tmp_path / "office")
    made.now = datetime.now(UTC)
    return made


def signed(run: Run, office: Office, *options: str) -> bytes:
    _, request, _ = run("csr", "hq", *options)
    return office.sign(x509.load_pem_x509_csr(request.encode()))


def test_standard_output_holds_the_csr_alone(run: Run) -> None:
    code, output, errors = run("csr", "hq")
    assert code == 0
    assert x509.load_pem_x509_csr(output.encode()).is_signature_valid
    assert output.startswith("-----BEGIN CERTIFICATE REQUEST-----\n")
    assert output.endswith("-----END CERTIFICATE REQUEST-----\n")
    assert "hq: a new CSR, made 20" in errors
    again = run("csr", "hq")
    assert again[1] == output
    assert "hq: the pending CSR, made 20" in again[2]
    assert run("csr", "hq", "--renew")[1] != output


def test_changed_configuration_is_reported(run: Run, gateway: dict[str, object]) -> None:
    _, first, _ = run("csr", "hq")
    gateway["subject"] = {"O": "Company"}
    code, second, errors = run("csr", "hq")
    assert code == 0
    assert second != first
    assert "the configuration has changed since the pending CSR was made" in errors


def test_import_prints_every_step(run: Run, office: Office, tmp_path: Path) -> None:
    certificate, chain = tmp_path / "c.pem", tmp_path / "i.pem"
    certificate.write_bytes(signed(run, office))
    chain.write_bytes(office.chain)
    code, output, errors = run("import", "hq", "--certificate", str(certificate))
    assert (code, output) == (1, "")
    assert "Failed verifying the device certificate with the certificate chain" in errors
    arguments = ("import", "hq", "--certificate", str(certificate), "--chain", str(chain))
    code, output, errors = run(*arguments)
    assert (code, errors) == (0, "")
    assert f"hq: check: CN={HOST}" in output
    assert "hq: imported: the certificate of vpn.company.com is installed" in output
    code, output, _ = run(*arguments)
    assert code == 0
    assert "was imported before" in output


@pytest.mark.parametrize("place", ["--certificate", "--chain"])
def test_standard_input_may_be_either_file(
    run: Run, office: Office, tmp_path: Path, place: str
) -> None:
    contents = {"--certificate": signed(run, office), "--chain": office.chain}
    given = contents.pop(place)
    ((other, rest),) = contents.items()
    file = tmp_path / "file.pem"
    file.write_bytes(rest)
    code, _, errors = run("import", "hq", place, "-", other, str(file), given=given)
    assert (code, errors) == (0, "")


def test_certificate_and_chain_may_be_one_file(run: Run, office: Office, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(signed(run, office) + office.chain)
    assert run("import", "hq", "--certificate", str(both), "--chain", str(both))[0] == 0
    assert run("import", "hq", "--certificate", str(both))[0] == 0


def test_failed_deployment_exits_with_1(
    run: Run, office: Office, gateway: dict[str, object]
) -> None:
    gateway["install"] = {"reload": ["false"]}
    everything = signed(run, office) + office.chain
    code, _, errors = run("import", "hq", "--certificate", "-", given=everything)
    assert code == 1
    assert "hq: failed:" in errors


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("csr", "hqs"), "no gateway is called 'hqs', did you mean 'hq'"),
        (("csr",), "Missing argument"),
        (("csr", "hq", "--member", "spare"), "is a single host"),
        (("import", "hq"), "Missing option '--certificate'"),
        (("import", "hq", "--certificate", "-", "--chain", "-"), "cannot both be standard input"),
        (("import", "hq", "--certificate", "/missing"), "cannot be read: No such file"),
        (("import", "hp", "--certificate", "-"), "no gateway is called 'hp'"),
    ],
)
def test_wrong_usage_exits_with_2(run: Run, arguments: tuple[str, ...], what: str) -> None:
    code, output, errors = run(*arguments)
    assert (code, output) == (2, "")
    assert what in errors
    assert errors.count("\n") == 1


def test_an_automatic_gateway_is_wrong_usage(run: Run, gateway: dict[str, object]) -> None:
    gateway.update(mode="automatic", region="cn")
    code, output, errors = run("csr", "hq")
    assert (code, output) == (2, "")
    assert "set mode: custom" in errors
    assert run("import", "hq", "--certificate", "-")[0] == 2


def test_member_option_selects_the_member(
    run: Run, office: Office, gateway: dict[str, object]
) -> None:
    gateway["members"] = {"primary": PRIMARY, "spare": SPARE}
    assert run("csr", "hq")[0] == 2
    certificate = signed(run, office, "--member", "spare")
    given = certificate + office.chain
    arguments = ("import", "hq", "--certificate", "-", "--member")
    code, _, errors = run(*arguments, "primary", given=given)
    assert code == 1
    assert "belongs to member spare" in errors
    assert run(*arguments, "spare", given=given)[0] == 0


def test_status_warns_until_the_certificate_is_replaced(run: Run, office: Office) -> None:
    _, request, _ = run("csr", "hq")
    csr = x509.load_pem_x509_csr(request.encode())
    given = office.sign(csr, days=9) + office.chain
    assert run("import", "hq", "--certificate", "-", given=given)[0] == 0
    _, output, _ = run("status")
    assert "the imported certificate ends in 8 days" in " ".join(output.split())
    assert "gatecert csr hq --renew" in output


def test_status_warns_of_a_new_name_until_the_certificate_has_it(
    run: Run, office: Office, gateway: dict[str, object]
) -> None:
    def bring() -> int:
        given = signed(run, office) + office.chain
        return run("import", "hq", "--certificate", "-", given=given)[0]

    assert bring() == 0
    gateway["alternative_names"] = ["new.company.com"]
    told = " ".join(run("status")[1].split())
    assert "does not cover new.company.com" in told
    assert "gatecert csr hq, have it signed" in told
    assert "certificate-names" in run("doctor", "--json")[1]
    assert bring() == 0
    told = run("status", "hq")[1]
    assert "new.company.com" in told
    assert "does not cover" not in told


def test_check_says_how_each_host_of_an_automatic_pair_can_enrol(
    run: Run, gateway: dict[str, object]
) -> None:
    gateway.update(mode="automatic", region="cn", members={"primary": PRIMARY, "spare": SPARE})
    code, output, _ = run("check")
    assert code == 0
    assert "set challenge: dns-01, which works on every host" in output


def test_file_name_with_control_characters_stays_on_one_line(run: Run) -> None:
    code, _, errors = run("import", "hq", "--certificate", "no\x1b[31m\nsuch")
    assert code == 2
    assert "the certificate file no [31m such cannot be read" in errors
    assert errors.count("\n") == 1


def test_status_shows_what_a_custom_gateway_waits_for(run: Run) -> None:
    assert run("enroll")[0] == 0
    _, told, _ = run("status", "hq")
    assert "waits for an imported certificate" in told
    assert re.search(r"expires +in \d+ d, .* UTC\n", told)
    assert "make a CSR with gatecert csr hq, have it signed, then: gatecert import hq" in told
    run("csr", "hq")
    _, told, _ = run("status")
    assert "waits for the certificate of its CSR, made 20" in told
