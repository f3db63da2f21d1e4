"""Keys, certificate requests, self-signed certificates, and the validation of chains."""
