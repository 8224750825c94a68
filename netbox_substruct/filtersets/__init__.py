"""Filter sets: what lists, the REST API and saved filters can be narrowed by.  A module per idea, as in `models`."""

from .bootimages import *
from .bootservers import *
from .discoveryrules import *
from .profiles import *
from .subnets import *
from .zones import *
