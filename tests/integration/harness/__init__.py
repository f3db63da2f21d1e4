"""Real servers for the tests, the demonstration and the benchmark.

Every class here starts one real program on free loopback ports, waits until it answers, and stops
it again. Nothing is faked: the CA is Pebble, the gateway is ocserv, the client is
openconnect, and gatecert is the installed command. A missing program is an error.
"""
