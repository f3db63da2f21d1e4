"""The settings that gateways share: ``defaults``, merged into each gateway.

Mappings are merged; lists and single values of the gateway replace those of ``defaults``. A key
without a value counts as not written, and ``null`` removes the value of ``defaults``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gatecert.config.document import Document
    from gatecert.config.tree import Node, Plain

DEFAULTS: Final = "defaults"


def with_defaults(document: Document, shared: Plain) -> dict[str, Plain]:
    """Return the gateways of a document, each with what it does not say itself.

    Args:
        document: The configuration as written.
        shared: The valid keys of ``defaults``.

    Returns:
        The key ``gateways``; nothing if there are none.
    """
    root = document.root.value
    gateways = root.get("gateways") if isinstance(root, dict) else None
    if gateways is None or not isinstance(gateways.value, dict):
        return {}
    return {"gateways": {name: _merged(node, shared) for name, node in gateways.value.items()}}


def _merged(node: Node, shared: Plain) -> Plain:
    """Return what a node says, completed from the defaults of the same key."""
    if not isinstance(node.value, dict) or not isinstance(shared, dict):
        return node.plain()
    merged = dict(shared)
    for key, below in node.value.items():
        if below.value is not None or below.is_null or key not in shared:
            merged[key] = _merged(below, shared.get(key))
    return merged
