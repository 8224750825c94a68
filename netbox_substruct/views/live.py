"""The parts of pages that are fetched again while a build is watched.

Where nothing has happened the answer is 204, which leaves the page as it is.  Whoever is not signed in any more, or
watches a build that is gone, gets the whole page anew, which says so.
"""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from netbox.views.generic.base import BaseObjectView
from utilities.permissions import get_permission_for_model
from utilities.views import register_model_view

from .. import watching
from ..models import Build, BuildEvent
from ..panels.live import build_live, build_log
from .buttons import OF_BUILD

__all__ = ('BuildLiveView', 'BuildLogView')

# Said when a build has come to another state, to whatever else on the page shows that.
MOVED = 'substruct-build-moved'


class LiveView(BaseObjectView):
    queryset = Build.objects.defer('request').select_related('machine__device', 'machine__virtual_machine')

    def get_required_permission(self):
        return get_permission_for_model(Build, 'view')

    def dispatch(self, request, *args, **kwargs):
        part = bool(request.headers.get('HX-Request'))
        if part and not request.user.is_authenticated:
            return self.anew()
        try:
            return super().dispatch(request, *args, **kwargs)
        except Http404:
            if part:
                return self.anew()
            raise

    @staticmethod
    def anew():
        return HttpResponse(status=204, headers={'HX-Refresh': 'true'})


@register_model_view(Build, 'live')
class BuildLiveView(LiveView):
    """State, stages and timeline of a build; `seen` stands for what the page shows already."""

    def get(self, request, **kwargs):
        build = self.get_object(**kwargs)
        shown = request.GET.get('seen', '')
        visible = BuildEvent.objects.restrict(request.user, 'view').filter(build=build)
        last = visible.order_by('-pk').values_list('pk', flat=True).first()
        if watching.seen(build.state, build.progress, last, timezone.now() - build.created) == shown:
            return HttpResponse(status=204)
        context = build_live(build, request.user, OF_BUILD, title=request.GET.get('of') == 'machine')
        answer = render(request, 'netbox_substruct/inc/build_live.html', context)
        if shown.partition('.')[0] != build.state:
            answer['HX-Trigger'] = MOVED
        return answer


@register_model_view(Build, 'log')
class BuildLogView(LiveView):
    """What was written after the event `after`."""

    def get(self, request, **kwargs):
        build = self.get_object(**kwargs)
        after = request.GET.get('after', '')
        after = int(after) if after.isdecimal() and len(after) < 19 else 0
        context = build_log(build, request.user, after)
        if not context['parts'] and context['interval']:
            return HttpResponse(status=204)
        return render(request, 'netbox_substruct/inc/build_log.html', {**context, 'last': context['last'] or after})
