"""Other ACME CAs, as companies run them for their own networks.

acme2certifier and Serles are web applications in their own virtual environment; step-ca is built
from Debian's packages. They validate at the standard ports, so each runs in a private network.
"""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from typing import TYPE_CHECKING

import requests
from cryptography import x509

from harness.certificates import write_self_signed
from harness.openssl import HandmadeAuthority
from harness.pebble import HTTP_TIMEOUT, PROJECT
from harness.ports import free_port
from harness.process import BackgroundProcess
from harness.server import Server

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from harness.network import PrivateNetwork

ENVIRONMENT = PROJECT / ".cache" / "authorities"
STEP_CA = PROJECT / ".cache" / "step-ca" / "step-ca"


class PrivateAuthority(Server):
    """A CA on loopback that signs with the key of a handmade CA.

    Args:
        directory: For everything that it writes.
        network: Its network, with a DNS server at port 53.

    Attributes:
        https_certificate: The certificate that clients must trust for its HTTPS.
        root: The root that issued chains end in.
    """

    name: str
    """For messages."""
    new_account: str
    """The path that accounts are made at."""
    path = "/directory"
    """The path of the ACME directory."""
    request = r"^POST {path} -> (\d+)$"
    """A request in its log; the group is the HTTP status."""

    def __init__(self, directory: Path, network: PrivateNetwork) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.signer = HandmadeAuthority(directory / "authority")
        self.root = self.signer.root
        self.port = free_port()
        self.https_certificate = directory / "certificate.pem"
        self._private_key = directory / "privkey.pem"
        self.process = BackgroundProcess(
            network.resolving(*self.command),
            log=directory / "authority.log",
            environment=self.environment,
        )

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """The command that serves it."""

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that name its configuration."""
        return {}

    @abstractmethod
    def configure(self) -> None:
        """Write its configuration, and its HTTPS certificate if it has one."""

    @property
    def directory_url(self) -> str:
        """The URL of the ACME directory."""
        return f"https://127.0.0.1:{self.port}{self.path}"

    def start(self) -> Self:
        """Start it and wait until it answers; it keeps its state across starts."""
        if not self.process.started_at:
            self.configure()
        self.process.start()
        self.when_ready(self._is_ready, f"{self.name} at {self.directory_url}")
        return self

    def answers(self, path: str) -> list[int]:
        """Return the HTTP statuses of its responses to a path, in order."""
        found = re.finditer(
            self.request.format(path=re.escape(path)), self.process.output, re.MULTILINE
        )
        return [int(each[1]) for each in found]

    def _is_ready(self) -> bool:
        try:
            answer = requests.get(
                self.directory_url, verify=str(self.https_certificate), timeout=HTTP_TIMEOUT
            )
        except requests.ConnectionError:
            return False
        return answer.ok


class WebApplication(PrivateAuthority):
    """A CA that gunicorn serves."""

    application: str
    """``module:callable``."""

    @property
    def command(self) -> list[str]:
        """The command that serves it."""
        return [
            *(_gunicorn(), "--bind", f"127.0.0.1:{self.port}", "--no-control-socket"),
            *("--certfile", str(self.https_certificate), "--keyfile", str(self._private_key)),
            *("--access-logfile", "-", "--access-logformat", "%(m)s %(U)s -> %(s)s"),
            self.application,
        ]

    def configure(self) -> None:
        """Make the certificate of its HTTPS."""
        write_self_signed(self.https_certificate, self._private_key, ["127.0.0.1"], days=3650)


class Acme2certifier(WebApplication):
    """acme2certifier with its handler for OpenSSL; others of its handlers pass requests to AD CS.

    A failed authorization is invalid at once while its order stays pending.
    """

    name = "acme2certifier"
    application = "acme2certifier.share.acme2certifier_wsgi:application"
    new_account = "/acme/newaccount"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that name its configuration."""
        return {"ACME_SRV_CONFIGFILE": str(self.directory / "acme_srv.cfg")}

    def configure(self) -> None:
        """Configure 30 days of validity and a CRL."""
        super().configure()
        (self.directory / "certificates").mkdir(exist_ok=True)
        text = ACME2CERTIFIER.format(
            directory=self.directory,
            key=self.signer.key("issuing"),
            issuing=self.signer.issuing,
            root=self.root,
        )
        (self.directory / "acme_srv.cfg").write_text(text, "utf-8")

    def suggest_renewal_at_once(self) -> None:
        """Let it suggest (RFC 9773) the time of issuance for renewing any certificate.

        It must be stopped.
        """
        with (self.directory / "acme_srv.cfg").open("a", encoding="utf-8") as configuration:
            configuration.write(RENEWAL_AT_ONCE)

    def require_binding(self, key_id: str, hmac_key: str) -> None:
        """Let it require external account binding; it must be stopped.

        Args:
            key_id: The key identifier.
            hmac_key: The key, base64url.
        """
        keys = self.directory / "binding.json"
        keys.write_text(json.dumps({key_id: hmac_key}), "utf-8")
        with (self.directory / "acme_srv.cfg").open("a", encoding="utf-8") as configuration:
            configuration.write(BINDING.format(keys=keys))

    @property
    def requires_binding(self) -> bool:
        """Return True if its directory says that accounts need external account binding."""
        directory = requests.get(
            self.directory_url, verify=str(self.https_certificate), timeout=HTTP_TIMEOUT
        ).json()
        return bool(directory["meta"].get("externalAccountRequired"))

    def revoked(self) -> set[int]:
        """Return the serial numbers on its CRL."""
        listed = x509.load_pem_x509_crl((self.directory / "revoked.pem").read_bytes())
        return {entry.serial_number for entry in listed}


class Serles(WebApplication):
    """Serles with a signer of the tests, because its OpenSSL backend drops all extensions.

    A challenge that fails is answered 400 and stays ``processing``. Revocation and another account
    key are refused, and a deactivation is answered with a valid account.
    """

    name = "Serles"
    application = "serles:create_app()"
    new_account = "/newAccount"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that name its configuration and the signer."""
        return {
            "CONFIG": str(self.directory / "config.ini"),
            "PYTHONPATH": str(PROJECT / "tests" / "integration"),
        }

    def configure(self) -> None:
        """Let it issue for wildcards and addresses too."""
        super().configure()
        text = SERLES.format(
            directory=self.directory, signer=self.signer.issuing.with_name("openssl.cnf")
        )
        (self.directory / "config.ini").write_text(text, "utf-8")


class StepCa(PrivateAuthority):
    """step-ca with one provisioner for ACME; it issues the certificate of its own HTTPS."""

    name = "step-ca"
    path = "/acme/acme/directory"
    new_account = "/acme/acme/new-account"
    request = r"\bmethod=POST\b.* path={path}\b.* status=(\d+)\b"

    @property
    def command(self) -> list[str]:
        """The command that serves it."""
        if not STEP_CA.is_file():
            raise RuntimeError(f"{STEP_CA} is missing: run `tests/integration/step-ca/build`")
        return [str(STEP_CA), str(self.directory / "ca.json")]

    def configure(self) -> None:
        """Write ca.json, as ``step ca init --acme`` does."""
        self.https_certificate = self.root
        settings = {
            "root": str(self.root),
            "crt": str(self.signer.issuing),
            "key": str(self.signer.key("issuing")),
            "address": f"127.0.0.1:{self.port}",
            "dnsNames": ["127.0.0.1"],
            "logger": {"format": "text"},
            "db": {"type": "bbolt", "dataSource": str(self.directory / "database")},
            "authority": {"provisioners": [{"type": "ACME", "name": "acme"}]},
        }
        (self.directory / "ca.json").write_text(json.dumps(settings), "utf-8")


ACME2CERTIFIER = """\
[CAhandler]
handler_module: acme2certifier.cahandlers.openssl_ca_handler
issuing_ca_key: {key}
issuing_ca_cert: {issuing}
issuing_ca_crl: {directory}/revoked.pem
ca_cert_chain_list: ["{root}"]
cert_validity_days: 30
cert_save_path: {directory}/certificates

[DBhandler]
handler_module: acme2certifier.dbhandlers.wsgi_handler
dbfile: {directory}/database

[DEFAULT]
dns_server_list: ["127.0.0.1"]
"""

BINDING = """
[EABhandler]
eab_handler_module: acme2certifier.eabhandlers.json_handler
key_file: {keys}
"""

RENEWAL_AT_ONCE = """
[Renewalinfo]
renewalthreshold_pctg: 0
renewal_window_duration: 1
"""

SERLES = """\
[serles]
database = sqlite:///{directory}/database
backend = harness.serles_signer:Signer
subjectNameTemplate =
allowWildcards = true
allowIpIdentifiers = true

[signer]
configuration = {signer}
"""


def _gunicorn() -> str:
    path = ENVIRONMENT / "bin" / "gunicorn"
    if not path.is_file():
        raise RuntimeError(f"{path} is missing: run `make .cache/authorities/.complete`")
    return str(path)
