"""Real servers for the tests, the demonstration and the benchmark.

Every class here starts one real program on free loopback ports, waits until it answers, and ends
it again. Nothing is imitated: the authority is Pebble, the gateway is ocserv, the client is
openconnect, and gatecert is the installed command. A program that is missing is an error.
"""
