"""Mindsum's emails: plain values in, one finished `Message` out; independent of app/."""
