"""The signed links in a therapist's email. Opening one changes nothing; its button acts."""
