"""The codes of the doctor for a fleet and its database; see ``codes``."""

from __future__ import annotations

from typing import Final

from gatecert.doctor.finding import Code, Severity

OK, NOTE, WARNING, FAILURE = Severity.OK, Severity.NOTE, Severity.WARNING, Severity.FAILURE

_NOT_ORDERED: Final = "nothing is ordered meanwhile, and every gateway keeps its certificate"

DATABASE_OK = Code("database-ok", OK, "the fleet's database can be used")
DATABASE = Code(
    "database",
    FAILURE,
    f"the fleet's database refuses a statement; {_NOT_ORDERED}",
    "correct what the message names, with the administrator of the database",
)
DATABASE_AWAY = Code(
    "database-away",
    FAILURE,
    f"no server of the fleet's database answers in time; {_NOT_ORDERED}",
    "start the database, or correct fleet.database.hosts and the network between",
)
COMMIT_UNKNOWN = Code(
    "commit-unknown",
    WARNING,
    "the fleet's database has not confirmed a change in time, so it may be durable or not;"
    f" {_NOT_ORDERED}",
    "if it repeats, look at the standby that the database waits for (synchronous_standby_names)",
)
LOGIN_REFUSED = Code(
    "login-refused",
    FAILURE,
    f"the fleet's database does not let this host in; {_NOT_ORDERED}",
    "correct what the message names: the certificate, the role, pg_hba.conf or fleet.database",
)
SCHEMA_UNKNOWN = Code(
    "schema-unknown",
    FAILURE,
    f"the schema of the fleet's database is too old or too new for this release; {_NOT_ORDERED}",
    "if it is too old, run gatecert fleet migrate; if it is too new, upgrade gatecert here",
)
POOLER_UNFIT = Code(
    "pooler-unfit",
    FAILURE,
    "a pooler between this host and the fleet's database gives each transaction another"
    f" connection, so nothing that gatecert relies on holds; {_NOT_ORDERED}",
    "set pool_mode = session in the pooler, or name the servers in fleet.database.hosts",
)
HOST_TWICE = Code(
    "host-twice",
    FAILURE,
    f"two daemons are in the fleet with one name, such as a host and its copy; {_NOT_ORDERED}",
    "give each host a name and a certificate of its own (fleet.host), or stop one of the two",
)
DATABASE_ASYNCHRONOUS = Code(
    "database-asynchronous",
    WARNING,
    "a standby that takes over may lack the last changes, so that what they ordered is ordered once"
    " more; no limit of a CA is safe then",
    "set synchronous_standby_names on the server",
)
ROLE_EXCESS = Code(
    "role-excess",
    WARNING,
    "a thief of this host's key can change the whole fleet",
    "give the role no right but its membership in gatecert_host",
)
CLUSTER_OK = Code("cluster-ok", OK, "all hosts of the cluster give signs of life")
HOST_SILENT = Code(
    "host-silent",
    WARNING,
    "no gatecert that reaches the database runs there, so that host installs no new certificate,"
    " and others do not wait for it",
    "start the daemon there, or correct its way to the database; if the host is gone for good,"
    " remove it as the owner: gatecert fleet leave --database URL --cluster CLUSTER HOST",
)
FLEET_PAUSED = Code(
    "fleet-paused",
    NOTE,
    "all hosts of the fleet order and install only what ends within a day",
    "gatecert fleet resume",
)
BRAKE = Code(
    "brake",
    WARNING,
    "too many deployments of the fleet were rolled back, so all hosts order and install only what"
    " ends within a day",
    "find out why servers refuse the certificates (gatecert fleet status), then run gatecert fleet"
    " resume",
)
SEALING_KEY_MISSING = Code(
    "sealing-key-missing",
    FAILURE,
    "a private key in the fleet's database cannot be opened with the sealing keys of this host; the"
    " gateway keeps its certificate",
    "list the key that sealed it in fleet.sealing_keys of this host",
)
ENROLMENT_DAMAGED = Code(
    "enrolment-damaged",
    FAILURE,
    "what the hosts know together about the orders of the gateway cannot be read; every host serves"
    " on, and none orders for it",
    "restore the row of the gateway from a backup of the database",
)
ROLLOUT_OK = Code(
    "rollout-ok", OK, "the hosts of the cluster are proven to serve the newest certificate"
)
ROLLOUT_RUNS = Code(
    "rollout-runs", NOTE, "not every host of the cluster has proven the newest certificate yet"
)
GENERATION_BEHIND = Code(
    "generation-behind",
    WARNING,
    "a host of the cluster does not serve the newest certificate, so clients see different ones,"
    " and the older one ends sooner",
    "run gatecert doctor on that host",
)

# By the code of the error for which the database cannot be used.
OF_DATABASE: Final = {
    code.name: code
    for code in (
        DATABASE,
        DATABASE_AWAY,
        COMMIT_UNKNOWN,
        LOGIN_REFUSED,
        SCHEMA_UNKNOWN,
        POOLER_UNFIT,
        HOST_TWICE,
    )
}
