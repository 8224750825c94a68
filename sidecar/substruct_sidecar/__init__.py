"""The agent of Substruct: it makes a boot server serve what NetBox says.  It knows neither Django nor NetBox's code."""

from .version import __version__

__all__ = ('__version__',)
