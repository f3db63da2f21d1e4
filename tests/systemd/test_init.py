"""``gatecert init`` on a clean Debian, as an operator runs it after the installation.

The CA, the nameserver and the clients share the machine's loopback device, which has one more
address, a public one: the test's own network namespace leads nowhere.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from harness.caddy import BINARY as CADDY
from harness.challenge_test_server import ChallengeTestServer
from harness.handshake import served_certificate
from harness.machine.booted import Machine
from harness.neighbour import run
from harness.pebble import Pebble, PebbleOptions, PebblePorts
from harness.process import BackgroundProcess
from harness.waiting import wait_until

from .conftest import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from harness.machine.booted import Finished

    from .conftest import Figures, Installed

CERTBOT: Final = PROJECT / ".cache" / "peer" / "bin" / "certbot"
PLAIN_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"
HOSTNAME: Final = "gate.widgets.dynamic-m.com"
PUBLIC: Final = "45.33.32.10"  # of this namespace alone
CONTACT: Final = "ops@widgets.dynamic-m.com"
CONFIGURATION: Final = "/etc/gatecert/config.yaml"
LIVE: Final = "/var/lib/gatecert/gateways/gate/live"
MOST_COMMANDS, MOST_ANSWERS, MOST_SECONDS = 2, 3, 60.0
SNAKE_OIL: Final = (
    "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=old "
    "-keyout /etc/ssl/old.pem -out /etc/ssl/old.crt && cat /etc/ssl/old.crt >>/etc/ssl/old.pem"
)
HAPROXY_FRONTEND: Final = """
frontend web
    bind :80
    bind :443 ssl crt /etc/ssl/old.pem
    http-request return status 200 content-type text/plain string "gate"
"""


@dataclass
class Operator:
    """An operator at a machine, with the CA and the nameserver outside.

    Attributes:
        commands: The commands so far.
        answers: The answers to questions so far.
    """

    machine: Machine
    pebble: Pebble
    names: ChallengeTestServer
    commands: int = 0
    answers: int = 0

    def init(self, *options: str, answers: tuple[str, ...] = ()) -> Finished:
        """Run the command, with answers at a terminal, or else with ``--yes``."""
        argv = ["gatecert", "init", "--directory-url", self.pebble.directory_url]
        argv += ["--ca-bundle", "/root/authority.pem", "--trusted-roots", "/root/root.pem"]
        self.commands += 1
        if not answers:
            return self.machine.run(*argv, "--yes", "--agree-terms", "--contact", CONTACT, *options)
        self.answers += len(answers)
        # script(1) gives it a terminal, and types as soon as a question is there.
        text = "".join(f"{answer}\n" for answer in answers)
        command = " ".join([*argv, *options])
        return self.machine.run("script", "-qec", command, "/dev/null", text=text)

    def serves(self, port: int = 443) -> bool:
        """Tell whether a client that trusts the CA accepts the server."""
        try:
            return bool(served_certificate(PUBLIC, port, HOSTNAME, trusted=self.pebble.root))
        except OSError:
            return False


@pytest.fixture
def operator(installed: Installed, servers: ExitStack, tmp_path: Path) -> Operator:
    """A machine with the package installed, on which nothing is set up; its name points here."""
    run("ip", "address", "add", f"{PUBLIC}/32", "dev", "lo")
    servers.callback(run, "ip", "address", "delete", f"{PUBLIC}/32", "dev", "lo")
    names = servers.enter_context(ChallengeTestServer(tmp_path / "names", dns_port=53))
    names.point(HOSTNAME, PUBLIC)
    pebble = servers.enter_context(
        Pebble(
            tmp_path / "pebble",
            dns_server=names.address,
            ports=PebblePorts(http01=80, tls_alpn01=443),
            options=PebbleOptions(rejected_nonces=0, reused_authorizations=0),
        )
    )
    machine = servers.enter_context(Machine(installed.layers, tmp_path / "machine"))
    machine.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    machine.write("/etc/hosts", "127.0.0.1 localhost\n")
    for name, source in (("authority", pebble.https_certificate), ("root", pebble.root)):
        machine.write(f"/root/{name}.pem", source.read_text("ascii"))
    return Operator(machine, pebble, names)


def nginx(operator: Operator) -> None:
    operator.machine.enable("nginx.service")


def ocserv(operator: Operator) -> None:
    subprocess.run(
        ["ocpasswd", "-c", operator.machine.root / "etc/ocserv/passwd", "alice"],
        input="secret\nsecret\n",
        text=True,
        check=True,
        capture_output=True,
        timeout=10,
    )
    operator.machine.enable("ocserv.service")


def haproxy(operator: Operator) -> None:
    machine = operator.machine
    before = (machine.root / "etc/haproxy/haproxy.cfg").read_text("utf-8")
    machine.write("/etc/haproxy/haproxy.cfg", before + HAPROXY_FRONTEND)
    machine.must_offline("sh", "-c", SNAKE_OIL)
    machine.enable("haproxy.service")


CLEAN: Final = {"nginx": nginx, "ocserv": ocserv, "haproxy": haproxy}


@pytest.mark.parametrize("server", CLEAN)
def test_two_commands_and_three_answers_from_a_clean_debian(
    server: str, operator: Operator, installed: Installed, figures: Figures
) -> None:
    CLEAN[server](operator)
    machine = operator.machine.boot()
    machine.wait_idle()
    operator.commands += 1  # the installation of the package

    started = time.monotonic()
    shown = operator.init(answers=(HOSTNAME, CONTACT, "y"))
    seconds = installed.seconds + time.monotonic() - started

    assert shown.exit_code == 0, shown.output
    machine.wait_for(operator.serves, "the server to serve it", seconds=5.0)
    assert operator.commands <= MOST_COMMANDS
    assert operator.answers <= MOST_ANSWERS
    assert seconds <= MOST_SECONDS
    what = f"{operator.commands} commands, {operator.answers} answers"
    figures.add(f"{installed.suite}: {server}, {what}, with the installation", seconds)
    machine.must("gatecert", "check")
    before = operator.pebble.orders()
    assert before == 1

    renewed = machine.run("gatecert", "enroll", "--force", "gate")

    assert renewed.exit_code == 0, renewed.errors
    machine.reboot()
    machine.wait_idle()
    machine.wait_for(operator.serves, "the certificate after a restart of the host")
    machine.wait_active("gatecert.service")
    assert machine.must("systemctl", "--failed", "--plain", "--no-legend") == ""
    assert operator.pebble.orders() == 2


def apache(operator: Operator) -> None:
    operator.machine.enable("apache2.service")


def mail(operator: Operator) -> None:
    operator.machine.enable("postfix.service", "dovecot.service")


@pytest.mark.parametrize(("set_up", "port"), [(apache, 443), (mail, 993)], ids=["apache", "mail"])
def test_without_questions(
    set_up: Callable[[Operator], None], port: int, operator: Operator
) -> None:
    set_up(operator)
    machine = operator.machine.boot()
    machine.wait_idle()

    shown = operator.init("--hostname", HOSTNAME)

    assert shown.exit_code == 0, shown.output + shown.errors
    assert operator.serves(port)
    machine.must("gatecert", "check")

    again = operator.init("--hostname", HOSTNAME)

    assert again.exit_code == 0, again.output + again.errors
    assert "has this gateway already" in again.output
    assert operator.pebble.orders() == 1


@pytest.mark.on_one_debian
def test_a_second_gateway_is_added_and_the_first_one_stays(operator: Operator) -> None:
    nginx(operator)
    other = "second.widgets.dynamic-m.com"
    operator.names.point(other, PUBLIC)
    machine = operator.machine.boot()
    machine.wait_idle()
    assert operator.init("--hostname", HOSTNAME).exit_code == 0
    machine.must("sh", "-c", f"echo '# mine' >>{CONFIGURATION}")
    before = machine.must("cat", CONFIGURATION)

    second = machine.run("gatecert", "init", "--yes", "--hostname", other)

    assert second.exit_code == 0, second.output + second.errors
    after = machine.must("cat", CONFIGURATION)
    rest = iter(after.splitlines())
    assert all(line in rest for line in before.splitlines()), "every line, in its order"
    assert operator.serves()
    assert served_certificate(PUBLIC, 443, other, trusted=operator.pebble.root)
    assert machine.must("stat", "-c", "%U:%G %a", CONFIGURATION).strip() == "root:gatecert 640"
    machine.must("gatecert", "check")


@pytest.mark.on_one_debian
def test_a_dry_run_changes_nothing(operator: Operator) -> None:
    nginx(operator)
    machine = operator.machine.boot()
    machine.wait_idle()
    staging = ("--authority", "letsencrypt", "--staging", "--hostname", HOSTNAME)

    shown = machine.run(
        *("gatecert", "init", "--yes", "--agree-terms", "--contact", CONTACT, *staging)
    )

    assert shown.exit_code == 1, "that CA cannot be reached from here"
    assert "nothing was installed" in shown.errors
    assert machine.run("test", "-e", CONFIGURATION).exit_code == 1
    assert machine.run("test", "-e", "/etc/nginx/conf.d/gate.conf").exit_code == 1
    assert operator.pebble.orders() == 0


@pytest.mark.on_one_debian
def test_a_name_that_points_elsewhere_gets_a_bootstrap_certificate_and_the_service_goes_on(
    operator: Operator,
) -> None:
    nginx(operator)
    operator.names.point(HOSTNAME, "9.9.9.9")
    machine = operator.machine.boot()
    machine.wait_idle()

    shown = operator.init("--hostname", HOSTNAME)

    assert shown.exit_code == 1
    assert "goes on trying by itself" in " ".join(shown.output.split())
    assert served_certificate(PUBLIC, 443, HOSTNAME)
    assert not operator.serves()

    operator.names.point(HOSTNAME, PUBLIC)
    machine.must("systemctl", "kill", "--signal=USR1", "gatecert.service")
    machine.wait_for(operator.serves, "the service to enrol")


@pytest.mark.on_one_debian
def test_a_server_that_is_trusted_keeps_its_certificate_until_there_is_a_better_one(
    operator: Operator,
) -> None:
    nginx(operator)
    machine = operator.machine.boot()
    machine.wait_idle()
    assert operator.init("--hostname", HOSTNAME).exit_code == 0
    # As another client would leave it: trusted by this machine, and not known to gatecert.
    machine.must("mkdir", "/etc/old")
    machine.must("sh", "-c", f"cp {LIVE}/*.pem /etc/old && cp /root/root.pem /etc/ssl/cert.pem")
    machine.must("sed", "-i", f"s#{LIVE}#/etc/old#", "/etc/nginx/conf.d/gate.conf")
    machine.must("sh", "-c", "cat /root/root.pem >>/etc/ssl/certs/ca-certificates.crt")
    machine.must("systemctl", "stop", "gatecert")
    machine.must("rm", "-rf", "/var/lib/gatecert/gateways", CONFIGURATION)
    machine.must("systemctl", "reload", "nginx")
    operator.names.point(HOSTNAME, "9.9.9.9")

    shown = operator.init("--hostname", HOSTNAME)

    assert shown.exit_code == 1
    assert "serves a trusted certificate now and keeps it" in " ".join(shown.output.split())
    assert operator.serves()

    operator.names.point(HOSTNAME, PUBLIC)
    again = operator.init("--hostname", HOSTNAME)

    assert again.exit_code == 0, again.output + again.errors
    assert LIVE in machine.must("cat", "/etc/nginx/conf.d/gate.conf")


PROXY: Final = f"""\
server {{ listen 80 default_server; server_name {HOSTNAME}; return 301 https://$host$request_uri; }}
server {{
    listen 443 ssl;
    server_name {HOSTNAME};
    ssl_certificate /etc/ssl/old.crt;
    ssl_certificate_key /etc/ssl/old.pem;
    location / {{ return 200 "application"; }}
}}
"""


@pytest.mark.on_one_debian
def test_a_proxy_with_a_redirect_forwards_validations(operator: Operator) -> None:
    nginx(operator)
    machine = operator.machine
    machine.must_offline("sh", "-c", SNAKE_OIL)
    machine.write("/etc/nginx/sites-available/default", PROXY)
    machine.boot()
    machine.wait_idle()

    shown = operator.init("--hostname", HOSTNAME)

    assert shown.exit_code == 0, shown.output + shown.errors
    assert operator.serves()
    assert "nginx forwards validations to gatecert" in " ".join(shown.output.split())
    backups = machine.must("sh", "-c", "ls -A /etc/nginx/sites-available").split()
    assert sorted(backups) == ["default", "default.before-gatecert"]
    assert machine.must("cat", "/etc/nginx/sites-available/default.before-gatecert") == PROXY


ROOT: Final = "/root/root.pem"
# Runs a command, and sends it SIGINT when it orders, as Ctrl-C does.
STOPPED: Final = """\
import os, signal, subprocess, sys
command = subprocess.Popen(
    sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    start_new_session=True,
)
for line in command.stdout:
    print(line, end="")
    if "looking up" in line:
        os.killpg(command.pid, signal.SIGINT)
sys.exit(command.wait())
"""


@pytest.mark.on_one_debian
def test_an_interruption_leaves_nothing_half_done_and_the_command_goes_on(
    operator: Operator,
) -> None:
    nginx(operator)
    machine = operator.machine.boot()
    machine.wait_idle()
    os.kill(operator.pebble.process.pid, signal.SIGSTOP)
    begun = ("gatecert", "init", "--yes", "--agree-terms", "--contact", CONTACT)
    ca = ("--directory-url", operator.pebble.directory_url, "--ca-bundle", "/root/authority.pem")

    stopped = machine.run(
        "python3", "-c", STOPPED, *begun, "--hostname", HOSTNAME, *ca, "--trusted-roots", ROOT
    )

    os.kill(operator.pebble.process.pid, signal.SIGCONT)
    assert stopped.exit_code == 130, stopped.output + stopped.errors
    assert "run the same command again" in " ".join(stopped.output.split())
    machine.must("gatecert", "check")
    machine.must("nginx", "-t")
    assert machine.run("test", "-e", "/etc/nginx/conf.d/gate.conf").exit_code == 1

    again = machine.run("gatecert", "init", "--yes", "--hostname", HOSTNAME)

    assert again.exit_code == 0, again.output + again.errors
    assert operator.serves()


@pytest.mark.on_one_debian
def test_two_servers_on_port_443_are_a_question(operator: Operator) -> None:
    ocserv(operator)
    machine = operator.machine
    nginx(operator)
    machine.must_offline("sh", "-c", SNAKE_OIL)
    tls = "server { listen 127.0.0.1:443 ssl; ssl_certificate /etc/ssl/old.crt; "
    tls += "ssl_certificate_key /etc/ssl/old.pem; }\n"
    machine.write("/etc/nginx/conf.d/tls.conf", tls)
    text = (machine.root / "etc/ocserv/ocserv.conf").read_text("utf-8")
    pair = "server-cert = /etc/ssl/old.crt\nserver-key = /etc/ssl/old.pem\n"
    pair += f"listen-host = {PUBLIC}\n"
    rest = [
        line for line in text.splitlines() if not line.startswith(("server-cert", "server-key"))
    ]
    machine.write("/etc/ocserv/ocserv.conf", pair + "\n".join(rest))
    machine.boot()
    machine.wait_idle()

    refused = operator.init("--hostname", HOSTNAME)

    assert refused.exit_code == 2
    assert "--server is missing" in refused.errors
    assert "ocserv, nginx" in refused.errors

    shown = operator.init("--hostname", HOSTNAME, "--server", "ocserv")

    assert shown.exit_code == 0, shown.output + shown.errors
    assert operator.serves()


@pytest.mark.on_one_debian
def test_a_server_that_refuses_the_change_keeps_its_files(operator: Operator) -> None:
    nginx(operator)
    machine = operator.machine
    # A test that always fails, with files that are right.
    machine.write("/usr/local/sbin/nginx", "#!/bin/sh\necho no: $1 >&2; exit 1\n", mode=0o755)
    machine.boot()
    machine.wait_idle()

    shown = operator.init("--hostname", HOSTNAME)

    assert shown.exit_code == 1
    assert "nginx -t refuses the changed files: no: -t" in shown.errors
    assert machine.run("test", "-e", "/etc/nginx/conf.d/gate.conf").exit_code == 1
    assert machine.must("systemctl", "is-active", "nginx").strip() == "active"


@pytest.mark.on_one_debian
def test_wrong_usage(operator: Operator) -> None:
    machine = operator.machine.boot()
    machine.wait_idle()

    nothing = operator.init("--hostname", HOSTNAME)
    assert nothing.exit_code == 2
    assert "--server is missing" in nothing.errors

    silent = machine.run("gatecert", "init")
    assert silent.exit_code == 2
    assert "there is no terminal" in silent.errors

    machine.must("systemctl", "start", "nginx")
    for options, what in (
        ((), "--hostname is missing"),
        (("--hostname", HOSTNAME), "--contact is missing"),
        (("--hostname", HOSTNAME, "--contact", CONTACT), "--agree-terms is missing"),
        (("--hostname", "no_name"), "--hostname: "),
        (("--hostname", HOSTNAME, "--server", "iis"), "--server iis"),
        (("--hostname", HOSTNAME, "--challenge", "dns-01"), "challenges.dns-01"),
    ):
        shown = machine.run("gatecert", "init", "--yes", *options)
        assert shown.exit_code == 2, (options, shown.errors)
        assert what in shown.errors
        assert shown.errors.count("\n") == 1

    user = machine.run(
        *("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"),
        *("gatecert", "init", "--yes", "--hostname", HOSTNAME),
    )
    assert user.exit_code == 2
    assert "run it with sudo" in user.errors
    assert machine.run("test", "-e", CONFIGURATION).exit_code == 1


CADDYFILE: Final = """\
{{
    acme_ca {url}
    acme_ca_root {root}
    admin off
}}
{hostname} {{
    respond "gate"
}}
"""


@pytest.mark.on_one_debian
def test_what_caddy_and_certbot_take(operator: Operator, figures: Figures, tmp_path: Path) -> None:
    """Measure both beside ``init``; their installation is not counted in seconds."""
    pebble, environment = operator.pebble, {"HOME": str(tmp_path), "TERM": "dumb"}
    caddyfile = tmp_path / "Caddyfile"
    settings = {"url": pebble.directory_url, "root": pebble.https_certificate}
    caddyfile.write_text(CADDYFILE.format(hostname=HOSTNAME, **settings), "utf-8")
    argv = [str(CADDY), "run", "--config", str(caddyfile), "--adapter", "caddyfile"]
    started = time.monotonic()
    with BackgroundProcess(argv, log=tmp_path / "caddy.log", environment=environment) as caddy:
        wait_until(operator.serves, "Caddy to serve", seconds=60.0, explain=caddy.tail)
        figures.add(
            "Caddy: 2 commands (install, reload) and 2 lines of a file (name, content)",
            time.monotonic() - started,
        )

    directories = [f"--{kind}-dir={tmp_path}/{kind}" for kind in ("config", "work", "logs")]
    certbot = [str(CERTBOT), "certonly", "--standalone", "--server", pebble.directory_url]
    answers = (CONTACT, "y", "n", HOSTNAME)  # mail, terms, newsletter, name
    started = time.monotonic()
    ended = subprocess.run(
        ["script", "-qec", " ".join([*certbot, *directories]), "/dev/null"],
        input="".join(f"{answer}\n" for answer in answers),
        env=environment | {"PATH": PLAIN_PATH, "REQUESTS_CA_BUNDLE": str(pebble.https_certificate)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    figures.add(
        f"certbot: 2 commands (install, certonly), {len(answers)} answers; then 2 lines of a file "
        "and 1 command until a server serves it",
        time.monotonic() - started,
    )
