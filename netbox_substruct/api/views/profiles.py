"""REST view sets of profiles and their templates."""

from netbox.api.viewsets import NetBoxModelViewSet

from ... import filtersets
from ...models import Machine, Profile, ProfileTemplate
from ...seen import CountsSeen
from .. import serializers

__all__ = ('ProfileTemplateViewSet', 'ProfileViewSet')


class ProfileViewSet(CountsSeen, NetBoxModelViewSet):
    seen_counts = {'machine_count': (Machine, 'profile')}
    queryset = Profile.objects.all()
    serializer_class = serializers.ProfileSerializer
    filterset_class = filtersets.ProfileFilterSet


class ProfileTemplateViewSet(NetBoxModelViewSet):
    queryset = ProfileTemplate.objects.all()
    serializer_class = serializers.ProfileTemplateSerializer
    filterset_class = filtersets.ProfileTemplateFilterSet
