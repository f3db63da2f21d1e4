"""Commands of other ACME clients, and where they lead here."""

from __future__ import annotations

from typing import Final

from gatecert import container

_ENROL = "use gatecert enroll"
_RENEW = "use gatecert enroll; gatecert run renews by itself"
_STATUS = "use gatecert status"
_CHECK = "use gatecert check"
_ACCOUNT = "gatecert enroll registers the account by itself; gatecert account show shows it"
_DEPLOY = (
    "use gatecert enroll, which also installs, reloads and verifies: set gateways.NAME.install"
)
_REMOVE = "remove the gateway from the configuration; gatecert revoke revokes its certificate"
_DNS = "see docs/dns.md for providers; gatecert dns-record prints records for dns-persist-01"
_UPGRADE = "upgrade the package, or: pip install --upgrade gatecert"
_MOVE = "use gatecert adopt"
_INIT = "use gatecert init"
# Of the daemon: see _of_the_daemon.
_RUN, _STOP, _RESTART, _RELOAD, _LOGS = "run", "stop", "restart", "reload", "logs"

# By client: certbot, acme.sh, lego, Caddy and step; then words that people try.
LEADS_TO: Final = {
    "certonly": _ENROL,
    "renew": _RENEW,
    "certificates": _STATUS,
    "install": _DEPLOY,
    "delete": _REMOVE,
    "rollback": "gatecert rolls back by itself; gatecert status shows what is in place",
    "register": _ACCOUNT,
    "unregister": "use gatecert account deactivate",
    "update_account": "set authorities.NAME.contact; gatecert enroll sends it to the CA",
    "show_account": "use gatecert account show",
    "reconfigure": "edit the configuration, then use gatecert check",
    "enhance": "that is for the server's own configuration",
    "plugins": _DNS,
    "--issue": _ENROL,
    "--renew": _RENEW,
    "--renew-all": _RENEW,
    "--cron": _RUN,
    "--install-cronjob": _RUN,
    "--install-cert": _DEPLOY,
    "--installcert": _DEPLOY,
    "--deploy": _DEPLOY,
    "--list": _STATUS,
    "--info": _STATUS,
    "--remove": _REMOVE,
    "--revoke": "use gatecert revoke",
    "--register-account": _ACCOUNT,
    "--create-account-key": _ACCOUNT,
    "--deactivate-account": "use gatecert account deactivate",
    "--create-csr": "use gatecert csr",
    "--upgrade": _UPGRADE,
    "--set-default-ca": "set authorities in the configuration",
    "list": _STATUS,
    "dnshelp": _DNS,
    "start": _RUN,
    "stop": _STOP,
    "restart": _RESTART,
    "reload": _RELOAD,
    "validate": _CHECK,
    "adapt": _CHECK,
    "fmt": _CHECK,
    "trust": "gatecert doctor --export-root FILE writes the root that clients must trust",
    "ca": "use gatecert client-ca for client CAs, or gatecert account for ACME accounts",
    "certificate": _ENROL,
    "configtest": _CHECK,
    "config": _CHECK,
    "test": "use gatecert check, gatecert enroll --dry-run or gatecert doctor",
    "show": _STATUS,
    "info": _STATUS,
    "issue": _ENROL,
    "order": _ENROL,
    "obtain": _ENROL,
    "request": _ENROL,
    "enrol": _ENROL,
    "deploy": _DEPLOY,
    "verify": "use gatecert doctor, or gatecert enroll, which verifies again",
    "daemon": _RUN,
    "serve": _RUN,
    "cron": _RUN,
    "log": _LOGS,
    "logs": _LOGS,
    "diagnose": "use gatecert doctor",
    "remove": _REMOVE,
    "setup": _INIT,
    "configure": _INIT,
    "migrate": _MOVE,
    "version": "use gatecert --version",
    "upgrade": _UPGRADE,
    "update": _UPGRADE,
}


def _of_the_daemon() -> dict[str, str]:
    return {
        _RUN: container.fix_for(
            host="use gatecert run, or: systemctl enable --now gatecert",
            container="use gatecert run, which the container does when it starts",
        ),
        _STOP: container.fix_for(
            host="systemctl stop gatecert stops the daemon",
            container="stop the container",
        ),
        _RESTART: container.fix_for(
            host="use systemctl restart gatecert",
            container="restart the container",
        ),
        _RELOAD: container.fix_for(
            host="systemctl reload gatecert reads the configuration again; gatecert enroll reloads "
            "a gateway",
            container="SIGHUP makes the daemon read the configuration again; gatecert enroll "
            "reloads a gateway",
        ),
        _LOGS: container.fix_for(
            host="journalctl -u gatecert shows the log of the daemon; gatecert doctor explains "
            "failures",
            container="the output of the container is the log of the daemon; gatecert doctor "
            "explains failures",
        ),
    }


def advice(word: str) -> str:
    """Return the error for a command that another client has; empty for any other word."""
    leads_to = LEADS_TO.get(word, "")
    leads_to = _of_the_daemon().get(leads_to, leads_to)
    return f"gatecert has no command {word!r}: {leads_to}" if leads_to else ""
