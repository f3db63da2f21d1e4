"""The values that stages pass on, and those that persist between passes.

::

    Config → Target → Due → Resolution → IssuedChain → deployed → Verdict → Outcome
             (which)  (when)  (where)       (what)     (swapped)  (served?)  (reported, stored)

Every class is a frozen dataclass. Every instant is an aware UTC ``datetime``, every duration a
``timedelta``. PEM is ``bytes``; private keys never appear in a repr.

The rest of gatecert imports all of them from here, except those of ``model.fleet``: without a fleet
nobody needs them.
"""

from gatecert.model.certificate import CertificateSummary, ClientCA, Origin
from gatecert.model.due_action import Action, Due, RenewalInfo
from gatecert.model.dynamic_dns import AddressRecords, DdnsProblem, DdnsState, RecordKind
from gatecert.model.identifier import Identifier, IdentifierType
from gatecert.model.installation import (
    Deployment,
    DeploymentOutcome,
    FailureKind,
    ListenerOutage,
    Probe,
    Verdict,
    Version,
)
from gatecert.model.limits import (
    IN_TRANSIT,
    CountedBy,
    CountedRequest,
    Expenses,
    GroupLimit,
    GroupUse,
    LimitReached,
    Limits,
    OrderHeld,
    RateLimit,
    RequestGroup,
    RequestKind,
    UsageChange,
)
from gatecert.model.monitoring import (
    Event,
    MetricsPlan,
    MonitoringPlan,
    PagePlan,
    ReceiverKind,
    ReceiverPlan,
    Severity,
    WebAccess,
)
from gatecert.model.order import (
    Account,
    IssuedChain,
    KeyRequest,
    PendingOrder,
    PublishedRecord,
    TextRecord,
)
from gatecert.model.outcome import Message, Outcome, PastOutcome, Progress, with_outcome
from gatecert.model.resolution import NameResolution, Resolution, ResolutionKind
from gatecert.model.revocation import RevocationReason, RevocationState, StoredList
from gatecert.model.roll_out import HostReport, RollOut, RollOutWait
from gatecert.model.state import (
    AuthorityFailure,
    ChallengeFailure,
    DatabaseProblem,
    DeferredAuthority,
    EnrolmentState,
    ExpiryNotice,
    GatewayState,
    HostState,
    OrderBlocker,
)
from gatecert.model.target import (
    ChallengeChoice,
    ClientAuthentication,
    ClientProfile,
    Endpoint,
    FileContents,
    FileCopy,
    InstallPlan,
    KeyPolicy,
    KeyType,
    Member,
    Mode,
    RenewalPolicy,
    Target,
    repr_of_listener,
)
from gatecert.outcome_kinds import OutcomeKind, Stage, Wait

__all__ = [
    "IN_TRANSIT",
    "Account",
    "Action",
    "AddressRecords",
    "AuthorityFailure",
    "CertificateSummary",
    "ChallengeChoice",
    "ChallengeFailure",
    "ClientAuthentication",
    "ClientCA",
    "ClientProfile",
    "CountedBy",
    "CountedRequest",
    "DatabaseProblem",
    "DdnsProblem",
    "DdnsState",
    "DeferredAuthority",
    "Deployment",
    "DeploymentOutcome",
    "Due",
    "Endpoint",
    "EnrolmentState",
    "Event",
    "Expenses",
    "ExpiryNotice",
    "FailureKind",
    "FileContents",
    "FileCopy",
    "GatewayState",
    "GroupLimit",
    "GroupUse",
    "HostReport",
    "HostState",
    "Identifier",
    "IdentifierType",
    "InstallPlan",
    "IssuedChain",
    "KeyPolicy",
    "KeyRequest",
    "KeyType",
    "LimitReached",
    "Limits",
    "ListenerOutage",
    "Member",
    "Message",
    "MetricsPlan",
    "Mode",
    "MonitoringPlan",
    "NameResolution",
    "OrderBlocker",
    "OrderHeld",
    "Origin",
    "Outcome",
    "OutcomeKind",
    "PagePlan",
    "PastOutcome",
    "PendingOrder",
    "Probe",
    "Progress",
    "PublishedRecord",
    "RateLimit",
    "ReceiverKind",
    "ReceiverPlan",
    "RecordKind",
    "RenewalInfo",
    "RenewalPolicy",
    "RequestGroup",
    "RequestKind",
    "Resolution",
    "ResolutionKind",
    "RevocationReason",
    "RevocationState",
    "RollOut",
    "RollOutWait",
    "Severity",
    "Stage",
    "StoredList",
    "Target",
    "TextRecord",
    "UsageChange",
    "Verdict",
    "Version",
    "Wait",
    "WebAccess",
    "repr_of_listener",
    "with_outcome",
]
