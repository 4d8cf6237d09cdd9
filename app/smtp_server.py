"""An SMTP server in a thread of its own: the mail door's, the demo's and the tests'."""

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, Self
from weakref import WeakSet

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

LARGEST_BYTES = 10 * 1024 * 1024


class SmtpServer(Controller):
    """Speaks `protocol` on a socket that listens."""

    def __init__(
        self, handler: object, listener: socket.socket, protocol: type[SMTP] = SMTP, **more: Any
    ) -> None:
        self._listener, self._protocol = listener, protocol
        self._protocols: WeakSet[SMTP] = WeakSet()
        host, port = listener.getsockname()[:2]
        super().__init__(
            handler,
            hostname=host,
            port=port,
            data_size_limit=LARGEST_BYTES,
            # On a busy machine the default of five seconds is too short.
            ready_timeout=60,
            **more,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def factory(self) -> SMTP:
        # aiosmtpd calls it for each connection.
        protocol = self._protocol(self.handler, loop=self.loop, **self.SMTP_kwargs)
        self._protocols.add(protocol)
        return protocol

    def stop(self, no_assert: bool = False) -> None:
        """Close every connection and end the thread; what was answered with 250 is stored."""
        asyncio.run_coroutine_threadsafe(self._hang_up(), self.loop).result()
        super().stop(no_assert)

    def _create_server(self) -> Coroutine[Any, Any, asyncio.Server]:
        return self.loop.create_server(self._factory_invoker, sock=self._listener)

    async def _hang_up(self) -> None:
        if self.server is not None:
            self.server.close()
        for protocol in list(self._protocols):
            if isinstance(protocol.transport, asyncio.WriteTransport):
                protocol.transport.abort()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)
