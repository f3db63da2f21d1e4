"""The settings of the configuration file, as frozen models.

The models check single keys. ``config.consistency`` checks across keys, so that both kinds of error
can be reported at once.
"""

from gatecert.config.schema.authority import (
    AuthoritySettings,
    ExternalAccountSettings,
    MacAlgorithm,
    ProfileChoice,
)
from gatecert.config.schema.base import Settings
from gatecert.config.schema.challenge import (
    ChallengeKind,
    ChallengeSettings,
    Dns01Settings,
    DnsPersist01Settings,
    Http01Settings,
    Propagation,
    ResolverSettings,
    TlsAlpn01Settings,
)
from gatecert.config.schema.configuration import Configuration
from gatecert.config.schema.ddns import (
    AddressSourceSettings,
    DdnsSettings,
    DnsSourceSettings,
)
from gatecert.config.schema.dns_provider import (
    DnsProviderSettings,
    TsigAlgorithm,
    TsigSettings,
)
from gatecert.config.schema.fleet_settings import DatabaseSettings, FleetSettings, IssueSettings
from gatecert.config.schema.gateway import (
    ClientAuthenticationSettings,
    GatewaySettings,
    KeySettings,
    MemberSettings,
    ProfileSettings,
    RenewalSettings,
    SharedGatewaySettings,
    SubjectSettings,
)
from gatecert.config.schema.install_settings import CopySettings, InstallSettings
from gatecert.config.schema.monitoring_settings import (
    MetricsSettings,
    PageSettings,
    ReceiverSettings,
)
from gatecert.config.schema.rate_limit_settings import LimitSettings
from gatecert.config.schema.worker import WorkerSettings

__all__ = [
    "AddressSourceSettings",
    "AuthoritySettings",
    "ChallengeKind",
    "ChallengeSettings",
    "ClientAuthenticationSettings",
    "Configuration",
    "CopySettings",
    "DatabaseSettings",
    "DdnsSettings",
    "Dns01Settings",
    "DnsPersist01Settings",
    "DnsProviderSettings",
    "DnsSourceSettings",
    "ExternalAccountSettings",
    "FleetSettings",
    "GatewaySettings",
    "Http01Settings",
    "InstallSettings",
    "IssueSettings",
    "KeySettings",
    "LimitSettings",
    "MacAlgorithm",
    "MemberSettings",
    "MetricsSettings",
    "PageSettings",
    "ProfileChoice",
    "ProfileSettings",
    "Propagation",
    "ReceiverSettings",
    "RenewalSettings",
    "ResolverSettings",
    "Settings",
    "SharedGatewaySettings",
    "SubjectSettings",
    "TlsAlpn01Settings",
    "TsigAlgorithm",
    "TsigSettings",
    "WorkerSettings",
]
