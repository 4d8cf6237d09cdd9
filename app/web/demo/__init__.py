"""The demo's mailbox and clock; not part of a real site."""
