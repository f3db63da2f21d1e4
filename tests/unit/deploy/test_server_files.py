"""Lines of servers' configurations that name another client's files."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.client_directories import write

from gatecert.deploy.adopted_files import (
    AdoptedFile,
    AdoptedFiles,
    read_adopted_files,
    save_adopted_files,
)
from gatecert.deploy.server_files import find_references, first_words

OLD = Path("/etc/letsencrypt/live/shop/fullchain.pem")
NEW = Path("/var/lib/gatecert/gateways/shop/live/fullchain.pem")


def test_lines_are_found_with_their_directive(tmp_path: Path) -> None:
    site = tmp_path / "nginx" / "sites-available" / "shop"
    write(
        site,
        f"# ssl_certificate {OLD};\nserver {{\n    ssl_certificate {OLD};\n    x {OLD}.bak;\n}}\n",
    )
    write(tmp_path / "nginx" / "sites-available" / "unused", f"ssl_certificate {OLD};\n")
    enabled = tmp_path / "nginx" / "sites-enabled"
    enabled.mkdir()
    (enabled / "shop").symlink_to("../sites-available/shop")
    write(tmp_path / "postfix" / "main.cf", f"smtpd_tls_cert_file = {OLD}\n")

    found = find_references({OLD: NEW}, tmp_path)

    assert [str(each) for each in found] == [
        f"nginx still reads {OLD}: in {enabled / 'shop'}:3, change ssl_certificate to {NEW}",
        (
            f"Postfix still reads {OLD}: in {tmp_path}/postfix/main.cf:1,"
            f" change smtpd_tls_cert_file to {NEW}"
        ),
    ]


def test_nothing_is_found_without_files_or_configurations(tmp_path: Path) -> None:
    assert find_references({}, tmp_path) == ()
    assert find_references({OLD: NEW}, tmp_path / "missing") == ()


def test_binary_and_large_files_are_no_obstacle(tmp_path: Path) -> None:
    write(tmp_path / "nginx" / "a", b"\xff" + str(OLD).encode())
    write(tmp_path / "nginx" / "b", str(OLD).encode() + b" " * (1 << 20))
    (tmp_path / "nginx" / "loop").symlink_to(".")

    (found,) = find_references({OLD: NEW}, tmp_path)

    assert "name instead" in found.change


def test_two_references_are_named_and_the_others_counted(tmp_path: Path) -> None:
    write(tmp_path / "nginx" / "a", f"ssl_certificate {OLD};\n" * 4)

    assert first_words(find_references({OLD: NEW}, tmp_path)).endswith("and 2 more such lines")


def test_the_record_of_an_adopted_gateway(tmp_path: Path) -> None:
    write(tmp_path / "nginx" / "a", f"ssl_certificate {OLD};\n")
    adopted = AdoptedFiles("certbot", (AdoptedFile(str(OLD), "fullchain.pem"),))
    assert read_adopted_files(tmp_path) is None

    save_adopted_files(tmp_path, adopted)

    assert read_adopted_files(tmp_path) == adopted
    (found,) = adopted.references(NEW.parent, tmp_path)
    assert found.instead == NEW
