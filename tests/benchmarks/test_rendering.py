"""Rendering one build's bundle of four artifacts, beside NetBox's own rendering of the same templates."""

import json

from .conftest import Labs, Report, shell

_MEASURE = '''
import json, statistics, time
from extras.models import ConfigTemplate
from netbox_substruct import bundles
from netbox_substruct.bundles import templates
from netbox_substruct.context.reading import boot_image_of
from netbox_substruct.models import Machine, ProfileTemplate

USER_DATA = """#cloud-config
hostname: {{ machine.hostname }}
fqdn: {{ machine.fqdn }}
users:
{% for user in parameters.users | default([]) %}
- name: {{ user.name }}
{% endfor %}
write_files:
{% for interface in interfaces %}
- path: /etc/note/{{ interface.name }}
  content: |
{% for address in interface.addresses %}
    {{ address.address }} {{ address.dns_name }}
{% endfor %}
{% endfor %}
"""
FINISH = """#!/bin/sh
{% for interface in interfaces %}
echo {{ interface.name }} {{ interface.mac | default("none", true) }}
{% endfor %}
"""
found = None
for candidate in Machine.objects.filter(
    device__isnull=False, profile__isnull=False, state__in=["registered", "built"]
).order_by("pk")[:200]:
    bundle = bundles.preview(candidate)
    if not bundle.errors and bundle.get("preseed"):
        found = candidate
        break
assert found is not None, bundle.errors
for kind, text in (("user-data", USER_DATA), ("finish", FINISH)):
    template, _ = ConfigTemplate.objects.get_or_create(name=f"benchmark {kind}", defaults={"template_code": text})
    ProfileTemplate.objects.get_or_create(profile=found.profile, kind=kind, defaults={"config_template": template})
bundle = bundles.preview(found)
assert not bundle.errors and len(bundle.artifacts) == 4, (bundle.errors, [a.kind for a in bundle.artifacts])
chain = found.profile.chain
sources = templates.of_profile(chain, boot_image_of(chain))

def median(count, function):
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        function()
        took.append(1000 * (time.perf_counter() - begun))
    return statistics.median(took)

plain = bundle.context
own = [ConfigTemplate(name=f"b{n}", template_code=text) for n, text in enumerate((USER_DATA, FINISH) * 2)]
print(">>>" + json.dumps({
    "bytes": sum(len(a.content) for a in bundle.artifacts),
    "render": median(200, lambda: bundles.render(plain, sources)),
    "whole": median(60, lambda: bundles.preview(Machine.objects.get(pk=found.pk))),
    "netbox": median(60, lambda: [t.render(dict(plain)) for t in own]),
}))
'''


def test_one_bundle(labs: Labs, report: Report) -> None:
    lab = labs.of(1_000)
    found = json.loads(shell(lab.lab, _MEASURE))
    report.add(
        f'rendering a bundle of 4 artifacts ({found["bytes"]:,} bytes)',
        f'{found["render"]:.1f} ms; {found["whole"]:.1f} ms with reading NetBox and checking parameters',
        f"NetBox's own rendering of 4 small templates {found['netbox']:.1f} ms",
        'aim: under 20 ms',
    )
