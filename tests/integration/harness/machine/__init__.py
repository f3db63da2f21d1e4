"""A small Debian, booted with systemd as process 1, and gatecert as its operators install it.

`make test-systemd` runs the tests in a network and a mount namespace of their own: ports 80 and 443
are free there, the CA, the gateway and the client share its loopback, and nothing is left on
the host when the tests end.
"""
