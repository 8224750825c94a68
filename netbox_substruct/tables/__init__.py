"""Tables: the columns of lists and of the tables on detail pages."""

from .bmcs import *
from .bootimages import *
from .bootservers import *
from .builds import *
from .discoveryrules import *
from .factsets import *
from .inbox import *
from .machines import *
from .profiles import *
from .subnets import *
from .tasks import *
from .waves import *
from .zones import *
