"""Responses to the challenges of an authority (RFC 8555 section 8)."""
