"""The lifecycle of a gateway's certificate: observe, decide, order, deploy, report."""
