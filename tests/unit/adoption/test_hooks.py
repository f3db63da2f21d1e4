"""Translation of hooks."""

from __future__ import annotations

import pytest

from gatecert.adoption.hooks import as_arguments, unit_of


def find(name: str) -> str | None:
    return name if name.startswith("/") else {"missing": None}.get(name, f"/usr/bin/{name}")


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("systemctl reload nginx", ("/usr/bin/systemctl", "reload", "nginx")),
        ("/usr/sbin/nginx -s 'reload'", ("/usr/sbin/nginx", "-s", "reload")),
        ("service apache2 reload ", ("/usr/bin/service", "apache2", "reload")),
        ("systemctl reload nginx && systemctl reload postfix", ()),
        ("systemctl reload nginx; reboot", ()),
        ("systemctl reload $UNIT", ()),
        ("systemctl reload nginx > /dev/null", ()),
        ("echo `id`", ()),
        ("/root/deploy.sh", ()),
        ("cp /etc/letsencrypt/live/x/fullchain.pem /srv", ()),
        ("PATH=/x nginx", ()),
        ("nginx 'open", ()),
        ("systemctl reload\nnginx", ()),
        ("", ()),
    ],
)
def test_only_a_known_program_with_plain_arguments_is_translated(
    command: str, arguments: tuple[str, ...]
) -> None:
    assert as_arguments(command, find) == arguments


def test_a_program_that_does_not_exist_is_not_translated() -> None:
    assert as_arguments("nginx -s reload", lambda _: None) == ()


@pytest.mark.parametrize(
    ("command", "unit"),
    [
        ("systemctl reload nginx", "nginx.service"),
        ("systemctl --no-block try-reload-or-restart nginx.service", "nginx.service"),
        ("service apache2 reload", "apache2.service"),
        ("systemctl stop nginx", ""),
        ("systemctl reload nginx postfix", ""),
        ("nginx -s reload", ""),
    ],
)
def test_the_unit_of_a_command(command: str, unit: str) -> None:
    assert unit_of(as_arguments(command, find)) == unit
