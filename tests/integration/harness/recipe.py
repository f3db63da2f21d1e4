"""Servers run with the very configuration files of docs/challenges, on other ports.

A recipe is for a whole machine: it listens on every address, on privileged ports.
The tests replace each address in it; an unknown address is an error.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from harness.process import BackgroundProcess, program
from harness.server import Server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

RECIPES = Path(__file__).resolve().parents[3] / "docs" / "challenges"
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
PLACE = re.compile(r"(?<![\w.:/])(?:\d+(?:\.\d+){3}|\[::\]):\d+|/var/www/html")

NGINX = """\
{modules}
{user}
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 64; }}
{body}
"""
NGINX_HTTP = """\
http {{
    access_log off;
    client_body_temp_path {directory}/client;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {recipe};
}}
"""


def adapted(name: str, places: Mapping[str, str]) -> str:
    """Return a recipe with its addresses and directories replaced.

    Args:
        name: File name in docs/challenges.
        places: The replacement of each address or directory; if an address is
            also listened on for IPv6, an empty text removes that line.

    Raises:
        AssertionError: The recipe has an unknown address.
    """
    lines = []
    met: set[str] = set()
    for line in (RECIPES / name).read_text("utf-8").splitlines():
        code = line.split("#", 1)[0]
        found = [place.group() for place in PLACE.finditer(code.replace("http://", " "))]
        met.update(found)
        if unknown := set(found) - places.keys():
            raise AssertionError(f"{name} has {unknown}, which no test knows")
        if any(not places[place] for place in found):
            continue
        for place in found:
            code = code.replace(place, places[place])
        lines.append(code.rstrip())
    if unmet := places.keys() - met:
        raise AssertionError(f"{name} has no {unmet}")
    return "\n".join(lines) + "\n"


class Recipe(Server):
    """A server with a recipe.

    Args:
        directory: For the configuration, the log and temporary files.
        name: File name in docs/challenges, which names the server.
        port: Its port.
        places: As for ``adapted``.
    """

    def __init__(self, directory: Path, name: str, *, port: int, places: Mapping[str, str]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = port
        self._name = name
        recipe = directory / name
        recipe.write_text(adapted(name, places), "utf-8")
        if name.startswith("haproxy"):
            argv = [program("haproxy"), "-db", "-f", str(recipe)]
        else:
            configuration = directory / "nginx.conf"
            configuration.write_text(_nginx(directory, recipe), "utf-8")
            # -e: nginx opens the compiled-in error log, which belongs to root, first.
            argv = [program("nginx"), "-e", "stderr", "-c", str(configuration)]
        self.process = BackgroundProcess(argv, log=directory / "server.log")

    @property
    def address(self) -> str:
        """``host:port``."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it and wait until it accepts connections."""
        self.process.start()
        self.when_ready(self._is_ready, f"{self._name} at {self.address}")
        return self

    def _is_ready(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True


def _nginx(directory: Path, recipe: Path) -> str:
    """Return the whole configuration around a recipe."""
    modules, body = "", f"include {recipe};"
    if "stream {" not in recipe.read_text("utf-8"):
        body = NGINX_HTTP.format(directory=directory, recipe=recipe)
    elif STREAM_MODULE.is_file():
        modules = f"load_module {STREAM_MODULE};"
    else:
        raise RuntimeError(f"{STREAM_MODULE} is missing: run `make setup`")
    # Started by root, its workers would not have access to the test's directory.
    user = "user root;" if os.geteuid() == 0 else ""
    return NGINX.format(modules=modules, user=user, directory=directory, body=body)
