"""The order of ``gatecert init``, with a server whose files are in a temporary directory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.fakes.server_files import HOSTNAME, ServerFiles

from gatecert.cli.init_dialog import Dialog
from gatecert.cli.init_enrolment import Enrolled
from gatecert.cli.init_plan import SetUp
from gatecert.cli.init_run import FirstSetUp
from gatecert.cli.options import Options
from gatecert.config.extension import Additions, extend
from gatecert.errors import DeploymentError
from gatecert.outcome_kinds import OutcomeKind
from gatecert.setup.challenge_choice import ChallengeChoice
from gatecert.setup.detection import FoundServer
from gatecert.setup.known_servers import SERVERS
from gatecert.setup.proposal import AuthorityChoice
from gatecert.setup.server_change import Finished
from gatecert.setup.server_plan import Edit, ServerPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.config.schema import Configuration
    from gatecert.setup.server_plan import Wanted

PROVEN = Enrolled(
    settled=True,
    kind=OutcomeKind.ENROLLED,
    detail="done",
    has_certificate=True,
    trusted=True,
    next_at=None,
)
WAITING = replace(
    PROVEN, settled=False, kind=OutcomeKind.WAITING, has_certificate=False, trusted=False
)


@dataclass
class Scene:
    """A set-up, and what happens.

    Attributes:
        alone: The end of the enrolment.
        proof: The end of the proof.
        failing: A command that fails.
        is_running: Whether the server runs.
        events: What happened, in order.
    """

    directory: Path
    alone: Enrolled = PROVEN
    proof: Enrolled = PROVEN
    failing: str = ""
    by_hand: str = ""
    is_running: bool = True
    events: list[str] = field(default_factory=list)

    @property
    def configuration(self) -> Path:
        return self.directory / "etc" / "config.yaml"

    @property
    def server(self) -> Path:
        return self.directory / "server.conf"

    def plan(self, _: Wanted) -> ServerPlan:
        edit = Edit(self.server, "old\n", "new\n")
        return ServerPlan(
            units=(),
            install={},
            edits=(edit,) if self.server.read_text() == "old\n" and not self.by_hand else (),
            shown={str(self.server): ("new",)},
            by_hand=self.by_hand,
            tests=(("server", "test"),),
            reload=("server", "reload"),
        )

    def run(self, argv: Sequence[str]) -> Finished:
        command = " ".join(argv)
        self.events.append(command)
        failed = command == self.failing
        return Finished(1 if failed else 0, "refused" if failed else "")

    def enrol_alone(self, _: Options, configuration: Configuration, name: str) -> Enrolled:
        assert self.configuration.exists()
        assert self.server.read_text() == "old\n", "the certificate comes first"
        self.events.append(f"enrol {configuration.gateways[name].hostname}")
        return self.alone

    def attend(self, _: Options, configuration: Configuration, name: str) -> Enrolled:
        self.events.append(f"prove {configuration.gateways[name].hostname}")
        return self.proof

    def carry_out(self, *, may_apply: bool = True) -> bool:
        self.server.write_text("old\n")
        extension = extend(
            self.configuration,
            Additions({"gate": {"hostname": HOSTNAME}}, {"letsencrypt": {}}),
        )
        wanted = ServerFiles().wanted()
        server = replace(SERVERS["other"], plan=self.plan)
        set_up = SetUp(
            self.configuration,
            wanted.host,
            FoundServer(server, (), is_running=self.is_running),
            wanted,
            self.plan(wanted),
            ChallengeChoice("http-01", ""),
            AuthorityChoice("letsencrypt"),
            extension,
            extension.configuration,
            extension.configuration,
        )
        given = Options(str(self.configuration))
        return FirstSetUp(
            given, set_up, Dialog(asks=False), may_apply=may_apply, run=self.run, enrolments=self
        ).carry_out()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_the_certificate_then_the_server_then_the_proof(scene: Scene) -> None:
    assert scene.carry_out()

    assert scene.events == [
        f"enrol {HOSTNAME}",
        "server test",
        "server reload",
        f"prove {HOSTNAME}",
    ]
    assert scene.server.read_text() == "new\n"
    assert (scene.directory / "server.conf.before-gatecert").read_text() == "old\n"


def test_a_proof_that_fails_is_not_success(scene: Scene) -> None:
    scene.proof = WAITING

    assert not scene.carry_out()

    assert scene.server.read_text() == "new\n", "nothing listened before, so nothing is worse"


@pytest.mark.parametrize("failing", ["server test", "server reload"])
def test_a_server_that_refuses_keeps_its_files(scene: Scene, failing: str) -> None:
    scene.failing = failing

    with pytest.raises(DeploymentError, match="refused"):
        scene.carry_out()

    assert scene.server.read_text() == "old\n"
    assert sorted(each.name for each in scene.directory.iterdir()) == ["etc", "server.conf"]


def test_a_server_that_does_not_run_is_not_reloaded(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.is_running = False
    scene.failing = "server reload"
    scene.proof = WAITING

    assert not scene.carry_out()

    assert "server reload" not in scene.events
    assert scene.server.read_text() == "new\n"
    assert "does not run: start it" in capsys.readouterr().out


def test_lines_for_the_operator(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    scene.by_hand = "it is strange"

    assert not scene.carry_out()

    shown = capsys.readouterr().out
    assert "it is strange" in shown
    assert "gatecert enroll gate" in shown
    assert scene.events == [f"enrol {HOSTNAME}"]


def test_no_apply_leaves_the_server_alone(scene: Scene) -> None:
    assert not scene.carry_out(may_apply=False)

    assert scene.server.read_text() == "old\n"


def test_without_a_certificate_the_doctor_is_named(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.alone = scene.proof = WAITING

    assert not scene.carry_out()

    assert "no certificate of a CA yet: see gatecert doctor gate" in capsys.readouterr().out
