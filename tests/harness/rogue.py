"""A server that is none: it speaks just enough of MySQL's protocol to greet, to ask for a password in its own way, and to give one answer to a question."""

import contextlib
import socket
import struct
import threading

CAPABILITIES = 0xffffffff & ~(1 << 0 | 1 << 5 | 1 << 11 | 1 << 24)  # no compression, no TLS, the newer kind of EOF packet neither
OK = b"\0\0\0\2\0\0\0"


def _packet(sequence, payload):
    return len(payload).to_bytes(3, "little") + bytes([sequence & 255]) + payload


def _greeting():
    low, high = struct.pack("<I", CAPABILITIES)[:2], struct.pack("<I", CAPABILITIES)[2:]
    return (b"\x0a5.5.5-10.11.6-MariaDB\0" + struct.pack("<I", 7) + b"12345678\0" + low + b"\x21\2\0" + high + bytes([21]) + bytes(6)
            + struct.pack("<I", 0x1d) + b"123456789012\0mysql_native_password\0")


class RogueMysql:
    """Listens on 127.0.0.1:port. plugin: the login is switched to it. answer: what every statement is answered with; after one that is not OK
    a client may say one thing more."""

    def __init__(self, plugin=None, answer=OK):
        self.plugin, self.answer = plugin, answer
        self.heard = b""  # all that clients sent behind the first packet of their login
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError, EOFError), client:  # a timeout is an OSError
            client.sendall(_packet(0, _greeting()))
            sequence, _ = self._read(client)
            if self.plugin is not None:
                client.sendall(_packet(sequence + 1, b"\xfe" + self.plugin.encode() + b"\0" + b"abcdefghijklmnopqrst\0"))
                self.heard += self._read(client)[1]
                return
            client.sendall(_packet(sequence + 1, OK))
            while True:
                sequence, payload = self._read(client)
                self.heard += payload
                client.sendall(_packet(sequence + 1, self.answer))
                if self.answer != OK:
                    client.settimeout(1)
                    self.heard += self._read(client)[1]
                    return

    @staticmethod
    def _read(client):
        def take(size):
            data = b""
            while len(data) < size:
                more = client.recv(size - len(data))
                if not more:
                    raise EOFError
                data += more
            return data
        head = take(4)
        return head[3], take(int.from_bytes(head[:3], "little"))
