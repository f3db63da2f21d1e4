"""CA handler of acme2certifier that has a fleet of gatecert order the certificates.

It puts each CSR into the fleet's database and takes the chain from there. Hosts of the fleet order
it, with their account, within their limits, and with the certificate that it replaces (RFC 9773).
The gateway keeps its key, the relay has none, and the database knows neither.

``enroll`` and ``poll`` do the same: hand the CSR in, unless it is there already, and look for the
answer. So nothing is lost while the database is away; the order is ``processing`` until then, and
``a2c-cert-poll`` asks again.

It needs psycopg in the Python of acme2certifier, and in ``acme_srv.cfg``::

    [CAhandler]
    handler_module: /usr/share/gatecert/relay/gatecert_ca_handler.py
    database: host=db1.example.net dbname=gatecert user=relay sslcert=… sslkey=… sslrootcert=…
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from acme2certifier.acme_srv.helper import load_config
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

if TYPE_CHECKING:
    import logging
    from typing import Self

SECONDS = 3  # for a connection, and for a statement; acme2certifier waits for five


class Answer(NamedTuple):
    """What the database says of a CSR.

    Attributes:
        problem: Why it says nothing; empty if it does.
        refusal: Why there will be no certificate; empty if there may be.
        fullchain: PEM; empty if there is none yet.
        certificate: The first of the chain, DER in base64.
    """

    problem: str = ""
    refusal: str = ""
    fullchain: str = ""
    certificate: str = ""


class CAhandler:
    """What acme2certifier makes for each request."""

    def __init__(self, _debug: object = None, logger: logging.Logger | None = None) -> None:
        self.logger = logger
        self.database = ""

    def __enter__(self) -> Self:
        """Read the configuration."""
        section = load_config(self.logger, "CAhandler")["CAhandler"]
        self.database = section.get("database", "")
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing open."""

    def handler_check(self) -> str | None:
        """Return what is wrong with the configuration; the database may be away."""
        return None if self.database else "database is missing in section CAhandler"

    def enroll(self, csr: str) -> tuple[str | None, str | None, str | None, str | None]:
        """Hand a CSR in.

        Args:
            csr: DER in base64.

        Returns:
            The error, if it was refused; chain and certificate, if they are there; and what `poll`
            gets, if they are not.
        """
        answer = self._ask(csr)
        if answer.refusal:
            return answer.refusal, None, None, None
        if answer.fullchain:
            return None, answer.fullchain, answer.certificate, None
        return None, None, None, _identifier(csr)

    def poll(
        self, _certificate_name: str, poll_identifier: str, csr: str
    ) -> tuple[str | None, str | None, str | None, str, bool]:
        """Look for the answer to a CSR.

        Returns:
            Why there is no certificate yet or ever; chain and certificate; what the next call gets;
            and whether the CSR was refused.
        """
        answer = self._ask(csr)
        problem = answer.refusal or answer.problem
        if answer.fullchain:
            return None, answer.fullchain, answer.certificate, poll_identifier, False
        return problem or "not issued yet", None, None, poll_identifier, bool(answer.refusal)

    def revoke(self, _certificate: str, _reason: str, _date: str) -> tuple[int, str, str]:
        """Refuse to revoke: the account is the fleet's."""
        return 500, "urn:ietf:params:acme:error:serverInternal", "revoke it at the CA"

    def trigger(self, _payload: str) -> tuple[str, None, None]:
        """Refuse what no CA of this handler sends."""
        return "not supported", None, None

    def _ask(self, csr: str) -> Answer:
        """Return the answer to a CSR, handed in if the database does not have it."""
        try:
            with psycopg.connect(
                self.database,
                connect_timeout=SECONDS,
                options=f"-c search_path=gatecert -c statement_timeout={SECONDS}s",
                sslmode="verify-full",
                target_session_attrs="read-write",
            ) as connection:
                connection.execute(
                    "INSERT INTO csr_request (id, csr) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                    (_identifier(csr), _pem(csr)),
                )
                row = connection.execute(
                    "SELECT refusal, fullchain FROM csr_request WHERE id = %s", (_identifier(csr),)
                ).fetchone()
        except psycopg.Error as error:
            return self._without_answer(f"the fleet's database: {error}")
        refusal, fullchain = row or ("", "")
        if refusal:
            if self.logger is not None:
                self.logger.error("CSR refused by the fleet: %s", refusal)
            return Answer(refusal=refusal)
        if not fullchain:
            return Answer()
        try:
            return Answer(fullchain=fullchain, certificate=_certificate(fullchain, csr))
        except ValueError as error:
            return self._without_answer(f"the chain in the fleet's database is damaged: {error}")

    def _without_answer(self, problem: str) -> Answer:
        problem = " ".join(problem.split())
        if self.logger is not None:
            self.logger.error("CSR waits: %s", problem)
        return Answer(problem=problem)


def _identifier(csr: str) -> str:
    return hashlib.sha256(base64.b64decode(csr)).hexdigest()


def _pem(csr: str) -> str:
    lines = textwrap.fill(csr, 64)
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}\n-----END CERTIFICATE REQUEST-----\n"


def _certificate(fullchain: str, csr: str) -> str:
    """Return the first certificate of a chain, DER in base64; ValueError if it fits no CSR."""
    certificates = x509.load_pem_x509_certificates(fullchain.encode())
    request = x509.load_der_x509_csr(base64.b64decode(csr))
    if certificates[0].public_key() != request.public_key():
        raise ValueError("its certificate is for another key")
    return base64.b64encode(certificates[0].public_bytes(Encoding.DER)).decode("ascii")
