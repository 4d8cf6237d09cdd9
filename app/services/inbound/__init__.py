"""The mail door: its addresses, storing what comes in, and acting on it."""
