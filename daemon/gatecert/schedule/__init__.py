"""When: pure decisions in ``due``, timers in ``jobs``."""
