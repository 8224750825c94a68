"""The feed over HTTP: the desired state of one boot server, streamed line by line."""

import logging
from collections.abc import Generator, Iterator

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, NotFound
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer

from ...feed import messages, reader
from ...feed.cursor import CursorError
from ...lifecycle.states import BUILD_OPEN
from ...models import BootServer, BuildArtifact
from ..refusals import permission
from .machines import content

__all__ = ('FeedMixin',)

MEDIA_TYPE = 'application/x-ndjson'
# Bytes gathered before they are handed to the web server: a write for each line would cost more than the line.
CHUNK = 64 * 1024

logger = logging.getLogger('netbox.substruct.feed')


class TakeSnapshot(APIException):
    """410: what has changed since the cursor cannot be told."""

    status_code = status.HTTP_410_GONE

    def __init__(self, error: CursorError):
        super().__init__(detail={'detail': str(error), 'code': error.code})


class AnyAccept(DefaultContentNegotiation):
    """The feed has one form whatever is asked for, and its errors are JSON; a client may accept either."""

    def select_renderer(self, request, renderers, format_suffix=None):
        return renderers[0], renderers[0].media_type


class FeedMixin:
    """`boot-servers/<id>/feed/`.  Needs the permission `feed` on the boot server, and no other: a reader that lost a
    permission to view devices must not take the rest for all there is."""

    @extend_schema(
        operation_id='plugins_substruct_boot_servers_feed',
        parameters=[
            OpenApiParameter(
                'after', str, description='Cursor of the last feed that was read to its end. Leave out for a snapshot.'
            )
        ],
        responses={
            (200, MEDIA_TYPE): OpenApiResponse(
                OpenApiTypes.BYTE, description=f'Feed, protocol {messages.PROTOCOL}: one JSON object a line.'
            ),
            410: OpenApiResponse(OpenApiTypes.OBJECT, description='The cursor cannot be used: take a snapshot.'),
        },
    )
    @action(
        detail=True,
        methods=['get'],
        permission_classes=[permission(GET='feed')],
        renderer_classes=[JSONRenderer],
        content_negotiation_class=AnyAccept,
        filterset_class=None,
        pagination_class=None,
    )
    def feed(self, request, pk=None):
        """The desired state of everything that this boot server serves: a snapshot, or what changed after a cursor."""
        boot_server = get_object_or_404(BootServer.objects.restrict(request.user, 'feed'), pk=pk)
        lines = reader.read(boot_server.pk, request.query_params.get('after'))
        try:
            first = next(lines)
        except CursorError as error:
            raise TakeSnapshot(error) from error
        except reader.NoBootServer as error:
            raise NotFound(str(error)) from error
        response = StreamingHttpResponse(_Chunks(first, lines, boot_server.name), content_type=MEDIA_TYPE)
        response['Cache-Control'] = 'no-store'
        response['X-Accel-Buffering'] = 'no'
        response['Substruct-Feed-Protocol'] = str(messages.PROTOCOL)
        return response

    @extend_schema(
        operation_id='substruct_boot_servers_artifact',
        responses={
            (200, 'text/plain'): OpenApiTypes.STR,
            404: OpenApiResponse(OpenApiTypes.OBJECT, description='No artifact of a build under way here.'),
        },
    )
    @action(
        detail=True,
        methods=['get'],
        url_path=r'artifacts/(?P<artifact>\d+)',
        url_name='artifact',
        permission_classes=[permission(GET='feed')],
        content_negotiation_class=AnyAccept,
        filterset_class=None,
        pagination_class=None,
    )
    def artifact(self, request, pk=None, artifact=None):
        """The content of an artifact of a build that is under way on a machine that this boot server serves."""
        boot_server = get_object_or_404(BootServer.objects.restrict(request.user, 'feed'), pk=pk)
        found = get_object_or_404(
            BuildArtifact.objects.select_related('build').filter(build__state__in=BUILD_OPEN), pk=artifact
        )
        if not reader.serves(boot_server.pk, found.build.machine_id):
            raise NotFound
        return content(found, request)


class _Chunks:
    """The lines in chunks of whole ones.

    An error on the way breaks the answer off without its end, which readers notice.  Closing it, as the web server does
    when a reader goes away, ends the transaction at once, also if nothing was read yet.
    """

    def __init__(self, first: bytes, lines: Generator[bytes], name: str) -> None:
        self._first = first
        self._lines = lines
        self._chunks = self._gather(name)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        self._chunks.close()
        self._lines.close()

    def _gather(self, name: str) -> Generator[bytes]:
        chunk, size = [self._first], len(self._first)
        try:
            for line in self._lines:
                chunk.append(line)
                size += len(line)
                if size >= CHUNK:
                    yield b''.join(chunk)
                    chunk, size = [], 0
            yield b''.join(chunk)
        except Exception:
            logger.exception('The feed of boot server %s broke off', name)
            raise
