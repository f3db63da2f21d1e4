"""TLS handshakes with every listener of a gateway, to prove what it serves."""
