"""What is wrong with a gateway, in the order in which it has to be put right."""
