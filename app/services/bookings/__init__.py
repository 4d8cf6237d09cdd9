"""The life of a booking: requested, answered, cancelled, replaced; its money, messages and log."""
