"""Pages.  Importing this package registers every view; `urls` does so."""

from .bootimages import *
from .bootservers import *
from .discoveryrules import *
from .profiles import *
from .subnets import *
from .zones import *
