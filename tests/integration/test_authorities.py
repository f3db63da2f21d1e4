"""CAs that are strict, have lost their state or are down; several CAs; profiles and chains."""

from __future__ import annotations

import base64
import secrets
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from harness.pebble import Pebble, PebbleOptions, PebblePorts
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from conftest import StartPebble
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert

BOSTON = "boston"


@pytest.fixture
def beside(
    servers: ExitStack, names: ChallengeTestServer, tmp_path: Path
) -> Callable[[Pebble], Pebble]:
    """A function that starts another CA, which validates at the same port."""

    def start(first: Pebble) -> Pebble:
        (tmp_path / "second").mkdir()
        for name in ("certificate.pem", "privkey.pem"):
            shutil.copy(first.https_certificate.with_name(name), tmp_path / "second")
        ports = PebblePorts(http01=first.ports.http01)
        return servers.enter_context(
            Pebble(tmp_path / "second", dns_server=names.address, ports=ports)
        )

    return start


def settings(pebble: Pebble, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any value
    """Return the configuration of a further CA."""
    return {
        "directory_url": pebble.directory_url,
        "terms_of_service_agreed": True,
        "ca_bundle": str(pebble.https_certificate),
        **more,
    }


def issued_by(gatecert: Gatecert, root: Path) -> bool:
    """Return True if the live certificate ends in this root of Pebble, by its number."""
    chain = (gatecert.live(BOSTON) / "chain.pem").read_bytes()
    return x509.load_pem_x509_certificates(chain)[-1].issuer == _subject(root.read_bytes())


def _subject(root: bytes) -> x509.Name:
    return x509.load_pem_x509_certificate(root).subject


# --------------------------------------------------------------------- several authorities


def test_a_name_blocked_by_one_ca_is_ordered_from_the_next_at_once(
    gatecert: Gatecert,
    start_pebble: StartPebble,
    names: ChallengeTestServer,
    hostname: str,
    beside: Callable[[Pebble], Pebble],
) -> None:
    first = start_pebble(PebbleOptions(blocked=[hostname.partition(".")[2]]))
    second = beside(first)
    names.point(hostname, "127.0.0.1")
    gatecert.use(first, names).add_gateway(BOSTON, hostname)
    gatecert.configuration["authorities"]["second"] = settings(second)
    gatecert.write()

    result = gatecert.run("enroll")

    assert result.exit_code == 0, result.errors
    assert "trying second instead" in result.output
    assert issued_by(gatecert, second.root)
    assert (first.orders(), second.orders()) == (0, 1)

    # The CA is paused for a while, also across restarts; an operator may still ask it.
    (left,) = gatecert.status(BOSTON)["authorities_left"]
    assert left["name"] == "pebble"
    assert "rejectedIdentifier" in left["reason"]
    assert "pebble is not used before" in gatecert.run("status", BOSTON).output
    assert gatecert.run("enroll", "--force").exit_code == 0
    assert second.orders() == 2
    assert sum(line == "POST /order-plz" for line in first.requests()) >= 2


def test_the_second_ca_takes_over_if_the_first_fails_during_an_order(
    gatecert: Gatecert,
    start_pebble: StartPebble,
    names: ChallengeTestServer,
    hostname: str,
    beside: Callable[[Pebble], Pebble],
) -> None:
    # So short a lifetime that renewals, and attempts after failures, come soon.
    first = start_pebble(
        PebbleOptions(
            profiles={"short": 16}, retry_after=2, slowest_validation=4, reused_authorizations=0
        )
    )
    second = beside(first)
    names.point(hostname, "127.0.0.1")
    gatecert.use(first, names, profile="short").add_gateway(
        BOSTON, hostname, renewal={"renewal_info": False}
    )
    gatecert.configuration["authorities"]["pebble"].pop("trusted_roots")
    gatecert.configuration["authorities"]["second"] = settings(second)
    gatecert.start()
    gatecert.wait_enrolled(BOSTON)
    assert issued_by(gatecert, first.root)

    wait_until(lambda: first.orders() == 2, "the renewal", seconds=20, interval=0.002)
    first.stop()
    gatecert.wait_for(
        lambda: issued_by(gatecert, second.root), "the second authority to take over", seconds=30
    )

    assert (first.certificates(), second.orders(), second.certificates()) == (1, 1, 1)
    gatecert.wait_logged("trying second instead")


# --------------------------------------------------------------------- dry runs


def test_a_dry_run_runs_every_step_and_installs_nothing(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    hostname: str,
    beside: Callable[[Pebble], Pebble],
) -> None:
    staging = beside(pebble)
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names, staging_directory_url=staging.directory_url)
    gatecert.add_gateway(BOSTON, hostname).write()
    before = sorted(gatecert.state_directory.rglob("*.pem"))

    result = gatecert.run("enroll", "--dry-run")

    assert result.exit_code == 0, result.errors
    assert "pebble.staging issued a certificate, and nothing was installed" in result.output
    assert (pebble.orders(), staging.certificates()) == (0, 1)
    assert "POST /sign-me-up" not in pebble.requests()
    assert gatecert.certificate(BOSTON) is None
    made = set(gatecert.state_directory.rglob("*.pem")) - set(before)
    assert {path.parent.name for path in made} == {"pebble.staging"}

    names.point(hostname, "127.0.0.2")
    refused = gatecert.run("enroll", "--dry-run")
    assert refused.exit_code == 1
    assert staging.certificates() == 1


# --------------------------------------------------------------------- accounts


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_external_account_binding(
    gatecert: Gatecert,
    start_pebble: StartPebble,
    names: ChallengeTestServer,
    hostname: str,
    tmp_path: Path,
    algorithm: str,
) -> None:
    secret = base64.urlsafe_b64encode(secrets.token_bytes(64)).decode().rstrip("=")
    pebble = start_pebble(PebbleOptions(external_accounts={"kid-1": secret}))
    key_file = tmp_path / "hmac"
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()

    missing = gatecert.run("enroll")
    assert missing.exit_code == 1
    assert "set authorities.pebble.external_account" in missing.errors

    def bound(text: str) -> None:
        key_file.write_text(text, "ascii")
        key_file.chmod(0o600)
        gatecert.configuration["authorities"]["pebble"]["external_account"] = {
            "key_id": "kid-1",
            "hmac_key_file": str(key_file),
            "algorithm": algorithm,
        }
        gatecert.write()

    bound(base64.urlsafe_b64encode(b"x" * 64).decode())
    rejected = gatecert.run("enroll", "--force")
    assert rejected.exit_code == 1
    assert "authorities.pebble.external_account" in rejected.errors
    assert base64.urlsafe_b64encode(b"x" * 64).decode()[:20] not in rejected.errors

    bound(secret)
    right = gatecert.run("enroll", "--force")
    assert right.exit_code == 0, right.errors
    # An EAB key may work only once, so it is not needed again, even if the account's file is lost.
    (gatecert.state_directory / "accounts" / "pebble" / "account.json").unlink()
    key_file.unlink()
    del gatecert.configuration["authorities"]["pebble"]["external_account"]
    gatecert.write()
    again = gatecert.run("enroll", "--force")
    assert again.exit_code == 0, again.errors


# --------------------------------------------------------------------- profiles and chains


def test_a_missing_profile_is_reported_before_any_request(
    gatecert: Gatecert, start_pebble: StartPebble, names: ChallengeTestServer, hostname: str
) -> None:
    pebble = start_pebble(PebbleOptions(profiles={"classic": 3600, "shortlived": 600}))
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names, profile="tlsserver").add_gateway(BOSTON, hostname).write()

    refused = gatecert.run("enroll")
    assert refused.exit_code == 1
    assert len(refused.errors.splitlines()) == 1
    assert "set authorities.pebble.profile to one of classic, shortlived" in refused.errors
    assert pebble.orders() == 0

    for wanted, seconds in (({"preferred": "shortlived"}, 600), ("classic", 3600)):
        gatecert.configuration["authorities"]["pebble"]["profile"] = wanted
        gatecert.write()
        result = gatecert.run("enroll", "--force")
        assert result.exit_code == 0, result.errors
        certificate = gatecert.certificate(BOSTON)
        assert certificate is not None
        lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert abs(lifetime.total_seconds() - seconds) <= 1


def test_the_chain_with_the_preferred_root_is_used(
    gatecert: Gatecert, start_pebble: StartPebble, names: ChallengeTestServer, hostname: str
) -> None:
    pebble = start_pebble(PebbleOptions(alternate_roots=2, chain_length=3))
    wanted = _subject(pebble.root_certificate(2))
    (name,) = wanted.get_attributes_for_oid(NameOID.COMMON_NAME)
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names, preferred_root=name.value).add_gateway(BOSTON, hostname)
    gatecert.configuration["authorities"]["pebble"].pop("trusted_roots")
    gatecert.write()

    result = gatecert.run("enroll")

    assert result.exit_code == 0, result.errors
    chain = x509.load_pem_x509_certificates((gatecert.live(BOSTON) / "chain.pem").read_bytes())
    assert len(chain) == 3
    assert chain[-1].issuer == wanted


# --------------------------------------------------------------------- failures


@pytest.mark.parametrize("reused", [0, 100])
def test_authorizations_are_reused_if_the_ca_allows_it(
    gatecert: Gatecert,
    start_pebble: StartPebble,
    names: ChallengeTestServer,
    hostname: str,
    reused: int,
) -> None:
    pebble = start_pebble(PebbleOptions(reused_authorizations=reused, rejected_nonces=0))
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    for _ in range(2):
        result = gatecert.run("enroll", "--force")
        assert result.exit_code == 0, result.errors
    validations = [line for line in pebble.requests() if line.startswith("POST /chalZ/")]
    assert len(validations) == (1 if reused else 2)


# --------------------------------------------------------------------- keys


def test_rotate_key_replaces_a_reused_key(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname, key={"reuse": True}).write()
    seen = []
    for options in ((), ("--force",), ("--rotate-key",)):
        result = gatecert.run("enroll", *options)
        assert result.exit_code == 0, result.errors
        certificate = gatecert.certificate(BOSTON)
        assert certificate is not None
        seen.append(certificate.public_key())
    assert seen[0] == seen[1] != seen[2]
    assert pebble.certificates() == 3


@pytest.mark.parametrize(
    ("kind", "size"), [("ecdsa-p384", 384), ("rsa-2048", 2048), ("rsa-3072", 3072)]
)
def test_every_kind_of_key_is_certified(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    hostname: str,
    kind: str,
    size: int,
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname, key={"type": kind}).write()
    result = gatecert.run("enroll")
    assert result.exit_code == 0, result.errors
    certificate = gatecert.certificate(BOSTON)
    assert certificate is not None
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey if kind.startswith("rsa") else EllipticCurvePublicKey)
    assert key.key_size == size


# --------------------------------------------------------------------- renewals


def test_state_restored_from_a_backup_renews_again(
    gatecert: Gatecert,
    start_pebble: StartPebble,
    names: ChallengeTestServer,
    hostname: str,
    tmp_path: Path,
) -> None:
    pebble = start_pebble(PebbleOptions(rejected_nonces=0))
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names).add_gateway(BOSTON, hostname).write()
    assert gatecert.run("enroll").exit_code == 0
    shutil.copytree(gatecert.state_directory, tmp_path / "backup", symlinks=True)
    assert gatecert.run("enroll", "--force").exit_code == 0
    shutil.rmtree(gatecert.state_directory)
    shutil.copytree(tmp_path / "backup", gatecert.state_directory, symlinks=True)

    result = gatecert.run("enroll", "--force")

    # The CA refuses to replace the same certificate twice, so the order is repeated.
    assert result.exit_code == 0, result.errors
    assert pebble.orders() == 3
    assert pebble.requests().count("POST /order-plz") == 4
