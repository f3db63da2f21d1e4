"""Every code that the doctor knows, in the order of the checks.

A code is never given another meaning. Codes of what an order is certain to fail of are those of
the errors that would otherwise come of it (``gatecert.errors``), so that ``enroll``, the log of the
daemon, ``status`` and ``doctor`` say the same.
"""

from __future__ import annotations

from datetime import timedelta

from gatecert.client_ca.bundle_warnings import WarningKind
from gatecert.doctor.finding import Code, Severity
from gatecert.model import ResolutionKind

OK, NOTE, WARNING, FAILURE = Severity.OK, Severity.NOTE, Severity.WARNING, Severity.FAILURE

SOON = timedelta(minutes=1)  # what a person may be putting right at this moment
DAILY = timedelta(days=1)  # what others have to change

_CLOCK_OF_CONTAINER = "set the clock of the container's host, and keep it right with NTP"

# --------------------------------------------------------------------- this machine

CONFIGURATION_OK = Code("configuration-ok", OK, "the configuration can be used")
CONFIGURATION = Code(
    "configuration",
    FAILURE,
    "the configuration cannot be used; a running daemon keeps the one before",
    "correct it; gatecert check shows what is left",
)
NAMED_MISSING = Code(
    "named-missing",
    FAILURE,
    "something that the configuration names does not exist, so what needs it fails",
    "create it, or correct its name",
)
CONFIGURATION_EXPOSED = Code(
    "configuration-exposed",
    FAILURE,
    "others may change the configuration, and with it the commands that gatecert runs",
    "chmod go-w on it, and give it to root",
)
FILES_OK = Code("files-ok", OK, "keys and state are closed to everybody else")
KEY_EXPOSED = Code(
    "key-exposed",
    FAILURE,
    "somebody else may read a private key, or change what is trusted",
    "chmod it as said; if others had access, order again with a new key (gatecert enroll --force)",
)
FILES_FOREIGN = Code(
    "files-foreign",
    WARNING,
    "a file in the state directory belongs to another user than the directory, so gatecert may be"
    " unable to read or replace it",
    "chown it to the owner of the state directory",
)
STATE_OK = Code("state-ok", OK, "the state directory can be written, and has room")
STATE_UNWRITABLE = Code(
    "state-unwritable",
    FAILURE,
    "nothing new can be kept, so nothing is ordered; what is served stays",
    "make the state directory writable",
    recheck_after=timedelta(seconds=30),
)
DAEMON_OK = Code("daemon-ok", OK, "the daemon looks after the gateways")
DAEMON_STOPPED = Code(
    "daemon-stopped",
    WARNING,
    "no daemon runs on this state directory: nothing is renewed, and no change is noticed",
    "start it: systemctl start gatecert, or gatecert run",
    fix_in_container="start the container whose command is gatecert run, with this volume",
)

# --------------------------------------------------------------------- authorities

AUTHORITY_OK = Code("authority-ok", OK, "this machine is online, and the authority answers")
AUTHORITY_UNREACHABLE = Code(
    "authority-unreachable",
    FAILURE,
    "the authority cannot be reached, or what answers is none: nothing can be ordered",
    "check this machine's network, its resolver, a proxy, its clock, and directory_url",
)
AUTHORITY_INSECURE = Code(
    "authority-insecure",
    FAILURE,
    "the authority's address is not https, so nothing is sent there",
    "correct directory_url",
)
AUTHORITY = Code(
    "authority", FAILURE, "the authority refuses, or has trouble of its own", "see what it says"
)
CLOCK_OK = Code("clock-ok", OK, "this machine's clock agrees with the authority's")
CLOCK_UNKNOWN = Code(
    "clock-unknown",
    NOTE,
    "the authority does not say what time it is, so the clock cannot be compared",
)
CLOCK_OFF = Code(
    "clock-off",
    WARNING,
    "this machine's clock is wrong; renewals come too early or too late",
    "set the clock, and keep it right with NTP (timedatectl set-ntp true)",
    fix_in_container=_CLOCK_OF_CONTAINER,
)
CLOCK_WRONG = Code(
    "clock-wrong",
    FAILURE,
    "a certificate issued now would not be valid by this machine's clock, so none is ordered",
    "set the clock, and keep it right with NTP (timedatectl set-ntp true)",
    fix_in_container=_CLOCK_OF_CONTAINER,
    recheck_after=SOON,
)
TERMS_OK = Code("terms-ok", OK, "there is an account, or one may be made")
TERMS_NOT_AGREED = Code(
    "terms-not-agreed",
    FAILURE,
    "the authority makes no account unless its terms of service are agreed to",
    "read them, and set terms_of_service_agreed: true",
    recheck_after=SOON,
)
BINDING_MISSING = Code(
    "binding-missing",
    FAILURE,
    "the authority makes accounts only for those it knows already",
    "get a key from it, and set external_account",
    recheck_after=SOON,
)
PROFILE_OK = Code("profile-ok", OK, "the authority has the profile that is asked for")
PROFILE_MISSING = Code(
    "profile-missing",
    FAILURE,
    "the authority does not have the profile that is required, so nothing is ordered from it",
    "set profile to one that it has, or remove it",
    recheck_after=SOON,
)

# --------------------------------------------------------------------- names

REGION_OK = Code("region-ok", OK, "the gateway's region allows automatic enrolment")
REGION_EXCLUDED = Code(
    "region-excluded",
    NOTE,
    "the gateway is in a region that is never enrolled; it keeps its self-signed certificate",
    "set mode: custom and bring a certificate (gatecert csr, gatecert import)",
)
NAMES_OK = Code("names-ok", OK, "the names resolve to this gateway")
NAME_PARTLY_UNKNOWN = Code(
    "name-partly-unknown",
    WARNING,
    "A or AAAA of the name is right and the other cannot be looked up; orders are placed, but an"
    " authority may fail there",
    "see to the name's nameservers: they have to answer for A and AAAA alike",
)
NAME_NOT_HERE = Code(
    "name-not-here",
    FAILURE,
    "clients and authorities that follow the name get somewhere else; no order is placed",
    "point the name at this gateway; where public DNS is right already, set resolver.nameservers",
)
NAME_NO_ADDRESS = Code(
    "name-no-address",
    FAILURE,
    "nobody finds the gateway by its name; no order is placed",
    "give the name an A or AAAA record",
)
NAME_UNKNOWN = Code(
    "name-unknown",
    FAILURE,
    "nobody finds the gateway by its name; no order is placed",
    "create the name, or correct the hostname",
)
RESOLVER_FAILURE = Code(
    "resolver-failure",
    FAILURE,
    "where the name points is not known; no first order is placed, renewals are",
    "see to the name's nameservers",
)
RESOLVER_TIMEOUT = Code(
    "resolver-timeout",
    FAILURE,
    "where the name points is not known; no first order is placed, renewals are",
    "see to the network and resolver.nameservers",
)
RESOLUTION = Code(
    "resolution",
    FAILURE,
    "this host's own addresses are not known, so nothing tells whether the names point here",
    "list them under the gateway's addresses",
)
NAME_ELSEWHERE = Code(
    "name-elsewhere",
    WARNING,
    "no order waits for the name, but clients that follow it do not get here",
    "point the name at this gateway, or list the address under addresses",
)
BEHIND_NAT = Code(
    "behind-nat",
    NOTE,
    "this host has private addresses only, so any public address of the name is taken for its own",
    "list the public addresses under the gateway's addresses to have them compared",
)
USE_CUSTOM_MODE = Code(
    "use-custom-mode",
    WARNING,
    "the hosts of a pair share the name, but an authority's validation reaches one of them only",
    "set mode: custom: each host then has a request and a certificate of its own",
)
CAA_OK = Code("caa-ok", OK, "CAA records let the authority issue")
CAA_UNKNOWN = Code(
    "caa-unknown",
    WARNING,
    "an authority that cannot look up CAA records either will not issue (RFC 8659 section 3)",
    "see to the nameservers of the domain",
)
CAA_FORBIDS = Code(
    "caa-forbids",
    FAILURE,
    "the authority must not issue for the name, so nothing is ordered from it",
    "add the authority to the CAA records, or use another one",
    recheck_after=DAILY,
)

# Of names for which no order is placed.
BY_RESOLUTION = {
    ResolutionKind.ELSEWHERE: NAME_NOT_HERE,
    ResolutionKind.NO_ADDRESS: NAME_NO_ADDRESS,
    ResolutionKind.NO_SUCH_NAME: NAME_UNKNOWN,
    ResolutionKind.SERVER_FAILURE: RESOLVER_FAILURE,
    ResolutionKind.TIMEOUT: RESOLVER_TIMEOUT,
}

# --------------------------------------------------------------------- challenges

CHALLENGE_OK = Code("challenge-ok", OK, "the authority's challenge can be answered")
CHALLENGE_UNTRIED = Code(
    "challenge-untried", NOTE, "whether this kind of challenge works is seen only at an order"
)
CHALLENGE_PASSED_OVER = Code(
    "challenge-passed-over",
    WARNING,
    "this kind of challenge cannot be answered; another one is used in its place",
    "correct its settings, or take it out of the gateway's challenge",
)
RECORD_NOT_VISIBLE = Code(
    "record-not-visible",
    FAILURE,
    "a nameserver does not answer with the record that the authority will look for; nothing is"
    " ordered",
    "publish the record that is shown (gatecert dns-record prints it) at every nameserver",
    recheck_after=SOON,
)
CHALLENGE_NOT_FETCHED = Code(
    "challenge-not-fetched",
    WARNING,
    "a challenge can be presented, but it could not be fetched from here; if the authority cannot"
    " either, validation fails",
    "see what answers there: a firewall, a proxy, another web server",
)
ADDRESS_IN_USE = Code(
    "address-in-use",
    FAILURE,
    "another program holds the port on which the authority's visit is answered; nothing is ordered",
    "stop it, answer on another address, or use another challenge",
    recheck_after=SOON,
)
LISTENERS_OK = Code(
    "listeners-ok", OK, "no other user of this machine can answer the CA's challenges"
)
LISTENER_EXPOSED = Code(
    "listener-exposed",
    FAILURE,
    "any user of this machine may bind that port while gatecert does not listen there, answer the"
    " CA, and obtain a trusted certificate for the gateway's name",
    "listen on a loopback address with a port below 1024, such as 127.0.0.1:888, and forward to"
    " that, or set challenges.http-01.webroot",
)
LISTENER_UNPRIVILEGED = Code(
    "listener-unprivileged",
    NOTE,
    "any user of this machine may bind that port while gatecert does not listen there, which"
    " matters where the CA's connections are forwarded to it",
    "forward to a loopback address with a port below 1024, such as 127.0.0.1:888",
)
CHALLENGE = Code(
    "challenge",
    FAILURE,
    "the authority's challenge cannot be answered; nothing is ordered",
    "correct the settings of the challenge",
    recheck_after=SOON,
)

# --------------------------------------------------------------------- the certificate

CERTIFICATE_OK = Code("certificate-ok", OK, "the gateway has a certificate that is valid")
CERTIFICATE_MISSING = Code(
    "certificate-missing",
    FAILURE,
    "there is nothing to serve, not even a bootstrap certificate",
    "start the daemon, or run gatecert enroll",
)
CERTIFICATE_EXPIRED = Code(
    "certificate-expired",
    FAILURE,
    "clients refuse the gateway",
    "see what else is said of this gateway; gatecert enroll renews at once",
)
CERTIFICATE_ENDS_SOON = Code(
    "certificate-ends-soon",
    WARNING,
    "the certificate ends soon and has not been replaced yet",
    "see what else is said of this gateway",
)
CERTIFICATE_NAMES = Code(
    "certificate-names",
    WARNING,
    "clients that use a name which is not in the certificate refuse the gateway",
    "an automatic gateway gets a new one by itself; otherwise gatecert csr and gatecert import",
)
REVOCATION_OK = Code(
    "revocation-ok", OK, "the authority's lists do not name the certificate as revoked"
)
REVOCATION_UNKNOWN = Code(
    "revocation-unknown",
    WARNING,
    "whether the certificate was revoked is not known, so it would not be replaced at once",
    "let this machine reach the list's host over http (port 80)",
)
CERTIFICATE_REVOKED = Code(
    "certificate-revoked",
    FAILURE,
    "clients that look at revocation refuse the gateway",
    "an automatic gateway gets another certificate by itself, see what else is said of it;"
    " otherwise gatecert csr --renew and gatecert import",
)
BOOTSTRAP_YOUNG = Code(
    "bootstrap-young",
    NOTE,
    "the self-signed bootstrap certificate is served until the first one is issued, which takes"
    " minutes",
)
BOOTSTRAP_STILL = Code(
    "bootstrap-still",
    FAILURE,
    "clients see an untrusted certificate; by now there should be a trusted one",
    "put right the first failure that is said of this gateway",
)
BOOTSTRAP_UNTIL_IMPORT = Code(
    "bootstrap-until-import",
    WARNING,
    "clients see an untrusted certificate until you bring one",
    "gatecert csr, have it signed, gatecert import",
)

# --------------------------------------------------------------------- what is served

SERVED_OK = Code("served-ok", OK, "clients that connect by name see the installed certificate")
NOT_VERIFIED = Code(
    "not-verified",
    WARNING,
    "nothing proves that the certificate is served",
    "name every listener under install.verify",
)
NOT_SERVED = Code(
    "not-served",
    FAILURE,
    "clients see something else than the installed certificate",
    "see that the server reads live/, and that install.reload makes it read again",
)
MIXED = Code(
    "mixed",
    FAILURE,
    "some clients see the installed certificate, and others another one",
    "end the server that still serves the other certificate; no reload reaches it",
)
CHAIN_INCOMPLETE = Code(
    "chain-incomplete",
    FAILURE,
    "clients that do not know the intermediate certificates refuse the gateway",
    "let the server read live/fullchain.pem in place of live/cert.pem",
)
PROOF_DENIED = Code(
    "proof-denied",
    FAILURE,
    "install.verify_command does not say that the installed certificate is served",
    "see what it says; that the server reads live/, and that install.reload makes it read again",
)
LISTENER_SILENT = Code(
    "listener-silent",
    FAILURE,
    "no client can connect there",
    "start the gateway's server, or correct install.verify",
)
ADDRESS_OK = Code("address-ok", OK, "clients may connect by address as well")
CONNECT_BY_NAME = Code(
    "connect-by-name",
    NOTE,
    "a client that connects by IP address gets a certificate error, whatever is served, because"
    " the certificate is for the name",
    "let clients connect by the hostname",
)
ADDRESS_SHOWS_OTHER = Code(
    "address-shows-other",
    WARNING,
    "a client that sends no name sees another certificate than one that does",
    "let clients connect by the hostname, or make this certificate the server's default",
)
ROOT_OK = Code("root-ok", OK, "the chain ends in a root that this machine trusts")
ROOT_NOT_TRUSTED = Code(
    "root-not-trusted",
    WARNING,
    "the chain ends in a root that this machine does not trust, and clients may not either",
    "push the root to the clients: gatecert doctor --export-root FILE",
)
ROOT_UNKNOWN = Code(
    "root-unknown",
    WARNING,
    "the root at the end of the chain is not known here, so it cannot be exported",
    "ask the authority for it",
)

# --------------------------------------------------------------------- what is pending, what was

REQUEST_PENDING = Code(
    "request-pending",
    NOTE,
    "a request waits for its certificate; its key is kept until then",
    "gatecert import, once it is signed",
)
CLIENT_CA_OK = Code("client-ca-ok", OK, "the authorities of users' certificates are valid")
CLIENT_CA_MISSING = Code(
    "client-ca-missing",
    WARNING,
    "certificates are to be demanded from users, but no authority of theirs is known",
    "gatecert client-ca add",
)
CLIENT_CA_UNREADABLE = Code(
    "client-ca-unreadable",
    FAILURE,
    "the server cannot tell whose certificates to accept, and may not start",
    "gatecert client-ca add puts it right",
)
CLIENT_CA_EXPIRED = Code(
    "client-ca-expired",
    FAILURE,
    "users whose certificates are from this authority are locked out",
    "gatecert client-ca add a newer one, then remove this one",
)
CLIENT_CA_ENDS_SOON = Code(
    "client-ca-ends-soon",
    WARNING,
    "users whose certificates are from this authority will be locked out",
    "gatecert client-ca add a newer one before it ends",
)
CLIENT_CA_ASKED = Code(
    "client-ca-asked", OK, "the server demands certificates of exactly these authorities"
)
CLIENT_CA_NOT_ASKED = Code(
    "client-ca-not-asked",
    FAILURE,
    "the server does not demand certificates of exactly these authorities, so others get as far as"
    " the password, or users who should do not",
    "let the server read client-ca/bundle.pem (ca-cert of ocserv, ssl_client_certificate of nginx)",
)
CLIENT_CRL_ENDED = Code(
    "client-crl-ended",
    FAILURE,
    "servers differ on a revocation list that has ended: ocserv goes on using it, nginx refuses"
    " every user",
    "have the authority make a new one",
)
CLIENT_CRL_ENDS_SOON = Code(
    "client-crl-ends-soon",
    WARNING,
    "once a revocation list has ended, some servers refuse every user",
    "have the authority make a new one",
)
CLIENT_CRL_UNUSABLE = Code(
    "client-crl-unusable",
    FAILURE,
    "nobody can tell who is revoked",
    "give a revocation list of an authority that gatecert client-ca list shows",
)
KNOWN_USERS_ENDED = Code(
    "known-users-ended",
    WARNING,
    "users whose own certificates have ended are locked out",
    "give them new ones; take out of known_users who is to get in no more",
)
KNOWN_USERS_END = Code(
    "known-users-end",
    WARNING,
    "users whose own certificates end soon will be locked out",
    "give them new ones",
)
KNOWN_USERS_UNREADABLE = Code(
    "known-users-unreadable",
    WARNING,
    "nobody can tell whom a change, or an end, locks out",
    "correct client_authentication.known_users, or what is in it",
)

# What somebody has to see to, by whether its end has come.
BY_CLIENT_CA_WARNING = {
    (WarningKind.AUTHORITY, False): CLIENT_CA_ENDS_SOON,
    (WarningKind.AUTHORITY, True): CLIENT_CA_EXPIRED,
    (WarningKind.LIST, False): CLIENT_CRL_ENDS_SOON,
    (WarningKind.LIST, True): CLIENT_CRL_ENDED,
    (WarningKind.LIST_UNUSABLE, True): CLIENT_CRL_UNUSABLE,
    (WarningKind.USERS, False): KNOWN_USERS_END,
    (WarningKind.USERS, True): KNOWN_USERS_ENDED,
    (WarningKind.USERS_UNREADABLE, True): KNOWN_USERS_UNREADABLE,
}

DEPLOYMENT_OK = Code("deployment-ok", OK, "the last reload brought the certificate into service")
DEPLOYMENT_PENDING = Code(
    "deployment-pending", NOTE, "the installed certificate has not been brought into service yet"
)
DEPLOYMENT_FAILED = Code(
    "deployment-failed",
    FAILURE,
    "the certificate is there, but bringing it into service failed; it is tried again by itself,"
    " and costs no order",
    "see to install.reload and the server's own log",
)
RELOAD_MISSING = Code(
    "reload-missing",
    NOTE,
    "there is no install.reload, so systemd or the server itself has to notice new certificates",
)
ATTEMPTS_OK = Code("attempts-ok", OK, "no attempt to enrol has failed since the last success")
LIMITS_OK = Code("limits-ok", OK, "what the authority allows is not used up")
LAST_ATTEMPT_FAILED = Code(
    "last-attempt-failed",
    FAILURE,
    "the last attempt to obtain a certificate failed, and none has succeeded since",
    "put right what it says; gatecert enroll --force tries at once",
)
ATTEMPTS_FAILED = Code(
    "attempts-failed",
    WARNING,
    "attempts have failed; the next one waits, so that the authority's limits are not spent",
    "put right what failed; gatecert enroll --force tries at once",
)
BUDGET_SPENT = Code(
    "budget-spent",
    WARNING,
    "more would exceed the authority's limits, so nothing is sent before they allow it",
    "nothing, unless its limits are others: then set limits below the authority",
)
AUTHORITY_LEFT = Code(
    "authority-left",
    WARNING,
    "this authority has refused or failed, and the others are asked for a while",
    "put right what it says; gatecert enroll --force begins with the first at once",
)
ORDER_PENDING = Code(
    "order-pending", NOTE, "an order is under way and is taken up again, so nothing is lost"
)
