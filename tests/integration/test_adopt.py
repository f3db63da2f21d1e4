"""``gatecert adopt`` with directories that real clients made."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from harness.handshake import HandshakeLoop, served_certificate
from harness.named import Named, TsigKey, Zone
from harness.nginx import Nginx
from harness.other_clients import AcmeSh, CaddyServer, Certbot, Lego
from harness.pebble import Pebble, PebbleOptions
from harness.waiting import wait_until

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from conftest import StartPebble
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import CommandResult, Gatecert
    from harness.other_clients import OtherClient

SHOP = "shop.example.com"
MAIL = "mail.example.com"
CLIENTS = [Certbot, AcmeSh, Lego, CaddyServer]
NEW_ACCOUNT = "POST /sign-me-up"


@pytest.fixture
def pebble(start_pebble: StartPebble) -> Pebble:
    """A CA that refuses no good nonce, because certbot repeats a request only once."""
    return start_pebble(PebbleOptions(rejected_nonces=0))


def contents(directory: Path) -> dict[str, tuple[str, int]]:
    """Return a digest and the modification time of every file."""
    return {
        str(path.relative_to(directory)): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def prepare(gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer) -> None:
    """Write what adopt cannot know in a test: the private CA's root, the resolver, the address."""
    for name in (SHOP, MAIL):
        names.point(name, "127.0.0.1")
    gatecert.use(pebble, names)
    gatecert.configuration["defaults"] = {"addresses": ["127.0.0.1"]}
    gatecert.write()


def adopt(gatecert: Gatecert, client: OtherClient, *options: str) -> CommandResult:
    url = gatecert.configuration["authorities"]["pebble"]["directory_url"]
    return gatecert.run("adopt", str(client.home), "--directory-url", url, *options)


def link_to(served: Path, fullchain: Path, private_key: Path) -> None:
    """Make the server's files lead to others."""
    served.mkdir(exist_ok=True)
    for name, path in (("fullchain.pem", fullchain), ("privkey.pem", private_key)):
        (served / name).unlink(missing_ok=True)
        (served / name).symlink_to(path)


@pytest.mark.parametrize("kind", CLIENTS, ids=lambda kind: str(kind.name))
def test_moves_without_an_order_and_renews_with_the_same_account(
    kind: Any,  # noqa: ANN401 - one of four classes
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    servers: ExitStack,
    tmp_path: Path,
) -> None:
    prepare(gatecert, pebble, names)
    client: OtherClient = kind(tmp_path / "client", pebble)
    client.issue(SHOP)
    served = tmp_path / "served"
    link_to(served, client.fullchain(SHOP), client.private_key(SHOP))
    server = servers.enter_context(
        Nginx(
            tmp_path / "nginx",
            fullchain=served / "fullchain.pem",
            private_key=served / "privkey.pem",
        )
    )
    gatecert.configuration["defaults"]["install"] = {"reload": server.reload_command}
    gatecert.write()
    before = served_certificate("127.0.0.1", server.port, SHOP)
    theirs, orders = contents(client.home), pebble.orders()
    requests = len(pebble.requests())

    result = adopt(gatecert, client, "--verify", server.address)

    assert result.exit_code == 0, result.errors + result.output
    assert len(pebble.requests()) == requests
    assert contents(client.home) == theirs
    assert f"{SHOP}: adopted" in result.output
    assert f"proven: {server.address} serves the installed certificate" in result.output
    certificate = gatecert.certificate(SHOP)
    assert certificate is not None
    assert certificate.public_bytes(Encoding.DER) == before
    assert gatecert.run("check").exit_code == 0
    status = gatecert.status(SHOP)
    assert status["state"] == "trusted", status

    again = gatecert.run("enroll")
    assert again.exit_code == 0, again.errors
    assert pebble.orders() == orders

    link_to(served, *gatecert.files(SHOP).values())  # type: ignore[arg-type]  # two paths
    accounts = pebble.requests().count(NEW_ACCOUNT)
    renewed = gatecert.run("enroll", "--force")

    assert renewed.exit_code == 0, renewed.errors + renewed.output
    assert pebble.orders() == orders + 1
    assert pebble.requests().count(NEW_ACCOUNT) == accounts
    wait_until(
        lambda: served_certificate("127.0.0.1", server.port, SHOP) != before, "the new certificate"
    )


def test_adopting_again_beside_a_running_daemon_changes_nothing(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, tmp_path: Path
) -> None:
    prepare(gatecert, pebble, names)
    client = Certbot(tmp_path / "client", pebble)
    client.issue(SHOP, MAIL)
    assert adopt(gatecert, client).exit_code == 0
    orders, configuration = pebble.orders(), gatecert.configuration_file.read_bytes()
    gatecert.process.start()
    gatecert.wait_logged("ready gateways=1")

    result = adopt(gatecert, client)

    assert result.exit_code == 0, result.errors
    assert f"{SHOP}: already there" in result.output
    assert gatecert.configuration_file.read_bytes() == configuration
    assert len(list((gatecert.state_directory / "gateways" / SHOP / "versions").iterdir())) == 1
    assert pebble.orders() == orders


def test_a_running_daemon_takes_over_a_new_gateway_without_an_order(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, tmp_path: Path
) -> None:
    prepare(gatecert, pebble, names)
    client = Certbot(tmp_path / "client", pebble)
    client.issue(SHOP)
    assert adopt(gatecert, client).exit_code == 0
    client.issue(MAIL)  # now: a daemon holds the port
    gatecert.process.start()
    gatecert.wait_logged("ready gateways=1")
    leaf = x509.load_pem_x509_certificate(client.fullchain(MAIL).read_bytes())
    orders = pebble.orders()

    result = adopt(gatecert, client)

    assert result.exit_code == 0, result.errors
    assert f"{MAIL}: adopted" in result.output
    gatecert.wait_logged(f"renewal information gateway={MAIL}")  # the daemon has run a pass
    assert gatecert.certificate(MAIL) == leaf
    assert pebble.orders() == orders


def test_a_dry_run_changes_nothing(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, tmp_path: Path
) -> None:
    prepare(gatecert, pebble, names)
    client = Certbot(tmp_path / "client", pebble)
    client.issue(SHOP, MAIL)
    configuration = gatecert.configuration_file.read_bytes()

    result = adopt(gatecert, client, "--dry-run")

    assert result.exit_code == 0, result.errors
    assert f"{SHOP}: would be adopted" in result.output
    assert f"alternative_names: [{MAIL}]" in result.output
    assert "Nothing was changed" in result.output
    assert gatecert.configuration_file.read_bytes() == configuration
    assert not gatecert.state_directory.exists()


def test_the_credentials_of_a_dns_plug_in_are_adopted_and_renew(
    gatecert: Gatecert, servers: ExitStack, tmp_path: Path
) -> None:
    key = TsigKey()
    zone = Zone("example.com", records=("shop 1 IN A 127.0.0.1",))
    named = servers.enter_context(Named(tmp_path / "named", zones=[zone], keys=[key]))
    options = PebbleOptions(reused_authorizations=0, rejected_nonces=0)
    pebble = servers.enter_context(
        Pebble(tmp_path / "pebble", dns_server=named.address, options=options)
    )
    client = Certbot(tmp_path / "client", pebble)
    client.issue(SHOP)
    credentials = tmp_path / "rfc2136.ini"
    host, _, port = named.address.rpartition(":")
    credentials.write_text(
        f"dns_rfc2136_server = {host}\ndns_rfc2136_port = {port}\ndns_rfc2136_name = {key.name}.\n"
        f"dns_rfc2136_secret = {key.secret}\ndns_rfc2136_algorithm = {key.algorithm.upper()}\n",
        "ascii",
    )
    settings = client.home / "renewal" / f"{SHOP}.conf"
    plug_in = f"authenticator = dns-rfc2136\ndns_rfc2136_credentials = {credentials}"
    text = settings.read_text("utf-8").replace("authenticator = standalone", plug_in)
    settings.write_text(text, "utf-8")
    gatecert.use(pebble, named)
    del gatecert.configuration["challenges"]
    gatecert.configuration["defaults"] = {"addresses": ["127.0.0.1"]}
    gatecert.write()

    result = adopt(gatecert, client)

    assert result.exit_code == 0, result.errors
    assert key.secret not in gatecert.configuration_file.read_text("utf-8") + result.output
    secret = gatecert.configuration_file.parent / "rfc2136-tsig"
    assert secret.stat().st_mode & 0o777 == 0o600
    gatecert.configuration = yaml.safe_load(gatecert.configuration_file.read_text("utf-8"))
    assert gatecert.configuration["gateways"][SHOP]["challenge"] == "dns-01"
    dns_01 = gatecert.configuration["challenges"]["dns-01"]
    dns_01["authoritative"] = [named.address]  # whose port is not 53
    gatecert.write()
    renewed = gatecert.run("enroll", "--force")
    assert renewed.exit_code == 0, renewed.errors
    assert named.texts(f"_acme-challenge.{SHOP}") == []


def test_certificates_that_cannot_be_adopted_are_named_and_the_others_adopted(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, tmp_path: Path
) -> None:
    prepare(gatecert, pebble, names)
    client = Certbot(tmp_path / "client", pebble)
    client.issue(SHOP)
    client.issue(MAIL)
    shutil.rmtree(client.home / "live" / SHOP)  # copied without its links
    other = client.home / "archive" / SHOP / "privkey1.pem"
    (client.home / "archive" / MAIL / "privkey1.pem").write_bytes(other.read_bytes())
    (client.home / "renewal" / "broken.conf").write_bytes(b"\0\xff")

    result = adopt(gatecert, client)

    assert result.exit_code == 1
    assert f"{SHOP}: adopted" in result.output
    assert f"live/{SHOP} is missing or broken" in result.output
    assert f"{MAIL}: not adopted: the private key does not belong" in result.errors
    assert "broken: not adopted:" in result.errors
    assert "Traceback" not in result.errors
    assert gatecert.is_enrolled(SHOP)
    assert MAIL not in gatecert.configuration_file.read_text("utf-8")


def test_handshakes_go_on_while_lineages_are_adopted(
    gatecert: Gatecert,
    pebble: Pebble,
    names: ChallengeTestServer,
    servers: ExitStack,
    tmp_path: Path,
) -> None:
    prepare(gatecert, pebble, names)
    client = Certbot(tmp_path / "client", pebble)
    client.issue(SHOP)
    client.issue(MAIL)
    server = servers.enter_context(
        Nginx(
            tmp_path / "nginx",
            fullchain=client.fullchain(SHOP),
            private_key=client.private_key(SHOP),
        )
    )
    with HandshakeLoop("127.0.0.1", server.port, SHOP, interval=0.01) as loop:
        result = adopt(gatecert, client, "--verify", server.address)

    assert result.exit_code == 0, result.errors
    assert loop.handshakes
    assert loop.failures == []
    leaf = x509.load_pem_x509_certificate(client.fullchain(SHOP).read_bytes())
    assert len(loop.fingerprints) == 1
    assert gatecert.certificate(SHOP) == leaf
