"""The form that opens a therapist's account, with the rules of `mindsum therapist add`."""

from wtforms import BooleanField, StringField, ValidationError
from wtforms import Field as FormField

from app.rules.weekly_hours import parse_windows
from app.services import validation
from app.services.therapists.accounts import NewTherapist
from app.web.forms import Checked, SiteForm, require_given_name


def _phone(value: str) -> str:
    return validation.phone(value) if value.strip() else ""


class AccountForm(SiteForm):
    """Set `currency` before `validate`."""

    class Meta:
        # The guard of the ops desk checks the token.
        csrf = False

    name = StringField("Name", [Checked(validation.name)])
    given_name = StringField("What clients call them", [Checked(validation.given_name)])
    email = StringField("Email address", [Checked(validation.email)])
    slug = StringField("Short name in the address", [Checked(validation.slug)])
    rate = StringField("Rate for one session")
    timezone = StringField("Time zone", [Checked(validation.timezone)])
    available = StringField("Weekly hours", [Checked(parse_windows)])
    meeting_url = StringField("Meeting link", [Checked(validation.meeting_url)])
    phone = StringField("Phone", [Checked(_phone)])
    is_paid_only = BooleanField("No free initial consultation")
    currency = ""

    def validate_given_name(self, field: FormField) -> None:
        require_given_name(self.name, field)

    def validate_rate(self, field: FormField) -> None:
        try:
            field.checked = validation.rate(field.data or "", self.currency)
        except ValueError as error:
            raise ValidationError(f"Please give {error}.") from None

    def to_account(self) -> NewTherapist:
        """After `validate`."""
        return NewTherapist(
            slug=self.slug.checked,
            name=self.name.checked,
            given_name=self.given_name.checked,
            email=self.email.checked,
            timezone=self.timezone.checked,
            rate_minor=self.rate.checked,
            windows=self.available.checked,
            offers_free_consultation=not self.is_paid_only.data,
            meeting_url=self.meeting_url.checked,
            phone=self.phone.checked,
        )
