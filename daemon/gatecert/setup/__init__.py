"""The first set-up of a gateway: what runs on this host, and what has to change for gatecert."""
