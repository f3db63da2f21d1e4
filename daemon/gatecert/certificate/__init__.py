"""Keys, requests, self-signed bootstrap certificates, and the checking of chains."""
