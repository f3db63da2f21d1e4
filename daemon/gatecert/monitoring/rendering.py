"""The templates, the style and the script of the status page (docs/decisions/0025).

Jinja2 is imported when the first page is rendered.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert.report.terminal import one_line

if TYPE_CHECKING:
    from jinja2 import Environment

    from gatecert.monitoring.page_view import GatewayView, ListView

FILES: Final = Path(__file__).parent
COLOURS: Final = {"f": "d1242f", "w": "bf8700", "n": "6e7781", "g": "1a7f37"}  # of the icon


class Renderer:
    """Renders pages."""

    @cached_property
    def policy(self) -> str:
        """The Content-Security-Policy of every page."""
        return "; ".join(
            (
                "default-src 'none'",
                f"script-src '{_digest(self._script)}'",
                f"style-src '{_digest(self._style)}'",
                "connect-src 'self'",
                "img-src data:",
                "form-action 'self'",
                "base-uri 'none'",
                "frame-ancestors 'none'",
            )
        )

    def list_page(self, view: ListView) -> bytes:
        """Return the page of all gateways."""
        return self._render("page.html.jinja", view)

    def gateway_page(self, view: GatewayView) -> bytes:
        """Return the page of one gateway."""
        return self._render("gateway.html.jinja", view)

    def _render(self, template: str, view: ListView | GatewayView) -> bytes:
        text = self._environment.get_template(template).render(view=view)
        return text.encode("utf-8", "replace")

    @cached_property
    def _script(self) -> str:
        return (FILES / "page.js").read_text("utf-8")

    @cached_property
    def _style(self) -> str:
        return (FILES / "page.css").read_text("utf-8")

    @cached_property
    def _environment(self) -> Environment:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - late
        from markupsafe import Markup  # noqa: PLC0415 - late

        def printable(value: object) -> object:
            """Return a value without characters that reorder, hide or control others."""
            if type(value) is str and not value.isprintable():  # neither Markup nor a StrEnum
                return one_line(value)
            return value

        environment = Environment(
            autoescape=True,
            undefined=StrictUndefined,
            finalize=printable,
            loader=FileSystemLoader(FILES),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals.update(
            script=Markup(self._script),  # noqa: S704 - our own file
            style=Markup(self._style),  # noqa: S704 - our own file
            colours=COLOURS,
        )
        return environment


def _digest(text: str) -> str:
    """Return the source expression for an inline element (https://www.w3.org/TR/CSP3/)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
