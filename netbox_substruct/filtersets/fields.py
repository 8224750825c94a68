"""Filters that NetBox has none for: members of arrays, time zones, and IP addresses without prefix length."""

from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import validate_ipv46_address
from django.utils.translation import gettext as _

from utilities.filters import MultiValueArrayFilter, MultiValueCharFilter

__all__ = (
    'MultiValueAddressArrayFilter',
    'MultiValueAddressFilter',
    'MultiValueMemberFilter',
    'MultiValueTimeZoneFilter',
)


class AddressMixin:
    """Refuses what is no address before PostgreSQL does (with a server error); partial matches take any text."""

    @property
    def field(self):
        field = super().field
        if self.lookup_expr in ('exact', 'contains') and validate_ipv46_address not in field.validators:
            field.validators.append(validate_ipv46_address)
        return field


class MultiValueAddressFilter(AddressMixin, MultiValueCharFilter):
    """For GenericIPAddressField."""


class MultiValueMemberFilter(MultiValueArrayFilter):
    """For ArrayField: arrays that have one of the values among their members."""

    def get_filter_predicate(self, v):
        predicate = super().get_filter_predicate(v)
        if self.lookup_expr == 'contains' and v is not None:
            return {name: [value] for name, value in predicate.items()}
        return predicate


class MultiValueAddressArrayFilter(AddressMixin, MultiValueMemberFilter):
    """For ArrayField(GenericIPAddressField)."""


def validate_time_zone(value: str) -> None:
    if value not in available_timezones():
        raise ValidationError(_('{zone} is no time zone of the IANA database.').format(zone=value))


class MultiValueTimeZoneFilter(MultiValueCharFilter):
    """For TimeZoneField, which answers an unknown zone with a server error.  NetBox has one of its own since 4.7.2."""

    @property
    def field(self):
        field = super().field
        if self.lookup_expr == 'exact' and validate_time_zone not in field.validators:
            field.validators.append(validate_time_zone)
        return field
