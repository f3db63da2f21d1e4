"""The worker process: runs passes for the core, which starts and ends it."""
