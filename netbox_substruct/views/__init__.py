"""Pages.  Importing this package registers every view; `urls` does so."""

from .actions import *
from .adoption import *
from .bmcs import *
from .bootimages import *
from .bootservers import *
from .builds import *
from .bulkactions import *
from .changes import *
from .choosing import *
from .discoveryrules import *
from .factsets import *
from .inbox import *
from .live import *
from .machines import *
from .overview import *
from .preflight import *
from .profiles import *
from .provisioning import *
from .subnets import *
from .tasks import *
from .trying import *
from .waves import *
from .zones import *
