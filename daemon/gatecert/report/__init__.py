"""Output for operators and programs: status, logs, progress, notifications to systemd."""
