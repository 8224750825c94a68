"""What holds for subnets, prefixes and profiles with all that they inherit, and where each value comes from."""

from typing import Any

import msgspec
from django.http import HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError

from ipam.models import Prefix

from ... import insight, serving
from ...models import BootServer, Profile, Subnet
from ...models.profiles import DEFAULTS, LIMITS, is_set
from ..bodies import openapi
from ..refusals import permission
from ..serializers import ProblemSerializer

__all__ = ('EffectiveProfile', 'EffectiveSubnet')

OF_PROFILE = ('handoff', 'built_status', *DEFAULTS, *LIMITS)
SET = (
    'boot_image_id', 'parameters', 'parameter_schema', 'disk_layout', 'handoff', 'built_status', 'built_address',
    'built_dns_name', 'pending_limit', 'stall_limit',
)  # fmt: skip


NO_PREFIX = OpenApiResponse(ProblemSerializer, 'There is no such prefix that the user may view.')


class Named(msgspec.Struct, frozen=True, kw_only=True):
    id: int
    display: str


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """`said`: somebody sets it, else it is the default.  `origin` is who does; null if that may not be viewed."""

    name: str
    value: Any
    said: bool
    origin: Named | None


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """`heard`: lately; null: it never was.  `dhcp` is the state of its service, empty if it reports none."""

    id: int
    display: str
    status: str
    heard: bool | None
    dhcp: str


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    words: str
    remedy: str


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What rules a prefix.

    `subnet` is its own (`own`) or that of the nearest prefix above; null without one, or if it may not be viewed.
    `reasons`: why no machine gets an answer, and what to do; none if one does.  `unseen_servers` counts the boot
    servers that serve it and that the user may not view.
    """

    own: bool
    subnet: Named | None
    settings: list[Setting]
    servers: list[Server]
    unseen_servers: int
    reasons: list[Reason]


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """`profile` or `boot_image` has it."""

    kind: str
    config_template: Named
    profile: Named | None
    boot_image: Named | None


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A profile of the chain, and the names of the fields that it sets."""

    profile: Named
    sets: list[str]


class Effective(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine of the profile becomes.  `chain` is the profile and those above it, nearest first."""

    chain: list[Link]
    boot_image: Named | None
    settings: list[Setting]
    templates: list[Template]


class EffectiveSubnet:
    """`subnets/<id>/effective/` and `subnets/serving/`; mixed into a view set, which has `get_object`."""

    @extend_schema(operation_id='substruct_subnets_effective', responses={200: OpenApiResponse(openapi(Ruling))})
    @action(detail=True, methods=['get'], permission_classes=[permission(GET='view', HEAD='view')])
    def effective(self, request: Any, pk: Any = None) -> HttpResponse:
        """
        What machines in the subnet get, inherited or not, who serves them, and why nobody does where nobody does.
        """
        subnet = self.get_object()  # type: ignore[attr-defined]
        return _json(_ruling(serving.ruling_of(subnet.prefix, subnet.pk), request.user))

    @extend_schema(
        operation_id='substruct_subnets_serving',
        parameters=[OpenApiParameter('prefix', OpenApiTypes.INT64, required=True, description='ID of the prefix')],
        filters=False,
        responses={200: OpenApiResponse(openapi(Ruling)), 404: NO_PREFIX},
    )
    @action(
        detail=False,
        methods=['get'],
        permission_classes=[permission(GET='view', HEAD='view')],
        filterset_class=None,
        pagination_class=None,
    )
    def serving(self, request: Any) -> HttpResponse:
        """
        The same of a prefix of NetBox that need not have a subnet. Needs "view" on subnets and on the prefix.
        """
        value = request.query_params.get('prefix', '')
        if not (value.isdecimal() and len(value) < 19):
            raise ValidationError({'prefix': [_('The ID of a prefix is wanted.')]})
        prefix = Prefix.objects.restrict(request.user, 'view').filter(pk=int(value)).first()
        if prefix is None:
            raise NotFound(_('There is no such prefix that you may view.'))
        return _json(_ruling(serving.ruling_of(prefix), request.user))


class EffectiveProfile:
    """`profiles/<id>/effective/`; mixed into a view set, which has `get_object`."""

    @extend_schema(operation_id='substruct_profiles_effective', responses={200: OpenApiResponse(openapi(Effective))})
    @action(detail=True, methods=['get'], permission_classes=[permission(GET='view', HEAD='view')])
    def effective(self, request: Any, pk: Any = None) -> HttpResponse:
        """
        What a machine of the profile becomes, with all that it inherits, and where that comes from: settings, and the
        template of each kind that a build would use.
        """
        profile = self.get_object()  # type: ignore[attr-defined]
        chain, owner = profile.chain, profile.owner_of('boot_image')
        settings = []
        for name in OF_PROFILE:
            origin = profile.owner_of(name)
            settings.append(
                Setting(
                    name=name, value=profile.effective(name), said=origin is not None,
                    origin=_named(origin) if origin is not None else None,
                )
            )  # fmt: skip
        return _json(
            Effective(
                chain=[
                    Link(
                        profile=_named(each),
                        sets=[name.removesuffix('_id') for name in SET if is_set(getattr(each, name))],
                    )
                    for each in chain
                ],
                boot_image=_named(owner.boot_image) if owner is not None else None,
                settings=settings,
                templates=[
                    Template(
                        kind=template.kind,
                        config_template=_named(template.config_template),
                        profile=_named(each) if isinstance(each, Profile) else None,
                        boot_image=None if isinstance(each, Profile) else _named(each),
                    )
                    for template, each in insight.templates_of(profile, request.user)
                ],
            )
        )


def _ruling(ruling: serving.Ruling, user: Any) -> Ruling:
    resolved, settings, subnet = ruling.resolved, [], None
    if resolved is not None:
        wanted = {resolved.row.id, *resolved.origins.values()}
        visible = Subnet.objects.restrict(user, 'view').select_related('prefix').in_bulk(wanted)
        subnet = visible.get(resolved.row.id)
        values = {**resolved.values, **_options(resolved.values['dhcp_options'])}
        del values['dhcp_options']
        for name, value in values.items():
            origin = visible.get(resolved.origins.get(name))
            settings.append(
                Setting(
                    name=name.removesuffix('_id'), value=value, said=name in resolved.origins,
                    origin=_named(origin) if origin is not None else None,
                )
            )  # fmt: skip
    servers = BootServer.objects.restrict(user, 'view').in_bulk([server.id for server in ruling.servers])
    return Ruling(
        own=ruling.own,
        subnet=_named(subnet) if subnet is not None else None,
        settings=settings,
        servers=[
            Server(id=each.id, display=str(servers[each.id]), status=each.status, heard=each.heard, dhcp=each.dhcp)
            for each in ruling.servers
            if each.id in servers
        ],
        unseen_servers=len(ruling.servers) - len(servers),
        reasons=[Reason(key=each.key, words=each.words, remedy=each.remedy) for each in serving.reasons(ruling)],
    )


def _options(options: Any) -> dict[str, Any]:
    return {f'dhcp_options.{name}': value for name, value in options.items()}


def _named(obj: Any) -> Named:
    return Named(id=obj.pk, display=str(obj))


def _json(value: Any) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(value), content_type='application/json')
