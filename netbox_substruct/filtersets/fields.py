"""Filters that NetBox has none for: IP addresses without prefix length, alone and in arrays."""

from django.core.validators import validate_ipv46_address

from utilities.filters import MultiValueArrayFilter, MultiValueCharFilter

__all__ = ('MultiValueAddressArrayFilter', 'MultiValueAddressFilter')


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


class MultiValueAddressArrayFilter(AddressMixin, MultiValueArrayFilter):
    """For ArrayField(GenericIPAddressField): arrays that hold one of the addresses."""
