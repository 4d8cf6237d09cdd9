"""What operators need: health, backup, replay, who may use the ops desk, and what they do there."""
