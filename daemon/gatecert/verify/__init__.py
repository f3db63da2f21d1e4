"""Served? Handshakes with every listener of a gateway."""
