"""Dynamic DNS: keeps the A and AAAA records of a hostname at the gateway's addresses."""
