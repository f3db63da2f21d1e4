"""Certificates demanded from users: their authorities, who is accepted, who would be locked out."""
