"""The form that asks for another attempt of a build."""

from django import forms
from django.utils.translation import gettext_lazy as _

from utilities.forms import ConfirmationForm

__all__ = ('RetryBuildForm',)


class RetryBuildForm(ConfirmationForm):
    """The name is asked for whenever `lifecycle` would ask for it."""

    # For the preflight beneath the form, which looks at the profile that is chosen; here nobody chooses.
    profile = forms.IntegerField(required=False, widget=forms.HiddenInput)
    description = forms.CharField(
        label=_('Description'),
        max_length=200,
        required=False,
        help_text=_('Why it is tried again; if empty, the description of the build that is.'),
    )
    override = forms.CharField(label=_('Name of the machine'), required=False)

    def __init__(self, *args, guard=None, profile=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields['profile'].initial = profile
        if guard:
            self.fields['override'].help_text = _('{reason}. Type its exact name to build it all the same.').format(
                reason=guard
            )
        else:
            del self.fields['override']
