"""The AnyConnect client profile: the entry of a gateway in the server list of its clients.

The entry gives the dynamic-DNS name an alias that people can remember. A pair has the name that it
shares; the names of its members follow as backup servers, in the order of the configuration, the
primary first. AnyConnect, ocserv (``user-profile``) and openconnect (``--xmlconfig``) read these
elements of AnyConnectProfile.xsd.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gatecert.model import Target

NAMESPACE: Final = "http://schemas.xmlsoap.org/encoding/"
HTTPS: Final = 443


def profile(target: Target) -> bytes:
    """Return the profile of a gateway, an XML document in UTF-8."""
    root = ET.Element("AnyConnectProfile", {"xmlns": NAMESPACE})
    entry = ET.SubElement(ET.SubElement(root, "ServerList"), "HostEntry")
    ET.SubElement(entry, "HostName").text = target.profile.display_name or target.name
    ET.SubElement(entry, "HostAddress").text = _address(target, target.hostname)
    backups = [each.common_name for each in target.members if each.common_name != target.hostname]
    if backups:
        servers = ET.SubElement(entry, "BackupServerList")
        for name in backups:
            ET.SubElement(servers, "HostAddress").text = _address(target, name)
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def _address(target: Target, name: str) -> str:
    """Return the name, with the port unless it is 443."""
    port = target.profile.port
    return name if port == HTTPS else f"{name}:{port}"
