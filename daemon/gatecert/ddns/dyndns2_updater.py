"""The dyndns2 protocol: GET with ``hostname`` and ``myip``, over HTTPS, with basic authentication.

Redirects are not followed, because the request contains the password. What an HTTP status says
counts only if the body has no code of the protocol: deSEC and others send 401 with ``badauth``.
"""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from gatecert.config.update_services import UPDATE_SERVICES, AddressParameters
from gatecert.ddns.update_answer import REFUSALS, SERVER_TROUBLE, read_answer, refusal
from gatecert.ddns.update_request import send
from gatecert.errors import DdnsError, DdnsRefusedError
from gatecert.model import RecordKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatecert.config.update_services import UpdateServiceName
    from gatecert.ddns.update_request import Fetcher, SecretReader
    from gatecert.ddns.updater import RecordChange
    from gatecert.http.fetcher import Response

PRESERVE: Final = "preserve"  # of deSEC
KEEP: Final = "no"  # of Dynu


class Dyndns2Updater:
    """Updates one host at a service; see ``updater.Updater``.

    Args:
        fetcher: Follows no redirects.
        service: A known service; None for another.
        url: The URL of another service.
        username: User name; None means the hostname.
        password_file: Read for each update.
        read_secret: Reads it.
        here: The place of the settings in the configuration, for messages.
    """

    def __init__(  # noqa: PLR0913 - one for each setting
        self,
        fetcher: Fetcher,
        *,
        service: UpdateServiceName | None,
        url: str | None,
        username: str | None,
        password_file: Path,
        read_secret: SecretReader,
        here: str,
    ) -> None:
        known = UPDATE_SERVICES.get(service) if service is not None else None
        self._fetcher = fetcher
        self._url = known.url if known is not None else url or ""
        self._parameters = known.parameters if known else AddressParameters.TOGETHER
        self._is_known = known is not None
        self._service = urlsplit(self._url).hostname or self._url
        self._username = username
        self._password_file = password_file
        self._read_secret = read_secret
        self._here = here

    def update(self, change: RecordChange) -> bool:
        """Publish the records of a host."""
        password = self._read_secret(self._password_file, f"{self._here}.password_file")
        pair = f"{self._username or change.name}:{password}".encode()
        headers = {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
        changed = [
            self._send(parameters, change.name, headers)
            for parameters in request_parameters(change, self._parameters)
        ]
        return any(changed)

    def _send(self, parameters: dict[str, str], name: str, headers: dict[str, str]) -> bool:
        query = urlencode({"hostname": name, **parameters}, safe=",:")
        separator = "&" if "?" in self._url else "?"
        response = send(
            self._fetcher, f"{self._url}{separator}{query}", service=self._service, headers=headers
        )
        text = response.body.decode("utf-8", "replace")
        told = {"service": self._service, "name": name, "here": self._here}
        if response.status != HTTPStatus.OK and not _has_code(text):
            raise self._by_status(response, name)
        return read_answer(text, **told)

    def _by_status(self, response: Response, name: str) -> DdnsError:
        answer = f"HTTP status {response.status}"
        told = {"service": self._service, "name": name, "here": self._here}
        if self._is_known and response.status in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
            return refusal("nohost", answer, **told)  # of deSEC
        if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return refusal("badauth", answer, **told)
        return DdnsRefusedError(
            f"{self._service} answers an update of {name} with {answer}",
            fix=f"check {self._here}.service or {self._here}.url",
        )


def request_parameters(
    change: RecordChange, parameters: AddressParameters
) -> Iterator[dict[str, str]]:
    """Yield the parameters of each request for a change; ``hostname`` is added to them."""
    ipv4, ipv6 = (change.addresses(kind) for kind in (RecordKind.A, RecordKind.AAAA))
    first = [addresses[0] for addresses in (ipv4, ipv6) if addresses]
    match parameters:
        case AddressParameters.TOGETHER:
            yield {"myip": ",".join(first)}
        case AddressParameters.APART:
            yield from ({"myip": address} for address in first)
        case AddressParameters.NAMED:
            named = {"myip": ipv4, "myipv6": ipv6}
            yield {key: addresses[0] if addresses else KEEP for key, addresses in named.items()}
        case AddressParameters.DESEC:
            yield {"myipv4": _of_desec(ipv4), "myipv6": _of_desec(ipv6)}


def _of_desec(addresses: tuple[str, ...] | None) -> str:
    return PRESERVE if addresses is None else addresses[0] if addresses else ""


def _has_code(text: str) -> bool:
    words = text.split()
    return bool(words) and words[0].lower() in {*REFUSALS, *SERVER_TROUBLE}
