"""Misbehaves by hand: starts Pebble, its DNS server and the proxy, until Ctrl-C."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.faults.proxy import faults
from tests.faults.proxy.faults import ANSWERS, Fault
from tests.faults.proxy.rules import ENDPOINTS, Rule
from tests.faults.proxy.server import FaultProxy

from harness.challenge_test_server import ChallengeTestServer
from harness.pebble import Pebble, PebblePorts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FAULTS: Mapping[str, type[Any]] = {
    "delay": faults.Delay,
    "silence": faults.Silence,
    "drip": faults.Drip,
    "drop": faults.Drop,
    "answer": faults.Answer,
    "page": faults.Page,
    "truncate": faults.Truncate,
    "slow-validation": faults.SlowValidation,
    "novelties": faults.Novelties,
    "redirect": faults.Redirect,
    "insecure": faults.Insecure,
    "endless": faults.Endless,
}
WHEN = {"times": int, "after": int, "seconds-long": float}
EXAMPLES = """\
examples:
  --rule new-order=busy,times=2                        503 with Retry-After: 30, twice
  --rule new-order=answer,status=429,problem=rateLimited,retry_after=20,as_date=true
  --rule directory=redirect                            302 to http://
  --rule authorization=novelties --rule order=drip,interval=0.5
  --rule renewal-info=page,status=502 --rule any=delay,seconds=3,after=10
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Start everything, print the configuration that uses it and every request, and wait."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="fault-proxy-") as directory, ExitStack() as running:
        place = Path(directory)
        names = running.enter_context(ChallengeTestServer(place))
        ports = PebblePorts(http01=options.http_port)
        pebble = running.enter_context(
            Pebble(place / "pebble", dns_server=names.address, ports=ports)
        )
        for name, _, address in (point.partition("=") for point in options.point):
            names.point(name, address or "127.0.0.1")
        proxy = FaultProxy(
            place / "proxy",
            upstream=pebble.base_url,
            upstream_certificate=pebble.https_certificate,
            port=options.port,
        )
        for rule in options.rule:
            proxy.rules.append(rule)
        running.enter_context(proxy)
        print(_configuration(proxy, pebble, names, options.http_port), flush=True)  # noqa: T201
        shown = 0
        try:
            while True:
                journal = proxy.rules.journal()
                for entry in journal[shown:]:
                    line = f"{entry.method:4} {entry.path}  {entry.where}  {entry.fault or '-'}"
                    print(line, flush=True)  # noqa: T201
                shown = len(journal)
                time.sleep(0.2)
        except KeyboardInterrupt:
            return 0


def rule(text: str) -> Rule:
    """Read a rule as it is written on the command line: ``WHERE=FAULT[,KEY=VALUE…]``."""
    where, _, rest = text.partition("=")
    name, *pairs = rest.split(",")
    values = dict(pair.split("=", 1) for pair in pairs)
    when = {key.partition("-")[0]: WHEN[key](values.pop(key)) for key in WHEN if key in values}
    fault: Fault
    if name in ANSWERS and not values:
        fault = ANSWERS[name]
    elif name in FAULTS:
        fault = FAULTS[name](**_typed(FAULTS[name], values))
    else:
        raise ValueError(text)
    if where != "any" and where not in ENDPOINTS.values():
        raise ValueError(text)
    return Rule(where, fault, **when)


def _typed(kind: type[Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The values as the fields of a fault want them."""
    fields = {field.name: str(field.type) for field in dataclasses.fields(kind)}
    typed: dict[str, Any] = {}
    for key, value in values.items():
        wanted = fields[key].partition(" ")[0]
        if wanted == "bool":
            typed[key] = value in {"true", "yes", "1"}
        else:
            typed[key] = {"int": int, "float": float, "str": str}[wanted](value)
    return typed


def _parser() -> argparse.ArgumentParser:
    settings = "\n".join(
        f"  {name:15} {', '.join(field.name for field in dataclasses.fields(kind))}"
        for name, kind in FAULTS.items()
    )
    parser = argparse.ArgumentParser(
        prog="tests/faults/fault-proxy",
        description="Run Pebble behind a proxy that misbehaves by rule, until Ctrl-C.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"WHERE is any or one of:\n  {', '.join(ENDPOINTS.values())}\n\n"
        f"FAULT is one of these, with the settings that it has:\n{settings}\n"
        f"or an answer that authorities are known to give:\n  {', '.join(ANSWERS)}\n\n"
        "Every rule takes times=N (strikes so often), after=N (lets so many through first) and\n"
        "seconds-long=N (is over then) as well. Of several rules, the first strikes.\n\n"
        f"{EXAMPLES}",
    )
    parser.add_argument(
        "--rule",
        action="append",
        type=rule,
        default=[],
        metavar="WHERE=FAULT[,KEY=VALUE…]",
        help="may be given again and again",
    )
    parser.add_argument("--port", type=int, help="where the proxy listens (default: a free port)")
    parser.add_argument("--http-port", type=int, default=5002, help="where http-01 is validated")
    parser.add_argument(
        "--point", action="append", default=[], metavar="NAME[=ADDRESS]", help="names that exist"
    )
    return parser


def _configuration(
    proxy: FaultProxy, pebble: Pebble, names: ChallengeTestServer, http_port: int
) -> str:
    return f"""\
authorities:
  pebble:
    directory_url: {proxy.directory_url}
    contact: [ops@example.com]
    terms_of_service_agreed: true
    ca_bundle: {proxy.https_certificate}
    trusted_roots: {pebble.root}
resolver: {{nameservers: ["{names.address}"], interval: 5s}}
challenges: {{http-01: {{listen: ["127.0.0.1:{http_port}"]}}}}

# Ctrl-C ends everything. Requests:"""


if __name__ == "__main__":
    sys.exit(main())
