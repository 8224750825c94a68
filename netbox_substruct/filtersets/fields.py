"""Filters that NetBox has none for: members of arrays, and IP addresses without prefix length, alone and in arrays."""

from django.core.validators import validate_ipv46_address

from utilities.filters import MultiValueArrayFilter, MultiValueCharFilter

__all__ = ('MultiValueAddressArrayFilter', 'MultiValueAddressFilter', 'MultiValueMemberFilter')


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
