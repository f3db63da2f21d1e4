"""Servers whose configuration nobody but their operator can change safely."""

from __future__ import annotations

from gatecert.setup.server_plan import ServerPlan, Wanted


def plan_openvpn(wanted: Wanted) -> ServerPlan:
    """Return the lines for OpenVPN; a program has to verify what it serves."""
    return ServerPlan(
        units=(),
        install={},
        shown={"/etc/openvpn/server/NAME.conf": (f"cert {wanted.fullchain}", f"key {wanted.key}")},
        by_hand="OpenVPN is verified by a program, and reloaded by SIGUSR1",
        page="openvpn",
    )


def plan_strongswan(wanted: Wanted) -> ServerPlan:
    """Return the lines for strongSwan, which reads copies and is verified by a program."""
    return ServerPlan(
        units=(),
        install={},
        shown={f"/etc/swanctl/conf.d/{wanted.gateway}.conf": (f"id = {wanted.hostname}",)},
        by_hand="strongSwan reads copies below /etc/swanctl, and is verified by a program",
        page="strongswan",
    )


def plan_caddy(wanted: Wanted) -> ServerPlan:
    """Return the line for Caddy, which obtains certificates itself unless told otherwise."""
    return ServerPlan(
        units=("caddy.service",),
        install={"verify": ["127.0.0.1:443"]},
        shown={"/etc/caddy/Caddyfile": (f"tls {wanted.fullchain} {wanted.key}",)},
        by_hand="Caddy obtains certificates itself unless its site names one, which its user "
        "must be able to read (key_group)",
        reload=("systemctl", "reload", "caddy"),
    )


def plan_other(wanted: Wanted) -> ServerPlan:
    """Return the paths for a server that gatecert does not know."""
    return ServerPlan(
        units=(),
        install={"verify": ["127.0.0.1:443"]},
        shown={
            "your server's configuration": (
                f"certificate with chain: {wanted.fullchain}",
                f"private key: {wanted.key}",
            )
        },
        by_hand="gatecert does not know this server",
    )


def no_names(_: Wanted) -> list[str]:
    """Return no names: the configuration of this server has none."""
    return []
