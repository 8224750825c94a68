"""Serializers of the REST API.  NetBox finds them here by name: <Model>Serializer."""

from .bmcs import *
from .bootimages import *
from .bootservers import *
from .builds import *
from .bulk import *
from .discoveryrules import *
from .factsets import *
from .machines import *
from .profiles import *
from .subnets import *
from .tasks import *
from .waves import *
from .zones import *
