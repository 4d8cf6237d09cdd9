"""Mindsum's emails: plain values in, one finished `Message` out; knows nothing of the app."""
