"""The therapist's pages, behind sign-in."""
