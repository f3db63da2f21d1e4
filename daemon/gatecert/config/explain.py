"""Translation of pydantic's errors for an operator.

Nearly every text comes from gatecert's own parsers. Only pydantic's errors about the structure of
the file remain; none of its wording or values is passed on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.config.configuration_finding import Finding, nearest
from gatecert.config.keys import fields_of, group_at, keys
from gatecert.config.values import A_LIST
from gatecert.config.yaml_syntax import missing_space

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from gatecert.config.configuration_finding import Location

_SHAPES = {
    "model_type": "must contain keys and values, indented below it",
    "dict_type": "must contain names with settings, indented below it",
    "tuple_type": A_LIST,
}
_OTHERWISE = "has an invalid value"


_STAPLE = (
    "is not supported: Must-Staple (RFC 7633) requires OCSP stapling, and CAs have ended OCSP "
    "(Let's Encrypt in 2025), so clients would refuse the gateway; leave it out, gatecert checks "
    "revocation in CRLs"
)
_REFUSED = dict.fromkeys(("must_staple", "ocsp_must_staple", "must-staple"), _STAPLE)


def findings(error: ValidationError) -> list[Finding]:
    """Return each error with its location and text."""
    return [_finding(details) for details in error.errors(include_url=False)]


def _finding(details: ErrorDetails) -> Finding:
    location = details["loc"]
    match details["type"]:
        case "value_error":
            if location[-1] == "[key]":  # pydantic appends this for an invalid key
                location = location[:-1]
            return Finding(location, str(details["ctx"]["error"]))
        case "missing":
            return Finding(location, f"is missing{_meaning(location)}")
        case "extra_forbidden":
            return Finding(location, _unknown(location))
    shape = _SHAPES.get(details["type"], _OTHERWISE)
    written = details["input"]
    return Finding(location, missing_space(written if isinstance(written, str) else "") or shape)


def _meaning(location: Location) -> str:
    """Return the description of a missing key."""
    group = group_at(location[:-1])
    field = fields_of(group).get(str(location[-1])) if group is not None else None
    return f": {field.description}".rstrip(".") if field and field.description else ""


def _is_known(location: Location) -> bool:
    group = group_at(location[:-1])
    return group is not None and str(location[-1]) in fields_of(group)


def _unknown(location: Location) -> str:
    """Describe an unknown key: the nearest known one, or the group it belongs to."""
    name = str(location[-1])
    if name.lower() in _REFUSED:
        return _REFUSED[name.lower()]
    group = group_at(location[:-1])
    known = fields_of(group) if group is not None else {}
    if location[0] == "defaults" and _is_known(("gateways", "NAME", *location[1:])):
        return "differs between gateways, so it cannot be shared; write it below each gateway"
    places = [".".join(key.path[:-1]) or "the top level" for key in keys() if key.name == name]
    otherwise = f"known keys: {', '.join(known)}" if known else "no key has this name"
    if places:
        otherwise = f"it belongs to {' or '.join(places[:3])}"
    return f"unknown key; {nearest(name, known, otherwise)}"
