"""Filter sets: what lists, the REST API and saved filters can be narrowed by.  A module per idea, as in `models`."""

from .bmcs import *
from .bootimages import *
from .bootservers import *
from .builds import *
from .discoveryrules import *
from .factsets import *
from .machines import *
from .profiles import *
from .subnets import *
from .tasks import *
from .waves import *
from .zones import *
