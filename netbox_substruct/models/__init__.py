"""The plugin's models: what should be.  A module per idea; the words are those of the manual's glossary."""

from .bmcs import BMC
from .bootimages import BootImage
from .bootservers import BootServer
from .builds import Build, BuildArtifact, BuildEvent, BuildToken
from .discoveryrules import DiscoveryRule
from .factsets import FactSet
from .machines import Machine
from .profiles import Profile, ProfileTemplate
from .subnets import Subnet
from .tasks import Task
from .waves import Wave, WaveMember
from .zones import Zone

__all__ = (
    'BMC',
    'BootImage',
    'BootServer',
    'Build',
    'BuildArtifact',
    'BuildEvent',
    'BuildToken',
    'DiscoveryRule',
    'FactSet',
    'Machine',
    'Profile',
    'ProfileTemplate',
    'Subnet',
    'Task',
    'Wave',
    'WaveMember',
    'Zone',
)

# The "Help" button of NetBox's forms leads to NetBox's own manual, which says nothing of these models.
for _model in (
    BMC, BootImage, BootServer, Build, BuildArtifact, BuildEvent, DiscoveryRule, FactSet, Machine, Profile,
    ProfileTemplate, Subnet, Task, Wave, WaveMember, Zone,
):  # fmt: skip
    _model.docs_url = None
