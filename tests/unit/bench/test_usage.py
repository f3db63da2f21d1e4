"""Time and output of a command."""

from __future__ import annotations

import sys

from bench.usage import used_by


def test_the_exit_code_and_both_outputs_are_kept() -> None:
    program = (
        "import os, sys; print(os.environ['KIND']); print('bad', file=sys.stderr); sys.exit(3)"
    )
    usage = used_by([sys.executable, "-c", program], {"KIND": "good"})
    assert usage.exit_code == 3
    assert sorted(usage.output.split()) == ["bad", "good"]
    assert usage.processor > 0
