"""Forms.  Each module holds the edit, bulk edit, import and filter forms of its models."""

from .bootimages import *
from .bootservers import *
from .discoveryrules import *
from .profiles import *
from .subnets import *
from .zones import *
