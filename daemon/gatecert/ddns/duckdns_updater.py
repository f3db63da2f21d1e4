"""DuckDNS: GET /update with the token in the query (www.duckdns.org/spec.jsp).

The answer is ``OK`` or ``KO``, and with ``verbose`` the addresses and ``UPDATED`` or ``NOCHANGE``.
dns-lexicon is not used for addresses: it asks the system's resolver which records exist, and its
removal of one record removes the other as well. DuckDNS can remove only both (``clear``), so an
address that stays is set again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from gatecert.ddns.update_request import send
from gatecert.errors import DdnsRefusedError, clean
from gatecert.model import RecordKind

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.ddns.update_request import Fetcher, SecretReader
    from gatecert.ddns.updater import RecordChange

SERVICE: Final = "www.duckdns.org"
URL: Final = f"https://{SERVICE}/update"
ZONE: Final = ".duckdns.org"
UNCHANGED: Final = "NOCHANGE"


class DuckdnsUpdater:
    """Updates one domain; see ``updater.Updater``.

    Args:
        fetcher: Follows no redirects.
        token_file: Read for each update.
        read_secret: Reads it.
        here: The place of the settings in the configuration, for messages.
    """

    def __init__(
        self, fetcher: Fetcher, *, token_file: Path, read_secret: SecretReader, here: str
    ) -> None:
        self._fetcher = fetcher
        self._token_file = token_file
        self._read_secret = read_secret
        self._here = here

    def update(self, change: RecordChange) -> bool:
        """Publish the records of a domain."""
        key = f"{self._here}.credentials.auth_token"
        token = self._read_secret(self._token_file, key)
        ipv4, ipv6 = (change.addresses(kind) for kind in (RecordKind.A, RecordKind.AAAA))
        if () in (ipv4, ipv6):
            self._send(change.name, token, {"clear": "true"})
        # Without any address DuckDNS takes that of the connection.
        given = {"ip": ipv4, "ipv6": ipv6}
        addresses = {key: value[0] for key, value in given.items() if value}
        return self._send(change.name, token, addresses) if addresses else True

    def _send(self, name: str, token: str, parameters: dict[str, str]) -> bool:
        # DuckDNS gives every name below a domain the domain's records.
        domain = name.removesuffix(ZONE).rpartition(".")[2]
        query = {"domains": domain, "token": token, "verbose": "true", **parameters}
        url = f"{URL}?{urlencode(query, safe=':')}"
        response = send(self._fetcher, url, service=SERVICE)
        words = clean(response.body.decode("utf-8", "replace"), 100).split()
        if words[:1] != ["OK"]:
            answer = words[0] if words else f"HTTP status {response.status}"
            raise DdnsRefusedError(
                f"{SERVICE} refuses to update {domain}{ZONE} ({answer})",
                fix=f"correct the file of {self._here}.credentials.auth_token, or the gateway's "
                "hostname: the domain must be one of your account",
            )
        return words[-1] != UNCHANGED
