"""Fixtures of the attacks from a gateway's container."""

from __future__ import annotations

from tests.container.conftest import compose, machine, outside, pair, pod, podman, servers

__all__ = ["compose", "machine", "outside", "pair", "pod", "podman", "servers"]
