"""Every code of the doctor, in the order of the checks.

A code never changes its meaning. A problem that is certain to make an order fail has the code of
the error that would result (``gatecert.errors``), so that ``enroll``, the daemon's log, ``status``
and ``doctor`` agree.
"""

from __future__ import annotations

from datetime import timedelta

from gatecert.client_ca.bundle_warnings import WarningKind
from gatecert.doctor.finding import Code, Severity
from gatecert.model import ResolutionKind

OK, NOTE, WARNING, FAILURE = Severity.OK, Severity.NOTE, Severity.WARNING, Severity.FAILURE

SOON = timedelta(minutes=1)  # an operator may be fixing it right now
DAILY = timedelta(days=1)  # others have to change it

_SET_CLOCK_OF_HOST = "set the clock of the container's host and keep it synchronised by NTP"

# --------------------------------------------------------------------- this machine

CONFIGURATION_OK = Code("configuration-ok", OK, "the configuration is valid")
CONFIGURATION = Code(
    "configuration",
    FAILURE,
    "the configuration cannot be used; a running daemon keeps the previous one",
    "correct it; gatecert check shows the remaining errors",
)
NAMED_MISSING = Code(
    "named-missing",
    FAILURE,
    "something that the configuration names does not exist, or another user can change the program,"
    " so what needs it fails",
    "create it, correct its name, or run the command that the message names",
)
UNWORKABLE = Code(
    "configuration-unworkable",
    FAILURE,
    "the configuration is valid, but cannot work with this setting",
    "correct it as the message says; gatecert check tells when all is good",
)
CONFIGURATION_EXPOSED = Code(
    "configuration-exposed",
    FAILURE,
    "another user can change the configuration, and so the commands that gatecert runs, so it is"
    " refused; a running daemon keeps the previous one",
    "chmod go-w and chown root what the message names",
)
FILES_OK = Code("files-ok", OK, "no other user can read keys or change state")
KEY_EXPOSED = Code(
    "key-exposed",
    FAILURE,
    "another user can read a private key, or change what gatecert trusts",
    "chmod as shown; if others had access, order with a new key (gatecert enroll --force)",
)
FILES_FOREIGN = Code(
    "files-foreign",
    WARNING,
    "the owner of a file differs from that of the state directory, so gatecert may be unable to"
    " read or replace the file",
    "chown the file to the owner of the state directory",
)
STATE_OK = Code("state-ok", OK, "the state directory is writable and has free space")
STATE_UNWRITABLE = Code(
    "state-unwritable",
    FAILURE,
    "nothing can be stored, so gatecert orders nothing; the gateway keeps its certificate",
    "make the state directory writable",
    recheck_after=timedelta(seconds=30),
)
DAEMON_OK = Code("daemon-ok", OK, "the daemon is running")
DAEMON_STOPPED = Code(
    "daemon-stopped",
    WARNING,
    "gatecert renews nothing and detects no changes",
    "start the daemon: systemctl start gatecert, or gatecert run",
    fix_in_container="start the container that runs gatecert run, with this volume",
)

# --------------------------------------------------------------------- monitoring

MONITORING_OK = Code("monitoring-ok", OK, "metrics, status page and notifications work")
MONITORING_FAILS = Code(
    "monitoring-fails",
    WARNING,
    "nobody is shown or told there how the gateways are; certificates are renewed all the same",
    "correct metrics, page or notify in the configuration; gatecert tries again by itself",
)

# --------------------------------------------------------------------- authorities

AUTHORITY_OK = Code("authority-ok", OK, "this machine is online, and the CA answers")
AUTHORITY_UNREACHABLE = Code(
    "authority-unreachable",
    FAILURE,
    "the CA cannot be reached, or the answer is not an ACME directory: no order is possible",
    "check this machine's network, resolver, proxy and clock, and directory_url",
)
AUTHORITY_INSECURE = Code(
    "authority-insecure",
    FAILURE,
    "the URL of the CA is not https, so gatecert sends nothing there",
    "correct directory_url",
)
AUTHORITY = Code("authority", FAILURE, "the CA returned an error", "follow the CA's error message")
CLIENT_CERTIFICATE = Code(
    "client-certificate",
    FAILURE,
    "the CA refuses gatecert's client certificate (mutual TLS), or its files cannot be used:"
    " nothing is ordered from this CA",
    "set client_certificate and client_key to a pair that the CA accepts",
)
CLIENT_CERTIFICATE_OK = Code(
    "client-certificate-ok", OK, "the CA accepts gatecert's client certificate"
)
CLIENT_CERTIFICATE_ENDS_SOON = Code(
    "client-certificate-ends-soon",
    WARNING,
    "from its end on, the CA refuses every request, so nothing is renewed there",
    "replace the files of client_certificate and client_key; gatecert reads them again by itself",
)
CLOCK_OK = Code("clock-ok", OK, "this machine's clock agrees with the CA's")
CLOCK_UNKNOWN = Code(
    "clock-unknown", NOTE, "the CA sent no Date header, so the clocks cannot be compared"
)
CLOCK_OFF = Code(
    "clock-off",
    WARNING,
    "this machine's clock is wrong, so renewals are too early or too late",
    "set the clock and keep it synchronised by NTP (timedatectl set-ntp true)",
    fix_in_container=_SET_CLOCK_OF_HOST,
)
CLOCK_WRONG = Code(
    "clock-wrong",
    FAILURE,
    "by this machine's clock, a certificate issued now would not be valid, so none is ordered",
    "set the clock and keep it synchronised by NTP (timedatectl set-ntp true)",
    fix_in_container=_SET_CLOCK_OF_HOST,
    recheck_after=SOON,
)
TERMS_OK = Code("terms-ok", OK, "there is an ACME account, or one can be registered")
TERMS_NOT_AGREED = Code(
    "terms-not-agreed",
    FAILURE,
    "the CA registers no account without agreement to its terms of service",
    "read them, and set terms_of_service_agreed: true",
    recheck_after=SOON,
)
BINDING_MISSING = Code(
    "binding-missing",
    FAILURE,
    "the CA requires external account binding (EAB)",
    "get an EAB key from the CA, and set external_account",
    recheck_after=SOON,
)
PROFILE_OK = Code("profile-ok", OK, "the CA offers the configured profile")
PROFILE_MISSING = Code(
    "profile-missing",
    FAILURE,
    "the CA does not offer the required profile, so nothing is ordered from it",
    "set profile to one that the CA offers, or remove it",
    recheck_after=SOON,
)

# --------------------------------------------------------------------- names

REGION_OK = Code("region-ok", OK, "the gateway's region allows automatic enrolment")
REGION_EXCLUDED = Code(
    "region-excluded",
    NOTE,
    "the gateway's region is never enrolled; the gateway keeps its self-signed certificate",
    "set mode: custom and import a certificate (gatecert csr, gatecert import)",
)
NAMES_OK = Code("names-ok", OK, "the names resolve to this gateway")
NAMES_NOT_LOOKED_UP = Code(
    "names-not-looked-up",
    OK,
    "the names are not looked up (resolution: off): no order depends on where they point",
)
NAME_PARTLY_UNKNOWN = Code(
    "name-partly-unknown",
    WARNING,
    "one of A and AAAA points here, the other cannot be looked up; gatecert places orders, but the"
    " CA's lookup may fail",
    "fix the nameservers of the name: they must answer queries for A and for AAAA",
)
NAME_NOT_HERE = Code(
    "name-not-here",
    FAILURE,
    "clients and CAs that follow the name do not reach this gateway; no order is placed",
    "point the name at this gateway; if public DNS is already right, set resolver.nameservers",
)
NAME_NO_ADDRESS = Code(
    "name-no-address",
    FAILURE,
    "no client finds the gateway by its name; no order is placed",
    "add an A or AAAA record to the name",
)
NAME_UNKNOWN = Code(
    "name-unknown",
    FAILURE,
    "no client finds the gateway by its name; no order is placed",
    "create the name, or correct the hostname",
)
RESOLVER_FAILURE = Code(
    "resolver-failure",
    FAILURE,
    "the addresses of the name are unknown; gatecert places no first order, but renews",
    "fix the nameservers of the name",
)
RESOLVER_TIMEOUT = Code(
    "resolver-timeout",
    FAILURE,
    "the addresses of the name are unknown; gatecert places no first order, but renews",
    "check the network and resolver.nameservers",
)
RESOLUTION = Code(
    "resolution",
    FAILURE,
    "this host's own addresses are unknown, so gatecert cannot tell whether the names point here",
    "list the host's addresses under the gateway's addresses",
)
NAME_ELSEWHERE = Code(
    "name-elsewhere",
    WARNING,
    "no order depends on the name, but clients that follow it do not reach this gateway",
    "point the name at this gateway, or list the address under addresses",
)
BEHIND_NAT = Code(
    "behind-nat",
    NOTE,
    "this host has private addresses only, so gatecert accepts any public address of the name",
    "to have addresses compared, list the public ones under the gateway's addresses",
)
USE_CUSTOM_MODE = Code(
    "use-custom-mode",
    WARNING,
    "the hosts of a pair share the name, but the CA's validation reaches only one of them",
    "set challenge: dns-01, which works on every host, or mode: custom, so that each host has a CSR"
    " and certificate of its own",
)
CAA_OK = Code("caa-ok", OK, "CAA records let the CA issue")
CAA_UNKNOWN = Code(
    "caa-unknown",
    WARNING,
    "a CA that cannot look up CAA records must not issue (RFC 8659 section 3)",
    "fix the nameservers of the domain",
)
CAA_FORBIDS = Code(
    "caa-forbids",
    FAILURE,
    "CAA records forbid the CA to issue for the name, so nothing is ordered from it",
    "add the CA to the CAA records, or use another CA",
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

# --------------------------------------------------------------------- dynamic DNS

DDNS_OK = Code("ddns-ok", OK, "gatecert keeps the records of the hostname")
DDNS_PENDING = Code(
    "ddns-pending",
    NOTE,
    "gatecert has not published the gateway's addresses yet",
    "start the daemon, or run gatecert enroll for this gateway",
)
DDNS_NO_ADDRESS = Code(
    "ddns-no-address",
    FAILURE,
    "gatecert does not know the address to publish, so the records stay as they are",
    "connect the interface, or name another source below ddns",
)
DDNS_UNREACHABLE = Code(
    "ddns-unreachable",
    FAILURE,
    "the dynamic-DNS service cannot be updated for now; gatecert tries again",
    "check this machine's network",
)
DDNS_REFUSED = Code(
    "ddns-refused",
    FAILURE,
    "the dynamic-DNS service refuses the update; gatecert waits a day, or until the settings or"
    " secret files of ddns change",
    "correct the settings below ddns, then run gatecert enroll for this gateway",
)
DDNS_BLOCKED = Code(
    "ddns-blocked",
    FAILURE,
    "the dynamic-DNS service has blocked the hostname; gatecert waits a week, or until the settings"
    " or secret files of ddns change",
    "have it unblocked there, then run gatecert enroll for this gateway",
)
DDNS = Code(
    "ddns",
    FAILURE,
    "dynamic DNS failed, so the records stay as they are",
    "report the error with the lines of the log",
)
OF_DDNS = {
    code.name: code
    for code in (DDNS_NO_ADDRESS, DDNS_UNREACHABLE, DDNS_REFUSED, DDNS_BLOCKED, DDNS)
}

# --------------------------------------------------------------------- challenges

CHALLENGE_OK = Code("challenge-ok", OK, "gatecert can answer the CA's challenge")
CHALLENGE_UNTRIED = Code(
    "challenge-untried", NOTE, "this challenge cannot be tested before an order"
)
CHALLENGE_PASSED_OVER = Code(
    "challenge-passed-over",
    WARNING,
    "gatecert cannot answer this challenge, so it uses another one",
    "correct the settings of the challenge, or remove it from the gateway's challenge",
)
RECORD_NOT_VISIBLE = Code(
    "record-not-visible",
    FAILURE,
    "a nameserver does not return the record that the CA will query; nothing is ordered",
    "publish the record shown (gatecert dns-record prints it) at every nameserver",
    recheck_after=SOON,
)
CHALLENGE_NOT_FETCHED = Code(
    "challenge-not-fetched",
    WARNING,
    "gatecert can present a challenge, but could not fetch it from here; if the CA cannot either,"
    " validation fails",
    "check what answers there: a firewall, a proxy, another web server",
)
ADDRESS_IN_USE = Code(
    "address-in-use",
    FAILURE,
    "another program listens on the port that the CA connects to; nothing is ordered",
    "stop it, listen on another address, or use another challenge",
    recheck_after=SOON,
)
LISTENERS_OK = Code(
    "listeners-ok", OK, "no other user of this machine can answer the CA's challenges"
)
LISTENER_EXPOSED = Code(
    "listener-exposed",
    FAILURE,
    "while the daemon does not run, any user of this machine can bind that port, answer the CA,"
    " and obtain a trusted certificate for the gateway's name",
    "listen on a loopback address with a port below 1024, such as 127.0.0.1:888, and forward to"
    " it, or set challenges.http-01.webroot",
)
LISTENER_UNPRIVILEGED = Code(
    "listener-unprivileged",
    NOTE,
    "while the daemon does not run, any user of this machine can bind that port; that is a risk if"
    " the CA's connections are forwarded to it",
    "forward to a loopback address with a port below 1024, such as 127.0.0.1:888",
)
CHALLENGE = Code(
    "challenge",
    FAILURE,
    "gatecert cannot answer the CA's challenge; nothing is ordered",
    "correct the settings of the challenge",
    recheck_after=SOON,
)

# --------------------------------------------------------------------- the certificate

CERTIFICATE_OK = Code("certificate-ok", OK, "the gateway has a valid certificate")
CERTIFICATE_MISSING = Code(
    "certificate-missing",
    FAILURE,
    "the gateway has nothing to serve, not even a bootstrap certificate",
    "start the daemon, or run gatecert enroll",
)
CERTIFICATE_EXPIRED = Code(
    "certificate-expired",
    FAILURE,
    "clients reject the certificate",
    "fix the other failures of this gateway; gatecert enroll renews at once",
)
CERTIFICATE_ENDS_SOON = Code(
    "certificate-ends-soon",
    WARNING,
    "the certificate expires soon and has not been replaced yet",
    "fix the other problems of this gateway",
)
CERTIFICATE_NAMES = Code(
    "certificate-names",
    WARNING,
    "clients that use a name which is not in the certificate reject it",
    "no action needed for an automatic gateway; otherwise gatecert csr and gatecert import",
)
REVOCATION_OK = Code("revocation-ok", OK, "the CA's CRLs do not list the certificate")
REVOCATION_UNKNOWN = Code(
    "revocation-unknown",
    WARNING,
    "the revocation status is unknown, so a revoked certificate would not be replaced at once",
    "allow http (port 80) from this machine to the host of the CRL",
)
CERTIFICATE_REVOKED = Code(
    "certificate-revoked",
    FAILURE,
    "clients that check revocation reject the certificate",
    "an automatic gateway replaces it by itself, unless another failure is shown; otherwise"
    " gatecert csr --renew and gatecert import",
)
BOOTSTRAP_YOUNG = Code(
    "bootstrap-young",
    NOTE,
    "the gateway serves the self-signed bootstrap certificate until the first one is issued, which"
    " takes minutes",
)
BOOTSTRAP_STILL = Code(
    "bootstrap-still",
    FAILURE,
    "clients see an untrusted certificate although a trusted one is overdue",
    "fix the first other failure of this gateway",
)
BOOTSTRAP_UNTIL_IMPORT = Code(
    "bootstrap-until-import",
    WARNING,
    "clients see an untrusted certificate until you import a trusted one",
    "gatecert csr, have it signed, gatecert import",
)

# --------------------------------------------------------------------- what is served

SERVED_OK = Code("served-ok", OK, "clients that connect by name see the installed certificate")
NOT_VERIFIED = Code(
    "not-verified",
    WARNING,
    "gatecert cannot prove that the certificate is served",
    "list every listener under install.verify",
)
NOT_SERVED = Code(
    "not-served",
    FAILURE,
    "clients do not see the installed certificate",
    "check that the server reads live/, and that install.reload makes it read the files again",
)
MIXED = Code(
    "mixed",
    FAILURE,
    "some clients see the installed certificate, others another one",
    "stop the server that still serves the other certificate; no reload reaches it",
)
CHAIN_INCOMPLETE = Code(
    "chain-incomplete",
    FAILURE,
    "clients that do not have the intermediate certificates reject the chain",
    "let the server read live/fullchain.pem instead of live/cert.pem",
)
PROOF_DENIED = Code(
    "proof-denied",
    FAILURE,
    "install.verify_command does not confirm that the installed certificate is served",
    "read its output; check that the server reads live/, and that install.reload makes it read the"
    " files again",
)
LISTENER_SILENT = Code(
    "listener-silent",
    FAILURE,
    "no client can connect there",
    "start the gateway's server, or correct install.verify",
)
ADDRESS_OK = Code("address-ok", OK, "clients can connect by IP address as well")
CONNECT_BY_NAME = Code(
    "connect-by-name",
    NOTE,
    "a client that connects by IP address always gets a certificate error, because the certificate"
    " is for the name",
    "let clients connect by hostname",
)
ADDRESS_SHOWS_OTHER = Code(
    "address-shows-other",
    WARNING,
    "a client that sends no server name (SNI) sees another certificate",
    "let clients connect by hostname, or make this certificate the server's default",
)
ROOT_OK = Code("root-ok", OK, "the chain ends in a root that this machine trusts")
ROOT_NOT_TRUSTED = Code(
    "root-not-trusted",
    WARNING,
    "the chain ends in a root that this machine does not trust, and clients may not either",
    "distribute the root to the clients: gatecert doctor --export-root FILE",
)
ROOT_UNKNOWN = Code(
    "root-unknown",
    WARNING,
    "the root of the chain is not stored here, so it cannot be exported",
    "get it from the CA",
)

# --------------------------------------------------------------------- CSRs and client CAs

REQUEST_PENDING = Code(
    "request-pending",
    NOTE,
    "a CSR waits for its certificate; its key is kept until then",
    "gatecert import, once the CSR is signed",
)
CLIENT_CA_OK = Code("client-ca-ok", OK, "the client CAs are valid")
CLIENT_CA_MISSING = Code(
    "client-ca-missing",
    WARNING,
    "no client is accepted until there is a client CA",
    "gatecert client-ca add",
)
CLIENT_CA_UNREADABLE = Code(
    "client-ca-unreadable",
    FAILURE,
    "the server cannot read the client CAs, and may not start",
    "gatecert client-ca add writes the file again",
)
CLIENT_CA_EXPIRED = Code(
    "client-ca-expired",
    FAILURE,
    "clients with certificates of this CA are locked out",
    "gatecert client-ca add a newer one, then remove this one",
)
CLIENT_CA_ENDS_SOON = Code(
    "client-ca-ends-soon",
    WARNING,
    "clients with certificates of this CA will be locked out",
    "gatecert client-ca add a newer one before this one expires",
)
CLIENT_CA_ASKED = Code(
    "client-ca-asked", OK, "the server asks for certificates of exactly these client CAs"
)
CLIENT_CA_NOT_ASKED = Code(
    "client-ca-not-asked",
    FAILURE,
    "the server does not ask for certificates of exactly these client CAs, so it lets others try a"
    " password, or locks clients out",
    "let the server read client-ca/bundle.pem (ca-cert of ocserv, ssl_client_certificate of nginx)",
)
CLIENT_CRL_ENDED = Code(
    "client-crl-ended",
    FAILURE,
    "servers treat an expired CRL differently: ocserv goes on using it, nginx refuses every client",
    "let the client CA issue a new CRL",
)
CLIENT_CRL_ENDS_SOON = Code(
    "client-crl-ends-soon",
    WARNING,
    "once a CRL has expired, some servers refuse every client",
    "let the client CA issue a new CRL",
)
CLIENT_CRL_UNUSABLE = Code(
    "client-crl-unusable",
    FAILURE,
    "gatecert cannot tell which client certificates are revoked",
    "configure a CRL of a CA that gatecert client-ca list shows",
)
KNOWN_USERS_ENDED = Code(
    "known-users-ended",
    WARNING,
    "users whose own certificates have expired are locked out",
    "issue new certificates; remove from known_users who no longer needs access",
)
KNOWN_USERS_END = Code(
    "known-users-end",
    WARNING,
    "users whose own certificates expire soon will be locked out",
    "issue new certificates",
)
KNOWN_USERS_UNREADABLE = Code(
    "known-users-unreadable",
    WARNING,
    "gatecert cannot tell whom a change or an expiry locks out",
    "correct client_authentication.known_users, or the files there",
)

# By kind, and whether the end has come.
BY_CLIENT_CA_WARNING = {
    (WarningKind.CLIENT_CA, False): CLIENT_CA_ENDS_SOON,
    (WarningKind.CLIENT_CA, True): CLIENT_CA_EXPIRED,
    (WarningKind.CRL, False): CLIENT_CRL_ENDS_SOON,
    (WarningKind.CRL, True): CLIENT_CRL_ENDED,
    (WarningKind.CRL_UNUSABLE, True): CLIENT_CRL_UNUSABLE,
    (WarningKind.USERS, False): KNOWN_USERS_END,
    (WarningKind.USERS, True): KNOWN_USERS_ENDED,
    (WarningKind.USERS_UNREADABLE, True): KNOWN_USERS_UNREADABLE,
}

# --------------------------------------------------------------------- deployment and attempts

DEPLOYMENT_OK = Code("deployment-ok", OK, "the last reload put the certificate into service")
DEPLOYMENT_PENDING = Code(
    "deployment-pending", NOTE, "the installed certificate is not in service yet"
)
DEPLOYMENT_FAILED = Code(
    "deployment-failed",
    FAILURE,
    "the certificate is installed, but could not be put into service; gatecert tries again, at no"
    " cost to rate limits",
    "check install.reload and the log of the server",
)
RELOAD_MISSING = Code(
    "reload-missing",
    NOTE,
    "systemd or the server itself must detect new certificates",
)
RELOAD_UNIT_OK = Code("reload-unit-ok", OK, "systemd reloads the server after a renewal")
RELOAD_UNIT_INCOMPLETE = Code(
    "reload-unit-incomplete",
    FAILURE,
    "systemd does not reload the server, which keeps its certificate after a renewal",
    "complete the reload unit of systemd (docs/systemd.md)",
)
RELOAD_UNIT_FAILED = Code(
    "reload-unit-failed",
    WARNING,
    "the last reload by systemd failed; the server may keep its certificate after a renewal",
    "see the journal of the reload unit",
)
ATTEMPTS_OK = Code("attempts-ok", OK, "no attempt to enrol has failed since the last success")
LIMITS_OK = Code("limits-ok", OK, "the CA's rate limits do not delay the next order")
LAST_ATTEMPT_FAILED = Code(
    "last-attempt-failed",
    FAILURE,
    "the last attempt to obtain a certificate failed, and none has succeeded since",
    "fix the cause shown; gatecert enroll --force retries at once",
)
ATTEMPTS_FAILED = Code(
    "attempts-failed",
    WARNING,
    "attempts have failed; the next one waits, to save the CA's rate limits",
    "fix the cause; gatecert enroll --force retries at once",
)
BUDGET_SPENT = Code(
    "budget-spent",
    WARNING,
    "another request would exceed the CA's rate limits, so gatecert waits until they allow it",
    "no action needed; set `limits` if this CA's differ",
)
AUTHORITY_LEFT = Code(
    "authority-left",
    WARNING,
    "this CA refused or failed, so gatecert uses the other CAs for a while",
    "fix the cause shown; gatecert enroll --force starts with the first CA at once",
)
ORDER_PENDING = Code("order-pending", NOTE, "an order is in progress, and gatecert resumes it")
