"""Tables: the columns of lists and of the tables on detail pages."""

from .bootimages import *
from .bootservers import *
from .discoveryrules import *
from .profiles import *
from .subnets import *
from .zones import *
