"""Print the page of all metrics: ``python -m gatecert.monitoring.metric_reference``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gatecert.monitoring.metric_families import EVENTS, FLEET, GATEWAY_FAMILIES, SUMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gatecert.monitoring.metric_families import Family

INTRODUCTION = """\
# Metrics

<!-- Made by `python -m gatecert.monitoring.metric_reference`; change the code, not this file. -->

gatecert shows Prometheus what it knows of each gateway, and what its CAs and receivers of
notifications answer. Alert rules and a dashboard are in [monitoring](monitoring.md). There are two
ways, which can be combined:

```yaml
metrics:
  listen: [127.0.0.1:9876]
  textfile: /var/lib/prometheus/node-exporter/gatecert.prom
```

## Over HTTP

`listen` answers `GET /metrics`, in OpenMetrics 1.0 if the client asks for it, else in the text
format. Everybody who can connect may read it: listen on a loopback address, or give it TLS and
passwords with `web_config`. The metrics are up to a second old. Prometheus needs this job:

```yaml
scrape_configs:
  - job_name: gatecert
    static_configs: [{targets: [127.0.0.1:9876]}]
```

Prometheus itself reads no Unix socket; `unix:/run/gatecert/metrics.sock` is for a web server before
it, or a look: `curl --unix-socket /run/gatecert/metrics.sock http://gatecert/metrics`.

## In a file

`textfile` is for hosts on which the node_exporter runs and nothing else may listen. The file is
replaced at once, at most every five seconds, and everybody may read it. gatecert must be able to
write to the directory, as a user and as a service (`systemctl edit gatecert`):

```sh
chgrp gatecert /var/lib/prometheus/node-exporter
chmod g+w /var/lib/prometheus/node-exporter
```

```ini
[Service]
ReadWritePaths=/var/lib/prometheus/node-exporter
```

A daemon that has stopped leaves its last file, with old values. A running one writes it every five
minutes at least, so an older file is a sign of that: the alert
[GatecertTextfileOld](monitoring.md#gatecerttextfileold). A reload that drops or renames `textfile`
removes the file. If the daemon did not run meanwhile, remove it yourself.

## What to know about all metrics

- Names and labels never change their meaning; new metrics may be added.
- Instants are Unix time. 1 and 0 stand for true and false. A sample is absent while its value is
  unknown.
- Counters start at zero with the daemon, and count what it does, not what commands such as
  `gatecert enroll` do.
- Gateways appear as the daemon looks at them after its start: until then
  `gatecert_gateways_known` is less than `gatecert_gateways_configured`.
- At 10,000 gateways a scrape takes less than 0.2 seconds and has 5 to 9 MB, 0.3 MB compressed.
"""
OF_GATEWAYS = """\
## Of each gateway

`per_gateway: no` leaves these out, where the sums are enough. The eleven samples of a gateway are
1 kB at each scrape.
"""
OF_ALL = """\
## Of all gateways, and of the daemon

These are always there. The states are those of [`gatecert status`](status.md).
"""
OF_FLEETS = """\
## Of a fleet

Only with `fleet`, as this host sees its cluster, every half minute. While the database is away,
there are the first two only. `gatecert_fleet_halted` and the limits of a CA concern the whole
fleet.
"""
OF_EVENTS = """\
## Of CAs, deployments and notifications

`authority` is a name of `authorities` in the configuration, `limit` one of its `limits` (or
`replacements`, of which gatecert allows five a day), `receiver` a name of `notify`.
"""


def text() -> str:
    """Return the whole page."""
    return "\n".join(
        [
            INTRODUCTION,
            OF_GATEWAYS,
            *_table(GATEWAY_FAMILIES.values()),
            "",
            OF_ALL,
            *_table(SUMS),
            "",
            OF_FLEETS,
            *_table(FLEET),
            "",
            OF_EVENTS,
            *_table(EVENTS),
            "",
        ]
    )


def _table(families: Iterable[Family]) -> Iterator[str]:
    yield "| metric | type | labels | meaning |"
    yield "|---|---|---|---|"
    for family in families:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        yield f"| `{family.name}` | {family.kind} | {labels} | {family.meaning} |"


if __name__ == "__main__":
    sys.stdout.write(text())
