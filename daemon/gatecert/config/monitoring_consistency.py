"""Checks across the keys of metrics, page and notify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatecert.config.addresses import endpoint, overlap
from gatecert.config.configuration_finding import Finding
from gatecert.config.monitoring_plan import receiver_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatecert.config.configuration_finding import Location
    from gatecert.config.schema import Configuration, MetricsSettings

UNIX: Final = "unix:"
TEXTFILE: Final = ".prom"  # the node_exporter reads no other files
EXAMPLES: Final = {"metrics": "listen: [127.0.0.1:9876]", "page": "listen: [127.0.0.1:9877]"}
WAYS: Final = ("url_file", "webhook_file", "command")


def findings(configuration: Configuration) -> Iterator[Finding]:
    """Yield the errors in keys that are valid on their own."""
    if configuration.metrics is not None:
        yield from _metrics(configuration.metrics)
    if configuration.page is not None and not configuration.page.listen:
        yield Finding(("page",), f"has no listen; write {EXAMPLES['page']}, or leave it out")
    yield from _listeners(configuration)
    yield from _receivers(configuration)


def _metrics(metrics: MetricsSettings) -> Iterator[Finding]:
    """Check that metrics are shown somewhere."""
    textfile, web_config = ("metrics", "textfile"), ("metrics", "web_config")
    if not metrics.listen and metrics.textfile is None:
        what = f"has neither listen nor textfile; write {EXAMPLES['metrics']}, or leave it out"
        yield Finding(("metrics",), what)
    elif not metrics.listen and metrics.web_config is not None:
        yield Finding(web_config, "is not used without listen; leave it out")
    if metrics.textfile is not None and metrics.textfile.suffix != TEXTFILE:
        what = f"must end in {TEXTFILE}: the node_exporter reads no other files"
        yield Finding(textfile, what)


def _listeners(configuration: Configuration) -> Iterator[Finding]:
    """Check that no two listeners use the same address, those of challenges included."""
    taken: list[tuple[str, str]] = []
    http_01, tls_alpn_01 = configuration.challenges.http_01, configuration.challenges.tls_alpn_01
    if http_01.webroot is None:
        taken += [(str(each), "challenges.http-01.listen") for each in http_01.listen]
    if tls_alpn_01 is not None:
        taken += [(str(each), "challenges.tls-alpn-01.listen") for each in tls_alpn_01.listen]
    groups: list[tuple[str, Sequence[str]]] = []
    if configuration.metrics is not None:
        groups.append(("metrics", configuration.metrics.listen))
    if configuration.page is not None:
        groups.append(("page", configuration.page.listen))
    for group, addresses in groups:
        for index, address in enumerate(addresses):
            other = next((where for each, where in taken if _same(each, address)), "")
            if other:
                what = f"{address} is already used by {other}; write another port or path"
                yield Finding((group, "listen", index), what)
            taken.append((address, f"{group}.listen"))


def _same(one: str, other: str) -> bool:
    if one.startswith(UNIX) or other.startswith(UNIX):
        return one == other
    return overlap(endpoint(one), endpoint(other))


def _receivers(configuration: Configuration) -> Iterator[Finding]:
    """Check that each receiver is told in one way, and has a name of its own."""
    names: dict[str, int] = {}
    for index, receiver in enumerate(configuration.notify):
        here: Location = ("notify", index)
        given = [way for way in WAYS if getattr(receiver, way)]
        if len(given) != 1:
            found = f"has both {' and '.join(given)}" if given else f"has none of {', '.join(WAYS)}"
            yield Finding(here, f"{found}; write one of them")
            continue
        if not receiver.events:
            yield Finding((*here, "events"), "is empty; leave it out, to tell it of all events")
        name = receiver_name(index + 1, receiver)
        if name in names:
            what = f"has the name {name}, as the receiver at place {names[name]}; write another"
            yield Finding((*here, "name"), what)
        names.setdefault(name, index + 1)
