"""Fixtures of the attacks from a gateway's container."""

from __future__ import annotations

from tests.container.conftest import Outside, Pair, compose, machine, outside, pod, podman, servers

__all__ = ["Outside", "Pair", "compose", "machine", "outside", "pod", "podman", "servers"]
