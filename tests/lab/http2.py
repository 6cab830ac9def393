# SPDX-License-Identifier: BSD-2-Clause
#
# HTTP/2 with python3-h2: an origin that does what its paths say (falls silent, resets, leaves, speaks
# WebSocket over a stream), and a client that tells what became of each of its streams.

import contextlib
import socket
import ssl
import struct
import time

from case import Skip
from misbehaving import Origin
from tlsclient import TlsClient

try:
    import h2.config
    import h2.connection
    import h2.events
    import h2.settings
except ImportError:
    h2 = None

PAGE = b"<!DOCTYPE html><title>chat</title><ol id=messages></ol><p id=state>new</p><script>" \
    b"const socket = new WebSocket('wss://' + location.host + '/ws');" \
    b"socket.onopen = () => { document.getElementById('state').textContent = 'open'; };" \
    b"socket.onclose = () => { document.getElementById('state').textContent = 'closed'; };" \
    b"socket.onmessage = event => { const item = document.createElement('li');" \
    b"item.textContent = event.data; document.getElementById('messages').append(item); };" \
    b"</script>"


def text_frame(payload, opcode=1):
    """A frame of a WebSocket's server."""
    size = len(payload)
    return bytes([0x80 | opcode]) + (bytes([size]) if size < 126 else b"\x7e" + struct.pack("!H", size)) \
        + payload


def masked_frame(payload, opcode=1, mask=b"mask"):
    """One of its client, shorter than 126 bytes."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + mask \
        + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


class Http2Origin(Origin):
    """
    /text answers; /silent does not; /stall and /stall-late stop in the middle of a body; /reset/CODE
    resets before, /reset-late/CODE after the head; /leave closes the connection without a word,
    /goaway-below with GOAWAY that leaves the request out, /goaway-at with one that takes it in and
    without an answer, /goaway-served with an answer; /ws takes a WebSocket (RFC 8441), sends `messages`
    and echoes.
    """

    plain = False

    def __init__(self, lab, host):
        if h2 is None:
            raise Skip("python3-h2 is not installed")
        self.messages = []
        self.heard = []   # what came over WebSockets, unmasked
        self.asked = []   # (method, protocol, path)
        self.trailers = []
        super().__init__(lab, host)
        self.context.set_alpn_protocols(["h2"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def serve(self, sock, tls, connection):
        sock = self.handshake(sock, tls)
        http2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        http2.local_settings = h2.settings.Settings(client=False, initial_values={
            h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL: 1,
            h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 100})
        http2.initiate_connection()
        sock.sendall(http2.data_to_send())
        tunnels = {}
        while data := sock.recv(65536):
            for event in http2.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    self._answer(http2, event, tunnels)
                elif isinstance(event, h2.events.TrailersReceived):
                    self.trailers.append({k.decode(): v.decode() for k, v in event.headers})
                elif isinstance(event, h2.events.DataReceived):
                    http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                    if event.stream_id in tunnels:
                        tunnels[event.stream_id] += event.data
                        self._frames(http2, event.stream_id, tunnels)
            sock.sendall(http2.data_to_send())
            if self._leaves:
                self._leaves = False
                sock.close()
                return
        connection.ended = "eof"

    _leaves = False

    def _answer(self, http2, event, tunnels):
        fields = {k.decode(): v.decode() for k, v in event.headers}
        path, stream = fields.get(":path", ""), event.stream_id
        self.asked.append((fields[":method"], fields.get(":protocol"), path))
        word, _, rest = path[1:].partition("/")
        number = int(rest or 0)
        if word == "ws" and fields.get(":protocol") == "websocket":
            http2.send_headers(stream, [(":status", "200")])
            tunnels[stream] = b""
            for message in self.messages:
                http2.send_data(stream, text_frame(message.encode()))
            return
        if word in ("stall", "reset-late"):
            self._begin(http2, stream)
        if word in ("reset", "reset-late"):
            http2.reset_stream(stream, number)
        elif word in ("leave", "goaway-below", "goaway-at", "goaway-served"):
            if word == "goaway-served":
                self._begin(http2, stream, b"served", True)
            if word != "leave":
                http2.close_connection(0, last_stream_id=max(0, stream - 2 * (word == "goaway-below")))
            self._leaves = True
        elif word in ("text", "page"):
            page = word == "page"
            self._begin(http2, stream, PAGE if page else b"text", True, "text/html" if page else "text/plain")

    @staticmethod
    def _begin(http2, stream, body=b"x" * 5000, end=False, kind="text/plain"):
        http2.send_headers(stream, [(":status", "200"), ("content-type", kind)])
        http2.send_data(stream, body, end_stream=end)

    def _frames(self, http2, stream, tunnels):
        """Echoes what is whole; frames shorter than 126 bytes, as this lab's clients send them."""
        data = tunnels[stream]
        while len(data) >= 6 and len(data) >= 6 + (size := data[1] & 127):
            payload = bytes(byte ^ data[2 + at % 4] for at, byte in enumerate(data[6:6 + size]))
            opcode, data = data[0] & 15, data[6 + size:]
            self.heard.append(payload)
            http2.send_data(stream, text_frame(payload, opcode), end_stream=opcode == 8)
        tunnels[stream] = data


class Stream:
    """What came back on a stream."""

    def __init__(self):
        self.status = self.reset = None
        self.fields, self.body, self.ended = {}, b"", False

    def over(self):
        return self.ended or self.reset is not None

    def __repr__(self):
        return "status %r, %d bytes, ended %r, reset %r" % (self.status, len(self.body), self.ended, self.reset)


def _patient_connection():
    """python3-h2 takes nothing after GOAWAY; what was asked before is still answered then."""
    class Connection(h2.connection.H2Connection):
        def _receive_goaway_frame(self, frame):
            state = self.state_machine.state
            result = super()._receive_goaway_frame(frame)
            self.state_machine.state = state
            return result
    return Connection(h2.config.H2Configuration(client_side=True))


class Http2Client:
    def __init__(self, lab, host, client="clinician"):
        if h2 is None:
            raise Skip("python3-h2 is not installed")
        self.host, self.streams, self.goaway, self.closed = host, {}, None, False
        self.allows_connect = False
        self.sock = lab.network.connect(client, lab.address(host), 443)
        self.tls = TlsClient(self.sock, host, lab.trust("clinic"), alpn=("h2",)).handshake()
        self.http2 = _patient_connection()
        self.http2.initiate_connection()
        self.flush()

    def flush(self):
        data = self.http2.data_to_send()
        if data:
            with contextlib.suppress(OSError, ssl.SSLError):
                self.tls.send(data)

    def ask(self, path, method="GET", fields=(), body=None, end=True):
        """The stream's id. Without `end` the request stays open."""
        stream = self.http2.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "https"), (":authority", self.host), (":path", path), *fields]
        self.streams[stream] = Stream()
        self.http2.send_headers(stream, head, end_stream=end and body is None)
        if body is not None:
            self.http2.send_data(stream, body, end_stream=end)
        self.flush()
        return stream

    def send_trailer(self, stream, *fields):
        self.http2.send_headers(stream, fields, end_stream=True)
        self.flush()

    def send(self, stream, data, end=False):
        self.http2.send_data(stream, data, end_stream=end)
        self.flush()

    def wait(self, condition, seconds=10):
        """Takes what comes until the condition holds; False when the connection ended, or time did."""
        limit = time.monotonic() + seconds
        while not condition():
            self.sock.settimeout(max(0.01, limit - time.monotonic()))
            try:
                data = self.tls.receive()
            except socket.timeout:
                return False
            except (OSError, ssl.SSLError):
                data = b""
            if not data:
                self.closed = True
                return condition()
            for event in self.http2.receive_data(data):
                self._take(event)
            self.flush()
        return True

    def finish(self, *streams, seconds=10):
        """Waits until these are over; gives the last of them."""
        self.wait(lambda: all(self.streams[s].over() for s in streams), seconds)
        return self.streams[streams[-1]]

    def _take(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.ResponseReceived):
            stream.fields = {k.decode(): v.decode() for k, v in event.headers}
            stream.status = int(stream.fields[":status"])
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data
            self.http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset = int(event.error_code)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event.last_stream_id
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            code = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
            if code in event.changed_settings:
                self.allows_connect = event.changed_settings[code].new_value == 1

    def close(self):
        self.sock.close()
