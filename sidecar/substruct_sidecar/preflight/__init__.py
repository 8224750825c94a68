"""Preflight: what only the boot server knows of whether one machine would boot, step by step.

`looking` goes through the chain; the plugin's `preflight` asks for it by a task of the kind `preflight`, and people by
`substruct-sidecar preflight <machine>`.  Looking changes nothing: nothing counts as served, no lease is taken.
"""

from .looking import Preflight, command, look
from .steps import Outcome, Step

__all__ = ('Outcome', 'Preflight', 'Step', 'command', 'look')
