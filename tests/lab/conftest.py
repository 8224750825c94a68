"""The lab's command line, with a run folder of the tests' own, away from the lab of the tree."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class CommandLine:
    """bin/lab, with a run folder of its own."""

    run: Path

    def __call__(self, *arguments: str, code: int | None = 0) -> str:
        done = subprocess.run(
            [TREE / 'bin/lab', *arguments],
            env={**os.environ, 'SUBSTRUCT_RUN': str(self.run)},
            cwd='/',
            text=True,
            capture_output=True,
            timeout=600,
        )
        output = done.stdout + done.stderr
        assert code is None or done.returncode == code, output
        return output
