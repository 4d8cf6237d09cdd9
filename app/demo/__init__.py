"""The demo: the site, a scheduler and a mailbox on one machine."""
