"""Bodies that are compressed once and sent to many."""

import gzip
from dataclasses import dataclass, field

from flask import Response, request


class CompressedResponse(Response):
    """`plain` is its body as the browser reads it."""

    plain: bytes


@dataclass(frozen=True, slots=True)
class SharedBody:
    """The same for everybody.

    A page with a secret is never compressed: from its size others could guess the secret.
    """

    plain: bytes
    mimetype: str
    _gzipped: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_gzipped", gzip.compress(self.plain, mtime=0))

    def response(self) -> Response:
        """Compressed where the browser takes it."""
        response: Response
        if request.accept_encodings.quality("gzip") > 0:
            response = compressed = CompressedResponse(self._gzipped, mimetype=self.mimetype)
            compressed.plain, compressed.content_encoding = self.plain, "gzip"
        else:
            response = Response(self.plain, mimetype=self.mimetype)
        response.vary.add("Accept-Encoding")
        return response


def plain_body(response: Response) -> bytes:
    return response.plain if isinstance(response, CompressedResponse) else response.get_data()
