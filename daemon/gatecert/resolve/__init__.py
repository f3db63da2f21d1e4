"""DNS look-ups of a gateway's names, its own addresses, CAA records and its region."""
