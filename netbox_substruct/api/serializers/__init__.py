"""Serializers of the REST API.  NetBox finds them here by name: <Model>Serializer."""

from .bootimages import *
from .bootservers import *
from .discoveryrules import *
from .profiles import *
from .subnets import *
from .zones import *
