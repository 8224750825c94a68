"""View sets of the REST API."""

from .bootimages import *
from .bootservers import *
from .discoveryrules import *
from .profiles import *
from .subnets import *
from .zones import *
