"""What operators need: health, backup, replay, and skipping emails after a restore."""
