"""Which device type a machine is of, by what its firmware calls it."""

import re
from dataclasses import dataclass
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext as _

from .changes import Change, Line, New, Object, create, known
from .facts import Facts
from .parts import Makers, maker_key


@dataclass(frozen=True, slots=True)
class Found:
    """`device_type` is the DeviceType, or None; then `why` says so in words."""

    device_type: Any
    why: str = ''


def find(facts: Facts, makers: Makers) -> Found:
    """The device type whose model, part number or slug is the product that the machine says it is."""
    from dcim.models import DeviceType

    names = _names(facts)
    if not names:
        return Found(None, _('The machine does not say what product it is.'))
    wanted = {_plain(name) for name in names}
    maker = makers.find(facts.manufacturer or '')
    rows = DeviceType.objects.select_related('manufacturer')
    if maker is not None:
        rows = rows.filter(manufacturer=maker)
    maker_words = _plain(maker.name if maker is not None else facts.manufacturer or '')
    same = []
    for each in rows:
        keys = {_plain(each.model), _plain(each.part_number), _plain(each.slug)} - {''}
        # "PowerEdge R650", "dell-poweredge-r650": makers stand before the model in slugs.
        if keys & (wanted | {maker_words + name for name in wanted}):
            same.append(each)
    if len(same) == 1:
        return Found(same[0])
    said = ' '.join(each for each in (facts.manufacturer, names[0]) if each)
    if same:
        return Found(
            None,
            _('Several device types may be "{product}": {types}. Choose one.').format(
                product=said, types=', '.join(f'{each.manufacturer} {each.model}' for each in same[:5])
            ),
        )
    return Found(None, _('NetBox has no device type for "{product}".').format(product=said))


def _names(facts: Facts) -> list[str]:
    """What the product may be called: makers put what people call it into any of these."""
    found = (facts.system.product, facts.system.sku, facts.system.version, facts.system.family, facts.board.product)
    return list(dict.fromkeys(each for each in found if each))


def _plain(name: str) -> str:
    return re.sub(r'[\W_]+', '', name.lower())


def new_line(facts: Facts, makers: Makers) -> tuple[Line | None, Object | None]:
    """A device type made of what the machine says, and its manufacturer; None where it says too little."""
    product = facts.product
    if not product or not facts.manufacturer:
        return None, None
    changes: list[Change] = []
    maker = makers.find(facts.manufacturer)
    if maker is not None:
        of: Object = known(maker)
    else:
        of = New(key='manufacturer', name=facts.manufacturer)
        slug = slugify(facts.manufacturer) or maker_key(facts.manufacturer)
        changes.append(create('dcim.manufacturer', 'manufacturer', name=facts.manufacturer[:100], slug=slug[:100]))
    name = f'{facts.manufacturer} {product}'
    made = New(key='device-type', name=product)
    changes.append(
        create(
            'dcim.devicetype', 'device-type', manufacturer=of, model=product[:100],
            slug=slugify(name)[:100] or 'machine', part_number=(facts.system.sku or '')[:50],
        )
    )  # fmt: skip
    return (
        Line(
            key='device-type', section='device', title=_('Device type {name} (new)').format(name=name), required=True,
            reason=_('NetBox has no device type for it.'),
            warnings=(_('A machine does not say how high it is: it becomes 1 U, with no component templates.'),),
            changes=tuple(changes),
        ),
        made,
    )  # fmt: skip
