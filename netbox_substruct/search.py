"""What NetBox's global search finds.

Profile templates and fact sets have no text of their own; they are found through what they belong to.  What builds
serve (artifacts' content, logs, tokens) is not in the index.
"""

from netbox.search import SearchIndex

from . import models


class BootServerIndex(SearchIndex):
    model = models.BootServer
    fields = (
        ('name', 100),
        ('base_url', 300),
        ('description', 500),
        ('comments', 5000),
    )
    display_attrs = ('status', 'base_url', 'description')


class SubnetIndex(SearchIndex):
    model = models.Subnet
    fields = (
        ('domain', 300),
        ('description', 500),
        ('comments', 5000),
    )
    display_attrs = ('boot_server', 'domain', 'description')


class ZoneIndex(SearchIndex):
    model = models.Zone
    fields = (
        ('name', 100),
        ('soa_mname', 1000),
        ('soa_rname', 1000),
        ('description', 500),
        ('comments', 5000),
    )
    display_attrs = ('boot_server', 'update_method', 'description')


class BootImageIndex(SearchIndex):
    model = models.BootImage
    fields = (
        ('name', 100),
        ('kernel_url', 1000),
        ('disk_image_url', 1000),
        ('description', 500),
        ('comments', 5000),
    )
    display_attrs = ('platform', 'architecture', 'method', 'description')


class ProfileIndex(SearchIndex):
    model = models.Profile
    fields = (
        ('name', 100),
        ('slug', 110),
        ('description', 500),
        ('comments', 5000),
    )
    display_attrs = ('parent', 'boot_image', 'description')


class DiscoveryRuleIndex(SearchIndex):
    model = models.DiscoveryRule
    fields = (
        ('name', 100),
        ('host_name_template', 1000),
        ('description', 500),
        ('comments', 5000),
    )
    display_attrs = ('priority', 'site', 'profile', 'description')


class MachineIndex(SearchIndex):
    model = models.Machine
    fields = (
        ('discovered_name', 100),
        ('serial', 60),
        ('uuid', 60),
        ('boot_mac', 60),
        ('description', 500),
        ('comments', 5000),
    )
    display_attrs = ('state', 'profile', 'boot_server', 'description')


class BuildIndex(SearchIndex):
    model = models.Build
    fields = (
        ('error', 2000),
        ('description', 500),
        ('comments', 5000),
    )
    display_attrs = ('machine', 'profile', 'state', 'description')


class WaveIndex(SearchIndex):
    model = models.Wave
    fields = (
        ('name', 100),
        ('description', 500),
        ('comments', 5000),
    )
    display_attrs = ('state', 'profile', 'description')


class BuildArtifactIndex(SearchIndex):
    model = models.BuildArtifact
    fields = (
        ('name', 300),
        ('sha256', 300),
    )
    display_attrs = ('build', 'kind')


class BuildEventIndex(SearchIndex):
    model = models.BuildEvent
    fields = (('message', 1000),)
    display_attrs = ('build', 'kind', 'time')


class BMCIndex(SearchIndex):
    model = models.BMC
    fields = (
        ('address', 100),
        ('credential', 1000),
        ('description', 500),
        ('comments', 5000),
    )
    display_attrs = ('machine', 'protocol', 'description')


class TaskIndex(SearchIndex):
    model = models.Task
    fields = (('error', 2000),)
    display_attrs = ('boot_server', 'kind', 'state', 'machine')


indexes = (
    BootServerIndex,
    SubnetIndex,
    ZoneIndex,
    BootImageIndex,
    ProfileIndex,
    DiscoveryRuleIndex,
    MachineIndex,
    BuildIndex,
    WaveIndex,
    BuildArtifactIndex,
    BuildEventIndex,
    BMCIndex,
    TaskIndex,
)
