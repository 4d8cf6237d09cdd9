"""Bodies that are compressed once and sent to many."""

import gzip
from dataclasses import dataclass, field

from flask import Response, request

from app.web import scripts
from app.web.scripts import KeptResponse


@dataclass(frozen=True, slots=True)
class SharedBody:
    """The same for everybody.

    A page with a secret is never compressed: from its size others could guess the secret.
    """

    plain: bytes
    mimetype: str
    _gzipped: bytes = field(init=False, repr=False)
    _script_sources: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_gzipped", gzip.compress(self.plain, mtime=0))
        object.__setattr__(self, "_script_sources", scripts.sources_in(self.plain))

    def response(self) -> Response:
        """Compressed where the browser takes it."""
        headers = {"Vary": "Accept-Encoding"}
        body = self.plain
        if request.accept_encodings.quality("gzip") > 0:
            body, headers["Content-Encoding"] = self._gzipped, "gzip"
        response = KeptResponse(body, mimetype=self.mimetype, headers=headers)
        response.script_sources = self._script_sources
        return response
