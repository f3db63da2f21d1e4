"""The contents of another client's directory, the same for every client.

Readers return what the files say, without judging it: whether a certificate can be adopted is
decided in ``translation``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """An ACME account.

    Attributes:
        id: What certificates name it by: its directory, or its URL.
        directory_url: The directory of its CA; empty if the client does not record it.
        server: The CA's host as the client names it.
        url: Account URL; empty if the client does not record it.
        contact: Mail addresses, without ``mailto:``.
        private_key: Account key, PEM (PKCS #8).
        path: The file of its key.
        key_id: Key identifier of the external account binding; empty without one.
        hmac_key: Its HMAC key, base64url.
    """

    id: str
    directory_url: str
    server: str
    url: str
    contact: tuple[str, ...]
    private_key: bytes = field(repr=False)
    path: Path
    key_id: str = ""
    hmac_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class FoundProvider:
    """A DNS provider in gatecert's terms.

    Attributes:
        name: As in ``challenges.dns-01.provider``.
        options: Options that are not secret.
        secrets: Secret options.
        server: rfc2136: the primary nameserver.
        zone: The zone of the records; empty to find it.
        tsig_name: rfc2136: name of the key; empty without a key.
        tsig_algorithm: rfc2136: its algorithm, as gatecert writes it.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    server: str = ""
    zone: str = ""
    tsig_name: str = ""
    tsig_algorithm: str = ""


@dataclass(frozen=True, slots=True)
class FoundChallenge:
    """The client's validation of a certificate's names.

    Attributes:
        method: How the client calls it, such as ``dns_cf``; empty if it is not recorded.
        kind: ``http-01``, ``tls-alpn-01`` or ``dns-01``; empty if it is not known.
        listen: Addresses on which the client listens itself; empty for gatecert's default.
        webroot: The directory that a web server serves.
        provider: The DNS provider; None if there is no equal, or the kind is another.
        lack: What has no equal, and what to set instead; empty if nothing is missing.
        note: What the operator should know, although the challenge has an equal.
    """

    method: str = ""
    kind: str = ""
    listen: tuple[str, ...] = ()
    webroot: Path | None = None
    provider: FoundProvider | None = None
    lack: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class FoundHook:
    """A command that the client runs.

    Attributes:
        key: The setting that contains it.
        command: Shell text.
    """

    key: str
    command: str


@dataclass(frozen=True, slots=True)
class FoundCertificate:
    """A certificate with its key and the settings of its renewal.

    Attributes:
        name: How the client calls it.
        path: Its directory or file, for messages.
        private_key: PEM; may be in a format that gatecert does not write.
        fullchain: The certificate and its issuers, PEM.
        directory_url: The directory of its CA; empty if the client does not record it.
        server: The CA's host as the client names it.
        account: `FoundAccount.id` of its account; empty if it is not recorded.
        names: The names that the client requests; empty if they are not recorded.
        installed: Where the client copied it: file by contents, such as ``fullchain``.
        files: The client's own files that servers may read, by the name of gatecert's file.
        reuse_key: Whether renewals keep the key.
        profile: ACME profile; empty for the CA's default.
        is_profile_required: Whether the CA must support the profile.
        preferred_root: Common name of the root that is preferred; empty for none.
        notes: What the operator should know.
    """

    name: str
    path: Path
    private_key: bytes = field(repr=False)
    fullchain: bytes
    directory_url: str
    server: str = ""
    account: str = ""
    challenge: FoundChallenge = FoundChallenge()
    hooks: tuple[FoundHook, ...] = ()
    names: tuple[str, ...] = ()
    installed: Mapping[str, Path] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    reuse_key: bool = False
    profile: str = ""
    is_profile_required: bool = False
    preferred_root: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A certificate or account that cannot be adopted.

    Attributes:
        name: How the client calls it.
        reason: Why, one line.
        fix: What to do, one line; empty if nothing can be done.
    """

    name: str
    reason: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class FoundState:
    """The state of a client.

    Attributes:
        client: The client's name.
        directory: Its directory.
        refused: What could not be read.
        ca_bundle: File with the roots for HTTPS connections to the CA; None for the system's.
        switch_off: Commands that stop its renewals.
        or_else: Other ways to stop them, one sentence each.
        go_back: How to start them again.
        notes: What the operator should know.
    """

    client: str
    directory: Path
    accounts: tuple[FoundAccount, ...]
    certificates: tuple[FoundCertificate, ...]
    refused: tuple[Refusal, ...] = ()
    ca_bundle: Path | None = None
    switch_off: tuple[str, ...] = ()
    or_else: tuple[str, ...] = ()
    go_back: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
