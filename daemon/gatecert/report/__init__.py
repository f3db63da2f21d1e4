"""Reported: status, logs, progress, and what the service manager is told."""
