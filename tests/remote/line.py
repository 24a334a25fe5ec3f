"""A line to a server on loopback, which can be disturbed: cut, slow, refused, or answered with 503.

with Line(port) as line:
    line.fault = "cut"
"""

import socket
import threading
import time
from contextlib import suppress

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Line:
    """Takes connections at `port`, and passes on what comes, or does what `fault` says."""

    def __init__(self, server: int):
        self._server = server
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.fault: str | None = None
        """What is done to what comes: "cut" in its midst, answered as "busy", "slow" on its way; None passes it on."""
        self.faults = 0
        """How often the line was disturbed."""
        self.requests = self.received = 0
        """How many requests for something there went through it, and the bytes that came back."""

    def __enter__(self) -> "Line":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._connected, args=(client,), daemon=True).start()

    def _connected(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._server), timeout=60)
        except OSError:
            client.close()
            return
        threading.Thread(target=self._back, args=(server, client), daemon=True).start()
        try:
            while piece := client.recv(1 << 16):
                self.requests += piece.startswith((b"GET ", b"HEAD "))
                fault = self.fault
                if fault is not None:
                    self.faults += 1
                if fault == "cut":  # in the midst of what is being sent
                    server.sendall(piece[: len(piece) // 2])
                    break
                if fault == "busy":
                    client.sendall(BUSY)
                    break
                if fault == "slow":
                    time.sleep(0.02)
                server.sendall(piece)
        except OSError:
            pass
        _end(client, server)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while piece := server.recv(1 << 16):
                self.received += len(piece)
                client.sendall(piece)
        except OSError:
            pass
        _end(client, server)


def _end(*sockets: socket.socket) -> None:
    for each in sockets:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
