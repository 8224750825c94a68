"""Form fields and widgets that more than one module of forms needs."""

from django import forms
from django.contrib.postgres.forms import SimpleArrayField
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

__all__ = ('AddressListField', 'CSVBooleanField', 'CSVDefaultsMixin', 'InheritedBooleanSelect')


class InheritedBooleanSelect(forms.NullBooleanSelect):
    """Yes, no, or inherited (not set)."""

    def __init__(self, attrs=None):
        super().__init__(attrs)
        self.choices = [('unknown', _('Inherited')), ('true', _('Yes')), ('false', _('No'))]


class AddressListField(SimpleArrayField):
    """IP addresses without prefix length, separated by commas."""

    def __init__(self, **kwargs):
        super().__init__(forms.GenericIPAddressField(), **kwargs)


class CSVBooleanField(forms.Field):
    """Yes, no or nothing in an import.  What is none of them is refused; Django’s own field takes it for nothing."""

    WORDS = {'true': True, 'yes': True, '1': True, 'false': False, 'no': False, '0': False, '': None}

    def to_python(self, value):
        try:
            return self.WORDS[str('' if value is None else value).strip().lower()]
        except KeyError:
            raise ValidationError(_('"%(value)s" is neither true nor false.'), params={'value': value}) from None


class CSVDefaultsMixin:
    """For import forms: the fields named in `defaulted` may be left empty, which leaves their values as they are."""

    defaulted = ()

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name in self.defaulted:
            self.fields[name].required = False

    def clean(self):
        cleaned = super().clean()
        for name in self.defaulted:
            if name in self.fields and cleaned.get(name) is None:
                cleaned[name] = getattr(self.instance, name)
        return cleaned
