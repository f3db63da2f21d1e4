"""Where: the names of a gateway, its own addresses, and its region."""
