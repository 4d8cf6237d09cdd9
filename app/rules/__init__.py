"""The rules of the service as pure functions; `now` and the policy are arguments."""
