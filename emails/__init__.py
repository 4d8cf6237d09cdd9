"""Mindsum's emails: plain values in, one finished `Message` out; independent of app/."""

# First of all, since it decides where every zone is read.
from emails import zones as zones
