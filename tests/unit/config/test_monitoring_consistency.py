"""Checks across the keys of metrics, page and notify."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GATEWAY = "gateways: {g: {hostname: g.example.com, region: cn}}\n"


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("metrics: {per_gateway: no}", "metrics: has neither listen nor textfile"),
        ("metrics: {textfile: /var/a.txt}", "metrics.textfile: must end in .prom"),
        ("metrics: {}", "metrics: has neither listen nor textfile"),
        (
            "metrics: {textfile: /var/a.prom, web_config: WEB}",
            "metrics.web_config: is not used without listen",
        ),
        ("page: {listen: []}", "page: has no listen"),
        (
            "metrics: {listen: ['127.0.0.1:9876', '0.0.0.0:9876']}",
            "metrics.listen[1]: 0.0.0.0:9876 is already used by metrics.listen",
        ),
        (
            "metrics: {listen: ['unix:/run/a']}\npage: {listen: ['unix:/run/a']}",
            "page.listen[0]: unix:/run/a is already used by metrics.listen",
        ),
        (
            "page: {listen: ['127.0.0.1:80']}",
            "page.listen[0]: 127.0.0.1:80 is already used by challenges.http-01.listen",
        ),
        (
            "page: {listen: ['[::1]:443']}\nchallenges: {tls-alpn-01: {listen: ['[::]:443']}}",
            "page.listen[0]: [::1]:443 is already used by challenges.tls-alpn-01.listen",
        ),
        ("notify: [{}]", "notify[0]: has none of url_file, webhook_file, command"),
        ("notify: [{command: [/bin/true], events: []}]", "notify[0].events: is empty"),
        ("notify: [{name: a}]", "notify[0]: has none of url_file, webhook_file, command"),
        (
            "notify: [{url_file: a, command: [/bin/true]}]",
            "notify[0]: has both url_file and command; write one of them",
        ),
        (
            "notify: [{name: b, command: [/bin/a]}, {name: b, command: [/bin/c]}]",
            "notify[1].name: has the name b, as the receiver at place 1; write another",
        ),
    ],
)
def test_what_does_not_fit_together(
    complaints: Callable[[str], list[str]], tmp_path: Path, written: str, told: str
) -> None:
    web_config = tmp_path / "web.yml"
    web_config.touch()
    written = written.replace("WEB", str(web_config))
    assert any(told in line for line in complaints(f"{GATEWAY}{written}\n"))
