"""Notify systemd: the sd_notify protocol (sd_notify(3)).

The protocol is one datagram; the Python packages for it are unmaintained or need libsystemd's
headers (docs/decisions/0004-sd-notify.md).
"""

from __future__ import annotations

import logging
import os
import socket
import time

from gatecert.errors import clean

logger = logging.getLogger(__name__)


class ServiceManager:
    """The service manager that started this process, if any.

    Args:
        address: ``NOTIFY_SOCKET``: a path, or an abstract name after ``@``; empty for none.
        watchdog: ``WATCHDOG_USEC`` in seconds; 0 for none.
    """

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog = watchdog
        self._status = ""

    @classmethod
    def from_environment(cls) -> ServiceManager:
        """Read the environment, and remove the variables, so that no child inherits them."""
        address = os.environ.pop("NOTIFY_SOCKET", "")
        interval = os.environ.pop("WATCHDOG_USEC", "")
        process = os.environ.pop("WATCHDOG_PID", "")
        is_ours = process in {"", str(os.getpid())}
        return cls(address, int(interval) / 1e6 if interval.isdigit() and is_ours else 0.0)

    def ready(self) -> None:
        """Report that every gateway has a certificate, or that a reload has ended."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Report that the configuration is being reloaded."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """Report that the daemon is stopping."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Reset the watchdog."""
        self._send("WATCHDOG=1")

    def status(self, words: str) -> None:
        """Report the status on one line; a repeated status is not sent again."""
        if words != self._status:
            self._status = words
            self._send(f"STATUS={clean(words, 200)}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.connect(self._address)
                notify.sendall(message.encode())
        except OSError as error:
            logger.warning("service manager cannot be notified error=%s", error)
