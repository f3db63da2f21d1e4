"""The plan of the monitor."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gatecert.config.monitoring_plan import monitoring_plan
from gatecert.model import (
    Event,
    MetricsPlan,
    MonitoringPlan,
    PagePlan,
    ReceiverKind,
    ReceiverPlan,
    Severity,
    WebAccess,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gatecert.config.schema import Configuration

GATEWAY = "gateways: {g: {hostname: g.example.com, region: cn}}\n"


def test_without_its_keys_there_is_nothing_to_do(
    configuration: Callable[[str], Configuration],
) -> None:
    assert not monitoring_plan(configuration(GATEWAY)).is_needed


def test_everything_that_can_be_written(
    configuration: Callable[[str], Configuration], tmp_path: Path
) -> None:
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: c, key_file: k}\n", "utf-8")
    plan = monitoring_plan(
        configuration(
            f"""{GATEWAY}state_directory: {tmp_path}/state
authorities: {{le: {{directory_url: "https://a.example/"}}}}
metrics: {{listen: ["127.0.0.1:9876"], textfile: gatecert.prom, per_gateway: no}}
page: {{listen: ["unix:/run/gatecert/page", "[::1]:9877"], web_config: web.yml}}
notify:
  - {{url_file: mail, events: [revoked], severity: critical, failures: 5, ends_within: 3d,
     group: 10s, remind: 2d, quiet_hours: "22:00-07:30", timeout: 5s}}
  - {{webhook_file: hook}}
  - {{command: [/bin/true, a]}}
  - {{name: pager, command: [/bin/true]}}
"""
        )
    )
    assert plan == MonitoringPlan(
        state_directory=f"{tmp_path}/state",
        metrics=MetricsPlan(("127.0.0.1:9876",), f"{tmp_path}/gatecert.prom", per_gateway=False),
        page=PagePlan(
            ("unix:/run/gatecert/page", "[::1]:9877"),
            WebAccess(certificate=f"{tmp_path}/c", key=f"{tmp_path}/k"),
        ),
        receivers=(
            ReceiverPlan(
                "url-1",
                ReceiverKind.APPRISE,
                f"{tmp_path}/mail",
                events=(Event.REVOKED,),
                severity=Severity.CRITICAL,
                failures=5,
                ends_within=timedelta(days=3),
                group=timedelta(seconds=10),
                remind=timedelta(days=2),
                quiet_from=22 * 60,
                quiet_until=7 * 60 + 30,
                timeout=timedelta(seconds=5),
            ),
            ReceiverPlan("webhook-2", ReceiverKind.WEBHOOK, f"{tmp_path}/hook"),
            ReceiverPlan("command-3", ReceiverKind.COMMAND, command=("/bin/true", "a")),
            ReceiverPlan("pager", ReceiverKind.COMMAND, command=("/bin/true",)),
        ),
        authorities=("le",),
    )
