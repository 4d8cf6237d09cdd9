"""A mail door that was closed: its job is missed by no health check, its addresses have ended."""

from app import clock, config
from app.config import Settings
from app.services.inbound import addresses
from app.services.ops import health
from app.store.models import Role
from tests.harness.ops_pages import beat
from tests.scenarios.story import Story
from tests.services.inbound.conftest import Post


def scheduler_is_well() -> bool:
    return next(each.is_ok for each in health.checks(clock.now()) if each.name == "scheduler")


def test_the_job_of_a_closed_door_is_not_missed(story: Story, settings: Settings) -> None:
    beat("process_inbound")
    story.wait(hours=2)
    beat()
    assert not scheduler_is_well()
    config.use(settings.model_copy(update={"inbound_domain": None}))
    assert scheduler_is_well()


def test_entries_keep_their_organizer_and_replies_go_to_support(
    story: Story, post: Post, settings: Settings
) -> None:
    booking = story.ask()
    organizer = post.organizer(booking)
    config.use(settings.model_copy(update={"inbound_domain": None}))
    assert addresses.owner_of(organizer) is None
    after = addresses.organizer_of(story.reload(booking), Role.THERAPIST)
    assert (organizer in after.sender, after.hears) == (True, False)
    sent = story.sent()
    assert {each.parsed["Reply-To"] for each in sent} == {settings.support_email}
    assert {each.envelope_from for each in sent} == {"bookings@mindsum.invalid"}
    assert all(b"RSVP=3DTRUE" not in each.raw for each in sent)
