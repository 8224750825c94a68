"""REST view sets of profiles and their templates."""

from ... import filtersets
from ...models import Machine, Profile, ProfileTemplate
from ...seen import CountsSeen
from .. import serializers
from ..schema import ModelViewSet
from .effective import EffectiveProfile

__all__ = ('ProfileTemplateViewSet', 'ProfileViewSet')


class ProfileViewSet(CountsSeen, EffectiveProfile, ModelViewSet):
    seen_counts = {'machine_count': (Machine, 'profile')}
    queryset = Profile.objects.all()
    serializer_class = serializers.ProfileSerializer
    filterset_class = filtersets.ProfileFilterSet


class ProfileTemplateViewSet(ModelViewSet):
    queryset = ProfileTemplate.objects.all()
    serializer_class = serializers.ProfileTemplateSerializer
    filterset_class = filtersets.ProfileTemplateFilterSet
