"""Find a Therapist, the therapist's page and the request form."""
