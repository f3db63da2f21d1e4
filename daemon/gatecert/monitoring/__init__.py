"""The monitor: metrics, the status page and notifications, in a process of their own."""
