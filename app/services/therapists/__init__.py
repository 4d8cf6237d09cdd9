"""Therapists: accounts, profile, standing, ranking and earnings."""
