"""Forms.  Each module holds the edit, bulk edit, import and filter forms of its models."""

from .adoption import *
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
