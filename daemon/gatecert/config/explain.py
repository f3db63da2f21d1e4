"""What pydantic found, said to an operator.

Nearly every text comes from our own parsers. Of pydantic's own errors only those remain that are
about the shape of the file; none of its wording is passed on, nor any value that it saw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.config.configuration_finding import Finding, nearest
from gatecert.config.keys import fields_of, group_at, keys

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from gatecert.config.configuration_finding import Location

_SHAPES = {
    "model_type": "must hold keys and values of its own, indented below it",
    "dict_type": "must hold names and what belongs to each, indented below it",
    "tuple_type": "must be a list; write it in brackets [ ], or as lines that start with -",
}
_OTHERWISE = "has a value that makes no sense here"


_STAPLE = (
    "is not possible: Must-Staple (RFC 7633) obliges the server to staple OCSP answers, and "
    "authorities have ended OCSP (Let's Encrypt in 2025), so the gateway could not be reached; "
    "leave it out, revocation is watched for in CRLs"
)
_REFUSED = dict.fromkeys(("must_staple", "ocsp_must_staple", "must-staple"), _STAPLE)


def findings(error: ValidationError) -> list[Finding]:
    """Each error with its place and its text."""
    return [_finding(details) for details in error.errors(include_url=False, include_input=False)]


def _finding(details: ErrorDetails) -> Finding:
    location = details["loc"]
    match details["type"]:
        case "value_error":
            if location[-1] == "[key]":  # pydantic's mark for a key, after the key itself
                location = location[:-1]
            return Finding(location, str(details["ctx"]["error"]))
        case "missing":
            return Finding(location, f"is missing{_meaning(location)}")
        case "extra_forbidden":
            return Finding(location, _unknown(location))
    return Finding(location, _SHAPES.get(details["type"], _OTHERWISE))


def _meaning(location: Location) -> str:
    """What a key that has to be there is for."""
    group = group_at(location[:-1])
    field = fields_of(group).get(str(location[-1])) if group is not None else None
    return f": {field.description}".rstrip(".") if field and field.description else ""


def _unknown(location: Location) -> str:
    """An unknown key: the nearest known one, or the place where it belongs."""
    name = str(location[-1])
    if name.lower() in _REFUSED:
        return _REFUSED[name.lower()]
    group = group_at(location[:-1])
    known = fields_of(group) if group is not None else {}
    places = [".".join(key.path[:-1]) or "the top level" for key in keys() if key.name == name]
    otherwise = f"known here: {', '.join(known)}" if known else "nothing is known by this name"
    if places:
        otherwise = f"it belongs to {' or '.join(places[:3])}"
    return f"unknown key; {nearest(name, known, otherwise)}"
