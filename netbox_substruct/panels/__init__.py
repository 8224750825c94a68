"""The panels of detail pages, declared as NetBox declares its own."""

from .bmcs import *
from .bootimages import *
from .bootservers import *
from .builds import *
from .discovery import *
from .discoveryrules import *
from .factsets import *
from .live import *
from .machines import *
from .profiles import *
from .provisioning import *
from .reports import *
from .subnets import *
from .tasks import *
from .waves import *
from .zones import *
