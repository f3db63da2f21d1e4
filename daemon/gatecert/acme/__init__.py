"""ACME: accounts, orders, renewal information and revocation (RFC 8555, RFC 9773)."""
