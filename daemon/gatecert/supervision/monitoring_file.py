"""``STATE/monitoring.json``: how metrics, page and notifications are, for ``gatecert status``.

Only the monitor writes it, so it needs no lock; each version replaces the last.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from gatecert.errors import StorageError
from gatecert.report.monitoring_status import NOT_MONITORED, MonitoringStatus
from gatecert.store import durable
from gatecert.store.damaged_files import DamagedRecordError, read_file
from gatecert.store.layout import PRIVATE_FILE, Layout
from gatecert.supervision.plain_values import PlainValueError, from_plain, to_plain

if TYPE_CHECKING:
    from pathlib import Path

LARGEST: Final = 1 << 20  # bytes


def write_monitoring_status(directory: Path, status: MonitoringStatus) -> None:
    """Replace the file.

    Args:
        directory: The state directory.
        status: Of the configuration in force.

    Raises:
        StorageError: It cannot be written.
    """
    data = json.dumps(to_plain(status)).encode()
    path = Layout(directory.absolute()).monitoring
    durable.write_file(path, data, mode=PRIVATE_FILE, sync=False)


def read_monitoring_status(directory: Path) -> MonitoringStatus:
    """Return what was written last; an empty status if it is missing or damaged."""
    try:
        data = read_file(Layout(directory.absolute()).monitoring, largest=LARGEST)
        return NOT_MONITORED if data is None else from_plain(MonitoringStatus, json.loads(data))
    except (StorageError, DamagedRecordError, PlainValueError, ValueError, RecursionError):
        return NOT_MONITORED
