"""A context and templates become artifacts.

`rendering` is the pure part: plain data and templates in, a bundle out.  `templates` reads which templates a machine has.
`kinds`, `markers` and `quoting` are what the boot server, the templates and the tests hold each other to.
"""

from .kinds import KINDS
from .rendering import Artifact, Bundle, RenderError, Template, render

__all__ = ('KINDS', 'Artifact', 'Bundle', 'RenderError', 'Template', 'render')
