"""View sets of the REST API."""

from .bmcs import *
from .bootimages import *
from .bootservers import *
from .builds import *
from .discoveryrules import *
from .factsets import *
from .machines import *
from .overview import *
from .profiles import *
from .subnets import *
from .tasks import *
from .waves import *
from .zones import *
