"""The HTTPS interfaces of DNS providers, at their own names, in a network of the test's own.

All of them change the zones of one real nameserver. ``answers`` scripts what a service says next,
whatever is asked: a wrong password, a rate limit, trouble.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import dns.query
import dns.rdatatype
import dns.resolver
import dns.tsigkeyring
import dns.update

from harness.certificates import write_self_signed
from harness.named import Named, TsigKey, Zone

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

ADDRESS = "127.0.0.2"  # the gateway's own ports are at 127.0.0.1
PORT = 443
TOKEN = "T0ken/of+the=account"  # noqa: S105 - of no real account

DUCKDNS, CLOUDFLARE, DESEC = "www.duckdns.org", "api.cloudflare.com", "desec.io"
DESEC_UPDATE, NO_IP, HE = "update.dedyn.io", "dynupdate.no-ip.com", "dyn.dns.he.net"
MY_ADDRESS = "ip.example.net"
HOSTS = (DUCKDNS, CLOUDFLARE, DESEC, DESEC_UPDATE, NO_IP, HE, MY_ADDRESS)
ALL_TYPES = ("TXT", "A", "AAAA")


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a service.

    Attributes:
        host: The service.
        parameters: Of the query.
    """

    host: str
    method: str
    path: str
    parameters: dict[str, str]
    authorization: str
    agent: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A response.

    Attributes:
        body: Text, or what becomes JSON.
    """

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818 - an answer
    """The service answers with an error."""

    def __init__(self, body: object, status: int = 400) -> None:
        super().__init__(body)
        self.answer = Answer(body, status)


def zones(seen: str, *names: str) -> list[Zone]:
    """Return the zones of customers, which their keys may change, and those of the services.

    Args:
        seen: The address that resolvers and web services see.
        names: The zones of customers.
    """
    records: dict[str, list[str]] = {"opendns.com": [f"resolver1 A 127.0.0.1\nmyip A {seen}"]}
    for host in HOSTS:
        inside = next((name for name in names if host.endswith(f".{name}")), None)
        if inside is None:
            records.setdefault(".".join(host.split(".")[-2:]), []).append(f"{host}. A {ADDRESS}")
    more = {
        name: tuple(f"{host}. A {ADDRESS}" for host in HOSTS if host.endswith(f".{name}"))
        for name in names
    }
    own = [Zone(name, records=more[name], types=ALL_TYPES) for name in names]
    services = [Zone(name, records=tuple(lines), keys=()) for name, lines in records.items()]
    return [*own, *services]


class DnsServices:
    """All services at once, as a context manager.

    Args:
        directory: Takes their certificate.
        named: Serves the zones.
        key: May change them.
        seen: The address of the gateway as the services see it.
        customer: The zone at Cloudflare; the first one unless given.

    Attributes:
        certificate: What clients have to trust.
        requests: All requests so far.
        answers: By service: what it answers next, before it does what is asked.
        token: The token or password of the customer.
        hosts: The hosts of the dyndns2 services, with their user names.
    """

    def __init__(
        self, directory: Path, named: Named, key: TsigKey, *, seen: str, customer: str = ""
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.certificate = directory / "services.pem"
        self._private_key = directory / "services.key"
        write_self_signed(self.certificate, self._private_key, HOSTS)
        self._named = named
        self._customer = customer or named.customer_zones[0]
        self._keyring = dns.tsigkeyring.from_text({key.name: (key.algorithm, key.secret)})
        self._lock = threading.Lock()
        self.seen = seen
        self.token = TOKEN
        self.hosts: dict[str, str] = {}
        self.requests: list[Request] = []
        self.answers: dict[str, list[Answer]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a program trust the services."""
        path = str(self.certificate)
        return {"SSL_CERT_FILE": path, "REQUESTS_CA_BUNDLE": path}

    def asked(self, host: str) -> list[Request]:
        """Return the requests to a service."""
        return [request for request in self.requests if request.host == host]

    def updates(self, host: str) -> list[dict[str, str]]:
        """Return the parameters of each update at a service, without a token."""
        return [
            {key: value for key, value in request.parameters.items() if key != "token"}
            for request in self.asked(host)
        ]

    # ------------------------------------------------------------------ the zones

    def records(self, name: str, kind: str) -> list[str]:
        """Return the records of a name, sorted."""
        return self._named.records(name, kind)

    def set(self, name: str, kind: str, values: Iterable[str]) -> None:
        """Replace the records of one type at a name."""
        zone = self._named.zone_of(name)
        update = dns.update.UpdateMessage(f"{zone}.", keyring=self._keyring)
        update.delete(f"{name}.", kind)
        for value in values:
            update.add(f"{name}.", 1, kind, f'"{value}"' if kind == "TXT" else value)
        answer = dns.query.tcp(update, "127.0.0.1", timeout=5, port=self._named.port)
        if answer.rcode() != 0:
            raise RuntimeError(f"{name} {kind}: {answer.rcode()}")

    # ------------------------------------------------------------------ the services

    def answer(self, request: Request, body: bytes) -> Answer:
        """Do what a service is asked to do."""
        self.requests.append(request)
        scripted = self.answers.get(request.host)
        if scripted:
            return scripted.pop(0)
        data = json.loads(body or b"{}")
        services = {
            DUCKDNS: lambda: self._duckdns(request),
            CLOUDFLARE: lambda: self._cloudflare(request, data),
            DESEC: lambda: self._desec(request, data),
            MY_ADDRESS: lambda: Answer(f"{self.seen}\n"),
        }
        try:
            return services.get(request.host, lambda: self._dyndns2(request))()
        except Refused as refused:
            return refused.answer

    def _duckdns(self, request: Request) -> Answer:
        """https://www.duckdns.org/spec.jsp."""
        given = request.parameters
        name = f"{given.get('domains', '')}.duckdns.org"
        if request.path != "/update" or given.get("token") != self.token or name[0] == ".":
            return Answer("KO")
        before = self.records(name, "A"), self.records(name, "AAAA")
        if "txt" in given:
            clear = given.get("clear") == "true"
            # Every name below a domain has the records of the domain; the zone has no wildcards.
            self.set(f"_acme-challenge.{name}", "TXT", [] if clear else [given["txt"]])
            return Answer(f"OK\n{given['txt']}\nUPDATED")
        if given.get("clear") == "true":
            self.set(name, "A", [])
            self.set(name, "AAAA", [])
            return Answer("OK\n\n\nUPDATED")
        if "ip" in given or "ipv6" not in given:
            self.set(name, "A", [given.get("ip") or self.seen])
        if "ipv6" in given:
            self.set(name, "AAAA", [given["ipv6"]])
        now = self.records(name, "A"), self.records(name, "AAAA")
        change = "NOCHANGE" if now == before else "UPDATED"
        return Answer("\n".join(["OK", *(" ".join(each) for each in now), change]))

    def _dyndns2(self, request: Request) -> Answer:
        """help.dyn.com "Remote Access API"; desec.readthedocs.io "IP Update API"."""
        given = request.parameters
        pair = base64.b64decode(request.authorization.removeprefix("Basic ")).decode()
        user, _, password = pair.partition(":")
        name = given.get("hostname", "")
        if password != self.token or user not in self.hosts.values():
            return Answer("badauth", 401)
        if "." not in name:
            return Answer("notfqdn")
        if self.hosts.get(name) != user:
            return Answer("nohost")
        before = self.records(name, "A"), self.records(name, "AAAA")
        if request.host == DESEC_UPDATE:
            for key, kind in (("myipv4", "A"), ("myipv6", "AAAA")):
                if given.get(key) != "preserve":
                    self.set(name, kind, [given[key]] if given.get(key) else [])
            return Answer("good")
        for address in given["myip"].split(","):
            self.set(name, "AAAA" if ":" in address else "A", [address])
        now = self.records(name, "A"), self.records(name, "AAAA")
        return Answer(f"{'nochg' if now == before else 'good'} {given['myip']}\r\n")

    def _cloudflare(self, request: Request, data: dict[str, Any]) -> Answer:
        """https://developers.cloudflare.com/api, as dns-lexicon uses it; ids are the records."""
        if request.authorization != f"Bearer {self.token}":
            raise Refused(
                {"success": False, "errors": [{"code": 10000, "message": "Authentication error"}]},
                403,
            )
        path = request.path.removeprefix("/client/v4/zones")
        if not path:
            return _of_cloudflare([{"id": "z1", "name": self._customer}])
        record_id = path.removeprefix("/z1/dns_records").strip("/")
        old = bytes.fromhex(record_id).decode().split(" ", 2) if record_id else []
        if request.method in {"PUT", "DELETE"}:
            kept = [each for each in self.records(old[0], old[1]) if each != old[2]]
            self.set(old[0], old[1], kept)
        if request.method in {"PUT", "POST"}:
            name, kind, content = data["name"], data["type"], data["content"].strip('"')
            if content in self.records(name, kind):
                raise Refused({"success": False, "errors": [{"code": 81058}]})
            self.set(name, kind, [*self.records(name, kind), content])
        if request.method != "GET":
            return _of_cloudflare({})
        name, kind = request.parameters["name"], request.parameters["type"]
        found = [
            {
                "id": f"{name} {kind} {each}".encode().hex(),
                "type": kind,
                "name": name,
                "content": each,
                "ttl": 60,
            }
            for each in self.records(name, kind)
            if request.parameters.get("content", each) == each
        ]
        return _of_cloudflare(found)

    def _desec(self, request: Request, data: dict[str, Any]) -> Answer:
        """https://desec.readthedocs.io/en/latest/dns/rrsets.html, as dns-lexicon uses it."""
        if request.authorization != f"Token {self.token}":
            raise Refused({"detail": "Invalid token."}, 401)
        match = re.fullmatch(r"/api/v1/domains/([^/]+)/(?:rrsets/(.*?)/*|\.\./?)?", request.path)
        domain = match[1] if match else ""
        if domain not in self._named.customer_zones:
            raise Refused({"detail": "Not found."}, 404)
        place = [part for part in (match[2] or "").split("/") if part] if match else []
        if place and len(place) > 1:
            name, kind = f"{place[0]}.{domain}".removeprefix("@."), place[1]
            self.set(name, kind, [each.strip('"') for each in data.get("records", [])])
            return Answer({} if request.method != "DELETE" else "", 200)
        if request.method == "POST":
            name = f"{data['subname']}.{domain}".removeprefix(".")
            self.set(name, data["type"], [each.strip('"') for each in data["records"]])
            return Answer(data, 201)
        kind = request.parameters.get("type")
        if not kind:
            return Answer([])
        subname = request.parameters.get("subname", "")
        name = f"{subname}.{domain}".removeprefix(".")
        found = self.records(name, kind)
        texts = [f'"{each}"' for each in found] if kind == "TXT" else found
        rrset = {"name": f"{name}.", "subname": subname, "type": kind, "ttl": 60}
        return Answer([{**rrset, "records": texts}] if texts else [])

    # ------------------------------------------------------------------ the server

    def start(self) -> None:
        """Answer from now on."""
        services = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                parts = urlsplit(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                request = Request(
                    self.headers["Host"],
                    self.command,
                    parts.path,
                    dict(parse_qsl(parts.query, keep_blank_values=True)),
                    self.headers["Authorization"] or "",
                    self.headers["User-Agent"] or "",
                )
                with services._lock:
                    answer = services.answer(request, body)
                text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one  # noqa: N815 - of the base

            def log_message(self, *_: object) -> None:
                """Log nothing."""

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self._private_key)
        self._server = ThreadingHTTPServer((ADDRESS, PORT), Handler)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread.is_alive():
            self.stop()


def _of_cloudflare(result: object) -> Answer:
    pages = {"page": 1, "total_pages": 1}
    return Answer({"success": True, "errors": [], "result": result, "result_info": pages})
