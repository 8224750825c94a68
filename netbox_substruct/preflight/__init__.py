"""The one place where it is checked, step by step, whether a machine would boot and its build would succeed.

`checks` is pure: what was gathered in, steps out.  `gathering` reads NetBox, `asking` asks the boot servers for what
only they know, and `answers` holds what they say to its types.
"""

from .answers import Answer, taken
from .asking import ask
from .blocking import refuse
from .report import Report, look
from .steps import TITLES, Link, Step

__all__ = ('TITLES', 'Answer', 'Link', 'Report', 'Step', 'ask', 'look', 'refuse', 'taken')
