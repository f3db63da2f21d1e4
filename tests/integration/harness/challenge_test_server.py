"""pebble-challtestsrv: the DNS server of the tests, controlled over HTTP.

It stands for the dynamic-DNS provider: a name does not exist until a test points it somewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from harness.pebble import HTTP_TIMEOUT, binary
from harness.ports import free_port
from harness.process import BackgroundProcess
from harness.server import Server

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self


class ChallengeTestServer(Server):
    """A DNS server on loopback, over UDP and TCP.

    Args:
        directory: For its log.
        dns_port: A free one unless given.
        management_port: A free one unless given.
    """

    def __init__(
        self, directory: Path, *, dns_port: int | None = None, management_port: int | None = None
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.address = f"127.0.0.1:{dns_port or free_port()}"
        self._management = f"127.0.0.1:{management_port or free_port()}"
        switched_off = ("-http01", "-https01", "-tlsalpn01", "-doh", "-defaultIPv4", "-defaultIPv6")
        self.process = BackgroundProcess(
            [
                binary("pebble-challtestsrv"),
                "-dnsserver",
                self.address,
                "-management",
                self._management,
                *(word for switch in switched_off for word in (switch, "")),
            ],
            log=directory / "challtestsrv.log",
        )

    def start(self) -> Self:
        """Start it and wait until it takes requests."""
        self.process.start()
        self.when_ready(self._is_ready, "pebble-challtestsrv")
        return self

    def point(self, name: str, *addresses: str) -> None:
        """Let a name resolve to exactly these addresses, or to none."""
        self._post("clear-a", host=name)
        self._post("clear-aaaa", host=name)
        ipv6 = [address for address in addresses if ":" in address]
        ipv4 = [address for address in addresses if ":" not in address]
        if ipv4:
            self._post("add-a", host=name, addresses=ipv4)
        if ipv6:
            self._post("add-aaaa", host=name, addresses=ipv6)

    def answer_everything(self, address: str) -> None:
        """Let every name resolve to this IPv4 address unless it is pointed elsewhere."""
        response = requests.post(
            f"http://{self._management}/set-default-ipv4",
            json={"ip": address},
            timeout=HTTP_TIMEOUT,
        )
        response.raise_for_status()

    def set_alias(self, name: str, target: str) -> None:
        """Make a name a CNAME."""
        self._post("set-cname", host=name, target=target)

    def clear_alias(self, name: str) -> None:
        """Remove the CNAME of a name."""
        self._post("clear-cname", host=name)

    def fail(self, name: str) -> None:
        """Answer SERVFAIL for a name."""
        self._post("set-servfail", host=name)

    def stop_failing(self, name: str) -> None:
        """Stop answering SERVFAIL for a name."""
        self._post("clear-servfail", host=name)

    def restrict(self, name: str, *authorities: str) -> None:
        """Publish CAA records that allow only these CAs to issue."""
        policies = [{"tag": "issue", "value": authority} for authority in authorities]
        self._post("add-caa", host=name, policies=policies)

    def lift_restriction(self, name: str) -> None:
        """Remove the CAA records of a name."""
        self._post("clear-caa", host=name)

    def set_text(self, name: str, value: str) -> None:
        """Publish a TXT record."""
        self._post("set-txt", host=name, value=value)

    def clear_text(self, name: str) -> None:
        """Remove the TXT records of a name."""
        self._post("clear-txt", host=name)

    def questions(self, name: str) -> int:
        """Count the queries for a name."""
        response = requests.post(
            f"http://{self._management}/dns-request-history",
            json={"host": name.removesuffix(".")},  # the only call without a final dot
            timeout=HTTP_TIMEOUT,
        )
        response.raise_for_status()
        return len(response.json() or [])

    def _post(self, path: str, *, host: str, **fields: Any) -> None:  # noqa: ANN401 - any JSON
        response = requests.post(
            f"http://{self._management}/{path}",
            json={"host": _absolute(host), **fields},
            timeout=HTTP_TIMEOUT,
        )
        response.raise_for_status()

    def _is_ready(self) -> bool:
        try:
            self._post("clear-txt", host="ready.invalid")
        except requests.ConnectionError:
            return False
        return True


def _absolute(name: str) -> str:
    return name if name.endswith(".") else f"{name}."
