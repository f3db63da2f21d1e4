"""The values that stages pass on, and those that persist between passes.

::

    Config → Target → Due → Resolution → IssuedChain → deployed → Verdict → Outcome
             (which)  (when)  (where)       (what)     (swapped)  (served?)  (reported, stored)

Every class is a frozen dataclass. Every instant is an aware UTC ``datetime``, every duration a
``timedelta``. PEM is ``bytes``; private keys never appear in a repr.

The rest of gatecert imports all of them from here.
"""

from gatecert.model.certificate import CertificateSummary, ClientCA, Origin
from gatecert.model.due_action import Action, Due, RenewalInfo
from gatecert.model.dynamic_dns import AddressRecords, DdnsProblem, DdnsState, RecordKind
from gatecert.model.identifier import Identifier, IdentifierType
from gatecert.model.installation import (
    Deployment,
    FailureKind,
    ListenerOutage,
    Probe,
    Verdict,
    Version,
)
from gatecert.model.limits import CountedRequest, Limits, RateLimit, RequestKind, UsageChange
from gatecert.model.order import (
    Account,
    IssuedChain,
    KeyRequest,
    PendingOrder,
    PublishedRecord,
    TextRecord,
)
from gatecert.model.outcome import Message, Outcome, Progress
from gatecert.model.resolution import NameResolution, Resolution, ResolutionKind
from gatecert.model.revocation import RevocationReason, RevocationState, StoredList
from gatecert.model.state import (
    AuthorityFailure,
    ChallengeFailure,
    DeferredAuthority,
    ExpiryNotice,
    GatewayState,
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
    "CountedRequest",
    "DdnsProblem",
    "DdnsState",
    "DeferredAuthority",
    "Deployment",
    "Due",
    "Endpoint",
    "ExpiryNotice",
    "FailureKind",
    "FileContents",
    "FileCopy",
    "GatewayState",
    "Identifier",
    "IdentifierType",
    "InstallPlan",
    "IssuedChain",
    "KeyPolicy",
    "KeyRequest",
    "KeyType",
    "Limits",
    "ListenerOutage",
    "Member",
    "Message",
    "Mode",
    "NameResolution",
    "OrderBlocker",
    "Origin",
    "Outcome",
    "OutcomeKind",
    "PendingOrder",
    "Probe",
    "Progress",
    "PublishedRecord",
    "RateLimit",
    "RecordKind",
    "RenewalInfo",
    "RenewalPolicy",
    "RequestKind",
    "Resolution",
    "ResolutionKind",
    "RevocationReason",
    "RevocationState",
    "Stage",
    "StoredList",
    "Target",
    "TextRecord",
    "UsageChange",
    "Verdict",
    "Version",
    "Wait",
    "repr_of_listener",
]
