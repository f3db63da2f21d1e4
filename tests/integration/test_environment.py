"""tests/integration/environment on a Debian without ensurepip: it upgrades no Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ENVIRONMENT = Path(__file__).with_name("environment")
# Like Debian's python3 without python3-venv.
PYTHON = """\
#!/bin/sh
case "$*" in *"import ensurepip"*) exit 1 ;; esac
exec "{python}" "$@"
"""
# Records its arguments, and installs the content of python3-pip-whl.
APT_GET = """\
#!/bin/sh
echo "$*" >>"{log}"
case "$*" in *install*) cp "{wheel}" "{wheels}" ;; esac
"""
AS_ROOT = '#!/bin/sh\nexec "$@"\n'


def pip_wheel() -> Path:
    """Return the wheel of pip of this Python or its Debian."""
    bundled = Path(os.__file__).parent / "ensurepip" / "_bundled"
    found = [
        *bundled.glob("pip-*.whl"),
        *Path("/usr/share/python-wheels").glob("pip-*.whl"),
    ]
    return found[0]


def test_installing_pip_upgrades_no_python(tmp_path: Path) -> None:
    programs, wheels = tmp_path / "bin", tmp_path / "wheels"
    log, lock = tmp_path / "apt.log", tmp_path / "requirements.lock"
    for directory in (programs, wheels):
        directory.mkdir()
    lock.write_text("# nothing\n")
    for name, text in (
        ("python", PYTHON.format(python=getattr(sys, "_base_executable", sys.executable))),
        ("apt-get", APT_GET.format(log=log, wheel=pip_wheel(), wheels=wheels)),
        ("sudo", AS_ROOT),
    ):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)

    made = subprocess.run(
        [ENVIRONMENT, "venv", lock],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHON": str(programs / "python"),
            "PYTHON_WHEELS": str(wheels),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert made.returncode == 0, made.stderr
    asked_for = log.read_text()
    assert "install python3-pip-whl" in asked_for
    assert "python3-venv" not in asked_for
    assert "upgrade" not in asked_for
    assert made.stderr.splitlines() == [
        "installing python3-pip-whl",
        f"venv: installing the packages of {lock}",
    ]
    with_pip = [str(tmp_path / "venv/bin/python"), "-m", "pip", "--version"]
    assert subprocess.run(with_pip, check=True, capture_output=True).stdout.startswith(b"pip ")
