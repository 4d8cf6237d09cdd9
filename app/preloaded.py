"""`python -m app.preloaded`: granian, with the application loaded before it forks its workers."""

from granian.cli import entrypoint

from app import serve

if __name__ == "__main__":
    serve.preload()
    entrypoint()  # type: ignore[no-untyped-call] # granian types its servers, not its command
