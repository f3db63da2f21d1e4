"""What systemd is told: the sd_notify protocol (sd_notify(3)).

Own code for a protocol of one datagram: the Python packages for it are either unmaintained or need
libsystemd's headers (docs/decisions/0004-sd-notify.md).
"""

from __future__ import annotations

import logging
import os
import socket
import time

from gatecert.errors import clean

logger = logging.getLogger(__name__)


class ServiceManager:
    """The service manager that started us, or nobody.

    Args:
        address: ``NOTIFY_SOCKET``: a path, or an abstract name behind ``@``; empty for nobody.
        watchdog: ``WATCHDOG_USEC`` in seconds, 0 when no watchdog is wanted.
    """

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog = watchdog
        self._status = ""

    @classmethod
    def from_environment(cls) -> ServiceManager:
        """What the environment says; the variables are removed, so that no child inherits them."""
        address = os.environ.pop("NOTIFY_SOCKET", "")
        interval = os.environ.pop("WATCHDOG_USEC", "")
        process = os.environ.pop("WATCHDOG_PID", "")
        meant_for_us = process in {"", str(os.getpid())}
        return cls(address, int(interval) / 1e6 if interval.isdigit() and meant_for_us else 0.0)

    def ready(self) -> None:
        """Every gateway has at least its bootstrap certificate; or a reload is over."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The configuration is being read again."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """We are about to leave."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The scheduler is turning."""
        self._send("WATCHDOG=1")

    def status(self, words: str) -> None:
        """What is happening, on one line; repeated words are not sent again."""
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
            logger.warning("service manager cannot be told error=%s", error)
