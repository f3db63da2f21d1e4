"""DNS plug-ins of other clients, and the dns-lexicon provider that is equal.

A plug-in has one or more sets of credentials: for each option of the provider, the setting that the
client stores. The first set that is complete is used.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Equal(NamedTuple):
    """The provider that is equal to a plug-in.

    Attributes:
        provider: Its name in dns-lexicon.
        credentials: Sets of secret options, each with the setting of the plug-in.
        options: Options that are not secret, likewise; left out where the setting is.
    """

    provider: str
    credentials: tuple[Mapping[str, str], ...]
    options: Mapping[str, str] = MappingProxyType({})


def _token(provider: str, setting: str) -> Equal:
    return Equal(provider, ({"auth_token": setting},))


CERTBOT: Final[Mapping[str, Equal]] = {
    "cloudflare": Equal(
        "cloudflare",
        ({"auth_token": "api_token"}, {"auth_token": "api_key", "auth_username": "email"}),
    ),
    "cloudns": Equal("cloudns", ({"auth_id": "auth_id", "auth_password": "auth_password"},)),
    "desec": _token("desec", "token"),
    "digitalocean": _token("digitalocean", "token"),
    "dnsimple": _token("dnsimple", "token"),
    "dnsmadeeasy": Equal(
        "dnsmadeeasy", ({"auth_username": "api_key", "auth_token": "secret_key"},)
    ),
    "duckdns": _token("duckdns", "token"),
    "dynu": _token("dynu", "auth_token"),
    "gandi": Equal("gandi", ({"auth_token": "token"}, {"auth_token": "api_key"})),
    "gehirn": Equal("gehirn", ({"auth_token": "api_token", "auth_secret": "api_secret"},)),
    "godaddy": Equal("godaddy", ({"auth_key": "key", "auth_secret": "secret"},)),
    "hetzner": _token("hetzner", "api_token"),
    "infomaniak": _token("infomaniak", "token"),
    "inwx": Equal("inwx", ({"auth_username": "username", "auth_password": "password"},)),
    "linode": _token("linode4", "key"),
    "luadns": Equal("luadns", ({"auth_username": "email", "auth_token": "token"},)),
    "namecheap": Equal("namecheap", ({"auth_username": "username", "auth_token": "api_key"},)),
    "netcup": Equal(
        "netcup",
        (
            {
                "auth_customer_id": "customer_id",
                "auth_api_key": "api_key",
                "auth_api_password": "api_password",
            },
        ),
    ),
    "njalla": _token("njalla", "token"),
    "nsone": _token("nsone", "api_key"),
    "ovh": Equal(
        "ovh",
        (
            {
                "auth_application_key": "application_key",
                "auth_application_secret": "application_secret",
                "auth_consumer_key": "consumer_key",
            },
        ),
        {"auth_entrypoint": "endpoint"},
    ),
    "porkbun": Equal("porkbun", ({"auth_key": "key", "auth_secret": "secret"},)),
    "sakuracloud": Equal(
        "sakuracloud", ({"auth_token": "api_token", "auth_secret": "api_secret"},)
    ),
    "vultr": _token("vultr", "key"),
}
"""certbot's plug-ins ``dns-NAME``; settings without the prefix ``dns_NAME_``."""

ACME_SH: Final[Mapping[str, Equal]] = {
    "ali": Equal("aliyun", ({"auth_key_id": "Ali_Key", "auth_secret": "Ali_Secret"},)),
    "aws": Equal(
        "route53",
        (
            {
                "auth_access_key": "AWS_ACCESS_KEY_ID",
                "auth_access_secret": "AWS_SECRET_ACCESS_KEY",
            },
        ),
    ),
    "cf": Equal(
        "cloudflare",
        ({"auth_token": "CF_Token"}, {"auth_token": "CF_Key", "auth_username": "CF_Email"}),
        {"zone_id": "CF_Zone_ID"},
    ),
    "cloudns": Equal(
        "cloudns",
        (
            {"auth_id": "CLOUDNS_AUTH_ID", "auth_password": "CLOUDNS_AUTH_PASSWORD"},
            {"auth_subid": "CLOUDNS_SUB_AUTH_ID", "auth_password": "CLOUDNS_AUTH_PASSWORD"},
        ),
    ),
    "desec": _token("desec", "DEDYN_TOKEN"),
    "dgon": _token("digitalocean", "DO_API_KEY"),
    "dnsimple": _token("dnsimple", "DNSimple_OAUTH_TOKEN"),
    "dp": Equal("dnspod", ({"auth_username": "DP_Id", "auth_token": "DP_Key"},)),
    "duckdns": _token("duckdns", "DuckDNS_Token"),
    "exoscale": Equal(
        "exoscale", ({"auth_key": "EXOSCALE_API_KEY", "auth_secret": "EXOSCALE_SECRET_KEY"},)
    ),
    "gandi_livedns": Equal(
        "gandi", ({"auth_token": "GANDI_LIVEDNS_TOKEN"}, {"auth_token": "GANDI_LIVEDNS_KEY"})
    ),
    "gd": Equal("godaddy", ({"auth_key": "GD_Key", "auth_secret": "GD_Secret"},)),
    "he": Equal("henet", ({"auth_username": "HE_Username", "auth_password": "HE_Password"},)),
    "hetzner": _token("hetzner", "HETZNER_Token"),
    "infomaniak": _token("infomaniak", "INFOMANIAK_API_TOKEN"),
    "inwx": Equal("inwx", ({"auth_username": "INWX_User", "auth_password": "INWX_Password"},)),
    "linode_v4": _token("linode4", "LINODE_V4_API_KEY"),
    "lua": Equal("luadns", ({"auth_username": "LUA_Email", "auth_token": "LUA_Key"},)),
    "me": Equal("dnsmadeeasy", ({"auth_username": "ME_Key", "auth_token": "ME_Secret"},)),
    "namecheap": Equal(
        "namecheap",
        ({"auth_username": "NAMECHEAP_USERNAME", "auth_token": "NAMECHEAP_API_KEY"},),
        {"auth_client_ip": "NAMECHEAP_SOURCEIP"},
    ),
    "namesilo": _token("namesilo", "Namesilo_Key"),
    "netcup": Equal(
        "netcup",
        (
            {
                "auth_customer_id": "NC_CID",
                "auth_api_key": "NC_Apikey",
                "auth_api_password": "NC_Apipw",
            },
        ),
    ),
    "nsone": _token("nsone", "NS1_Key"),
    "ovh": Equal(
        "ovh",
        (
            {
                "auth_application_key": "OVH_AK",
                "auth_application_secret": "OVH_AS",
                "auth_consumer_key": "OVH_CK",
            },
        ),
        {"auth_entrypoint": "OVH_END_POINT"},
    ),
    "pdns": Equal(
        "powerdns",
        ({"auth_token": "PDNS_Token"},),
        {"pdns_server": "PDNS_Url", "pdns_server_id": "PDNS_ServerId"},
    ),
    "porkbun": Equal(
        "porkbun", ({"auth_key": "PORKBUN_API_KEY", "auth_secret": "PORKBUN_SECRET_API_KEY"},)
    ),
    "vultr": _token("vultr", "VULTR_API_KEY"),
}
"""acme.sh's ``dns_NAME``, with the variables that it saves."""
