"""A TCP proxy that misbehaves on request: it cuts, stalls, refuses, or breaks off after so many bytes.

    with Proxy(server.port) as proxy:
        ... connect to 127.0.0.1:proxy.port ...
        proxy.cut()                      # reset every connection; new ones are taken
        proxy.stall(); proxy.resume()    # bytes stay where they are, the connections stay open
        proxy.refuse(); proxy.accept()   # new connections are closed at once
        proxy.vanish()                   # reset every connection, and let the server know nothing of it
        proxy.cut_after(10_000)          # reset after so many more bytes from the server
        proxy.edit = make                # make() gives each new connection a function from the server's bytes to others
"""

import contextlib
import socket
import struct
import threading


class Proxy:
    """Forwards 127.0.0.1:port to 127.0.0.1:target."""

    def __init__(self, target):
        self.target = target
        self.connections = 0          # accepted so far
        self.from_server = 0          # bytes forwarded
        self.held = 0                 # reads that a stall has kept
        self._lock = threading.Lock()
        self._flow = threading.Event()
        self._flow.set()
        self._refusing = False
        self._closed = False
        self._allowance = None
        self.edit = None
        self._pairs = set()
        self._vanished = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._closed = True
        self._flow.set()
        # wakes accept(), which a close alone does not
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for server in self._vanished:
            _reset(server)

    def open(self):
        """How many connections are open now."""
        with self._lock:
            return len(self._pairs)

    def cut(self):
        """Resets every connection that is open now."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            for end in pair:
                _reset(end)

    def vanish(self):
        """Half-open connections, as a machine or a firewall that lost its memory leaves them: to the server they stand."""
        with self._lock:
            pairs, self._pairs = self._pairs, set()
            self._vanished += [server for _, server in pairs]
        for client, _ in pairs:
            _reset(client)

    def stall(self):
        self._flow.clear()

    def resume(self):
        self._flow.set()

    def refuse(self):
        self._refusing = True

    def accept(self):
        self._refusing = False

    def cut_after(self, count):
        """Resets all connections once the server has sent so many more bytes."""
        with self._lock:
            self._allowance = count

    def _accept(self):
        while not self._closed:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            self.connections += 1
            if self._refusing:
                _reset(client)
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                _reset(client)
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
            threading.Thread(target=self._pump, args=(client, server, pair, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(server, client, pair, True), daemon=True).start()

    def _pump(self, source, sink, pair, from_server):
        """Copies one direction; the end of either ends the connection."""
        edit = self.edit() if from_server and self.edit is not None else None
        try:
            while data := source.recv(65536):
                if not self._flow.is_set():
                    with self._lock:
                        self.held += 1
                    self._flow.wait()
                data = edit(data) if edit is not None else data
                data, cut = self._spend(data) if from_server else (data, False)
                sink.sendall(data)
                if cut:
                    self.cut()
        except OSError:
            pass
        with self._lock:
            ours = pair in self._pairs
            self._pairs.discard(pair)
        if ours:
            for end in pair:
                _close(end)

    def _spend(self, data):
        with self._lock:
            cut = self._allowance is not None and len(data) >= self._allowance
            if cut:
                data, self._allowance = data[:self._allowance], None
            elif self._allowance is not None:
                self._allowance -= len(data)
            self.from_server += len(data)
        return data, cut


class MysqlPackets:
    """For Proxy.edit: whole packets of the MySQL protocol, passed through a function that may give others.

    change(payload) returns a payload, or None to leave it as it is. A payload of several packets is left alone.
    """

    def __init__(self, change):
        self._change = change
        self._bytes = bytearray()

    def __call__(self, data):
        self._bytes += data
        out = bytearray()
        while len(self._bytes) >= 4:
            size = int.from_bytes(self._bytes[:3], "little")
            if len(self._bytes) < 4 + size:
                break
            head, payload = self._bytes[3], bytes(self._bytes[4:4 + size])
            del self._bytes[:4 + size]
            changed = self._change(payload) if size < 0xffffff else None
            payload = payload if changed is None else changed
            out += len(payload).to_bytes(3, "little") + bytes([head]) + payload
        return bytes(out)


def _reset(end):
    """Closes with RST instead of FIN, as the peer's crashed machine or a firewall would."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RD)  # wakes the other thread's recv, and sends nothing
    end.close()


def _close(end):
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
