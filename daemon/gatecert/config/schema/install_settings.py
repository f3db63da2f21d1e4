"""Settings of the deployment of a certificate."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from gatecert.config.addresses import TlsServer
from gatecert.config.paths import AnyFile, Command, Permissions, SecretFile
from gatecert.config.schema.base import Settings, choice
from gatecert.config.values import Duration, KeptVersions, Text
from gatecert.model import FileContents

REFUSED_CONTENTS = {
    "pfx": "write pkcs12, which is the same",
    "p12": "write pkcs12, which is the same",
    "pem": "write its contents: fullchain, privkey, or combined for both in one file",
    "der": "write its contents: cert-der or privkey-der",
    "key": "write privkey",
    "jks": "write pkcs12, which Java reads as well",
}


class CopySettings(Settings):
    """A file that a server requires, in addition to the live directory."""

    path: AnyFile = Field(
        description="Path of the file. Its directory exists, and no group may write to it if "
        "gatecert runs as root (docs/systemd.md)."
    )
    contents: Annotated[FileContents, *choice(FileContents, REFUSED_CONTENTS)] = Field(
        description="privkey, cert, chain, fullchain, or combined (fullchain and then privkey), in "
        "PEM; privkey-der or cert-der; pkcs12 (privkey, cert and chain)."
    )
    owner: Text | None = Field(
        default=None, description="Owner of the file. Default: the user that gatecert runs as."
    )
    group: Text | None = Field(
        default=None, description="Group of the file. Default: the owner's group."
    )
    mode: Permissions = Field(default=0o600, description="Permission bits, in octal.")
    password_file: SecretFile | None = Field(
        default=None,
        description="File with the password of a pkcs12 file, or `credential:NAME`.",
    )


class SharedInstallSettings(Settings):
    """Deployment of a certificate, as far as gateways may share it."""

    reload: Command = Field(
        default=(),
        description="Command that makes the server reload its files, as a list of arguments; run "
        "without a shell. Default: none; systemd reloads the server (docs/systemd.md), or the "
        "server notices changes by itself.",
    )
    reload_timeout: Duration = Field(
        default=timedelta(seconds=30), description="Timeout of the command; it is then killed."
    )
    verify: tuple[TlsServer, ...] = Field(
        default=(),
        description="Every listener that must serve the certificate; default port 443. Every "
        "address of a host is checked. {address: host:port, starttls: smtp, proxy_protocol: 2, "
        "server_name: name} sets options. Default: no check.",
    )
    verify_command: Command = Field(
        default=(),
        description="Command with exit status 0 if the certificate is served, for servers without "
        "plain TLS. It is repeated and watched like the listeners. Default: none.",
    )
    verify_timeout: Duration = Field(
        default=timedelta(seconds=15), description="How long they may take to serve it."
    )
    watch: Duration = Field(
        default=timedelta(minutes=5),
        description="How often to check that they still serve it, each gateway at its own "
        "moment of that interval.",
    )
    key_group: Text | None = Field(
        default=None,
        description="Group that may read the private key (mode 0640). Default: none.",
    )
    keep_versions: KeptVersions = Field(
        default=5, description="Number of versions kept on disk, the live one included."
    )


class InstallSettings(SharedInstallSettings):
    """Deployment of a certificate."""

    copy_to: tuple[CopySettings, ...] = Field(
        default=(), description="Further files that a server requires."
    )
