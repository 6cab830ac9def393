# SPDX-License-Identifier: BSD-2-Clause
#
# Either end of a TLS connection with every parameter chosen by the case: versions, suites, groups,
# signature algorithms, ALPN, certificates that no server software would take. The TLS is OpenSSL's
# (libssl itself, by ctypes: Python's own module knows few of these); its flights pass through
# here, so that a case can read what was said and change bytes of what leaves.

import ctypes
import ctypes.util
import socket
import struct

_ssl = ctypes.CDLL("libssl.so.3")
_crypto = ctypes.CDLL("libcrypto.so.3")

VERSIONS = {"1.0": 0x0301, "1.1": 0x0302, "1.2": 0x0303, "1.3": 0x0304}
VERSION_NAMES = {number: text for text, number in VERSIONS.items()}

_ALPN = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p),
                         ctypes.POINTER(ctypes.c_ubyte), ctypes.POINTER(ctypes.c_ubyte),
                         ctypes.c_uint, ctypes.c_void_p)
_ADD = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint,
                        ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_size_t),
                        ctypes.POINTER(ctypes.c_int), ctypes.c_void_p)
_PARSE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p,
                          ctypes.c_size_t, ctypes.POINTER(ctypes.c_int), ctypes.c_void_p)
_STATUS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


def _declare(library, result, *names):
    for name in names:
        getattr(library, name).restype = result


_declare(_ssl, ctypes.c_void_p, "TLS_client_method", "TLS_server_method", "SSL_CTX_new", "SSL_new",
         "SSL_get_current_cipher", "SSL_get1_peer_certificate")
_declare(_ssl, ctypes.c_char_p, "SSL_get_version", "SSL_CIPHER_get_name")
_declare(_ssl, ctypes.c_long, "SSL_ctrl", "SSL_CTX_ctrl", "SSL_CTX_callback_ctrl")
_declare(_ssl, ctypes.c_uint64, "SSL_CTX_set_options", "SSL_CTX_clear_options")
_declare(_crypto, ctypes.c_void_p, "BIO_s_mem", "BIO_new", "CRYPTO_malloc", "d2i_X509")
_declare(_crypto, ctypes.c_ulong, "ERR_get_error", "ERR_peek_error", "ERR_peek_last_error")
_declare(_crypto, ctypes.c_char_p, "ERR_reason_error_string", "OBJ_nid2sn")

# From the public headers.
_SET_MIN, _SET_MAX, _EXTRA_CHAIN, _SET_DH = 123, 124, 14, 3
_SET_GROUPS_LIST, _SET_SIGALGS_LIST = 92, 98
_SET_HOST_NAME, _STATUS_CALLBACK, _STATUS_RESPONSE, _STATUS_TYPE = 55, 63, 71, 65
_NEGOTIATED_GROUP, _PEER_SIGNATURE_NID = 134, 108
_SET_MODE, _FALLBACK_SCSV = 33, 0x80
_WANT_READ, _WANT_WRITE, _ZERO_RETURN = 2, 3, 6
_ALERT_OFFSET = 1000
_NO_TICKET, _LEGACY_SERVER, _ALLOW_UNSAFE = 1 << 14, 1 << 2, 1 << 18

ALERTS = {10: "unexpected_message", 20: "bad_record_mac", 40: "handshake_failure",
          42: "bad_certificate", 47: "illegal_parameter", 49: "access_denied", 50: "decode_error",
          51: "decrypt_error", 70: "protocol_version", 71: "insufficient_security",
          80: "internal_error", 86: "inappropriate_fallback", 100: "no_renegotiation",
          109: "missing_extension", 120: "no_application_protocol"}
GROUP_NAMES = {"X25519": "X25519", "prime256v1": "P-256", "secp384r1": "P-384",
               "secp521r1": "P-521", "UNDEF": ""}


def alert_text(number):
    return "alert %d (%s)" % (number, ALERTS.get(number, "?"))


class Refused(Exception):
    """The other side ended it: `alert` is the number of its alert, or None."""

    def __init__(self, alert, reason):
        super().__init__(alert_text(alert) if alert is not None else reason)
        self.alert, self.reason = alert, reason


def _words(*names):
    return ":".join(names).encode()


class Context:
    """
    `versions`: (lowest, highest) such as ("1.2", "1.3"); `suites13`, `suites12`, `groups` and
    `signatures`: OpenSSL's names, None for its own defaults; `alpn`: names, or None.
    """

    def __init__(self, server, versions=("1.2", "1.3"), suites13=None, suites12=None, groups=None,
                 signatures=None, alpn=None, trust=None, chain=(), key=None, level=0, staple=None,
                 legacy=False, fallback=False, parameters=None):
        method = _ssl.TLS_server_method() if server else _ssl.TLS_client_method()
        self.pointer = ctypes.c_void_p(_ssl.SSL_CTX_new(ctypes.c_void_p(method)))
        self.server, self.alpn, self.fallback = server, alpn, fallback
        _ssl.SSL_CTX_set_security_level(self.pointer, level)
        options = _NO_TICKET | (_LEGACY_SERVER | _ALLOW_UNSAFE if legacy else 0)
        _ssl.SSL_CTX_set_options(self.pointer, ctypes.c_uint64(options))
        self._control(_SET_MIN, VERSIONS[versions[0]])
        self._control(_SET_MAX, VERSIONS[versions[1]])
        if suites13 is not None:
            self._must(_ssl.SSL_CTX_set_ciphersuites(self.pointer, _words(*suites13)))
        if suites12 is not None:
            self._must(_ssl.SSL_CTX_set_cipher_list(self.pointer, _words(*suites12)))
        if groups is not None:
            self._control(_SET_GROUPS_LIST, 0, _words(*groups))
        if signatures is not None:
            self._control(_SET_SIGALGS_LIST, 0, _words(*signatures))
        if alpn is not None:
            self._protocols(alpn)
        if trust:
            self._must(_ssl.SSL_CTX_load_verify_file(self.pointer, trust.encode()))
            _ssl.SSL_CTX_set_verify(self.pointer, 1, None)
        if chain:
            self._identity(chain, key)
        if parameters:
            self._finite_field(parameters)
        self.staple = staple
        if staple is not None and server:
            self._status = _STATUS(self._on_status)
            _ssl.SSL_CTX_callback_ctrl(self.pointer, _STATUS_CALLBACK, self._status)

    def __del__(self):
        _ssl.SSL_CTX_free(self.pointer)

    @staticmethod
    def _must(result):
        if result != 1:
            code = _crypto.ERR_peek_last_error()
            reason = _crypto.ERR_reason_error_string(ctypes.c_ulong(code))
            _crypto.ERR_clear_error()
            raise ValueError((reason or b"?").decode())

    def _control(self, command, number, pointer=None):
        self._must(_ssl.SSL_CTX_ctrl(self.pointer, command, ctypes.c_long(number), pointer))

    def _protocols(self, names):
        wire = b"".join(bytes([len(name)]) + name.encode() for name in names)
        if not self.server:
            _ssl.SSL_CTX_set_alpn_protos(self.pointer, wire, len(wire))
            return
        self._wire = ctypes.create_string_buffer(wire, len(wire))
        self._select = _ALPN(self._on_alpn)
        _ssl.SSL_CTX_set_alpn_select_cb(self.pointer, self._select, None)

    def _on_alpn(self, _ssl_pointer, out, out_size, offered, size, _argument):
        """The server's order decides."""
        names, at = [], 0
        text = bytes(offered[:size])
        while at < size:
            names.append(text[at + 1:at + 1 + text[at]])
            at += 1 + text[at]
        at = 0
        for name in self.alpn:
            if name.encode() in names:
                out[0] = ctypes.addressof(self._wire) + at + 1
                out_size[0] = len(name)
                return 0
            at += 1 + len(name)
        return 2  # a fatal alert, as RFC 7301 section 3.2 has it

    def add_extension(self, kind, content):
        """The client's hello has this extension too."""
        buffer = ctypes.create_string_buffer(content, len(content))

        def add(_ssl_pointer, _kind, out, size, _alert, _argument):
            out[0] = ctypes.addressof(buffer)
            size[0] = len(content)
            return 1
        self._added = _ADD(add)
        self._must(_ssl.SSL_CTX_add_client_custom_ext(self.pointer, kind, self._added, None, None,
                                                      _PARSE(), None))

    def _identity(self, chain, key):
        self._must(_ssl.SSL_CTX_use_certificate_ASN1(self.pointer, len(chain[0]), chain[0]))
        self._must(_ssl.SSL_CTX_use_PrivateKey_file(self.pointer, key.encode(), 1))
        for der in chain[1:]:
            start = ctypes.cast(ctypes.c_char_p(der), ctypes.c_void_p)
            above = _crypto.d2i_X509(None, ctypes.byref(start), ctypes.c_long(len(der)))
            self._control(_EXTRA_CHAIN, 0, ctypes.c_void_p(above))

    def _finite_field(self, path):
        """Diffie-Hellman parameters from a PEM file, however small."""
        _declare(_crypto, ctypes.c_void_p, "BIO_new_file", "PEM_read_bio_Parameters")
        bio = ctypes.c_void_p(_crypto.BIO_new_file(path.encode(), b"r"))
        key = ctypes.c_void_p(_crypto.PEM_read_bio_Parameters(bio, None))
        _crypto.BIO_free(bio)
        self._must(_ssl.SSL_CTX_set0_tmp_dh_pkey(self.pointer, key))

    def _on_status(self, ssl, _argument):
        size = len(self.staple)
        copy = _crypto.CRYPTO_malloc(ctypes.c_size_t(size), b"", 0)
        ctypes.memmove(copy, self.staple, size)
        _ssl.SSL_ctrl(ctypes.c_void_p(ssl), _STATUS_RESPONSE, ctypes.c_long(size),
                      ctypes.c_void_p(copy))
        return 0


class Endpoint:
    """One connection over memory. `change(bytes)`: what becomes of each flight before it leaves."""

    def __init__(self, context, host=None, change=None):
        self.context, self._change = context, change
        self.pointer = ctypes.c_void_p(_ssl.SSL_new(context.pointer))
        memory = ctypes.c_void_p(_crypto.BIO_s_mem())
        self._in = ctypes.c_void_p(_crypto.BIO_new(memory))
        self._out = ctypes.c_void_p(_crypto.BIO_new(memory))
        _ssl.SSL_set_bio(self.pointer, self._in, self._out)
        if context.server:
            _ssl.SSL_set_accept_state(self.pointer)
        else:
            _ssl.SSL_set_connect_state(self.pointer)
            if host:
                _ssl.SSL_ctrl(self.pointer, _SET_HOST_NAME, ctypes.c_long(0), host.encode())
                _ssl.SSL_set1_host(self.pointer, host.encode())
            if context.fallback:
                _ssl.SSL_ctrl(self.pointer, _SET_MODE, ctypes.c_long(_FALLBACK_SCSV), None)

    def __del__(self):
        _ssl.SSL_free(self.pointer)

    def feed(self, data):
        if data:
            _crypto.BIO_write(self._in, data, len(data))

    def taken(self):
        """What is to leave."""
        buffer = ctypes.create_string_buffer(65536)
        out = b""
        while True:
            size = _crypto.BIO_read(self._out, buffer, len(buffer))
            if size <= 0:
                return self._change(out) if self._change and out else out
            out += buffer.raw[:size]

    def step(self, operation, *arguments):
        """The result, None when bytes are wanted, 0 at a proper end; raises Refused."""
        _crypto.ERR_clear_error()
        result = operation(self.pointer, *arguments)
        if result > 0:
            return result
        error = _ssl.SSL_get_error(self.pointer, result)
        if error in (_WANT_READ, _WANT_WRITE):
            return None
        if error == _ZERO_RETURN:
            return 0
        code = _crypto.ERR_peek_error()
        reason = code & 0x7fffff
        text = _crypto.ERR_reason_error_string(ctypes.c_ulong(code))
        _crypto.ERR_clear_error()
        alert = reason - _ALERT_OFFSET if _ALERT_OFFSET <= reason < _ALERT_OFFSET + 256 else None
        raise Refused(alert, (text or b"closed").decode())

    # --- what was agreed on ---

    @property
    def version(self):
        return _ssl.SSL_get_version(self.pointer).decode().removeprefix("TLSv")

    @property
    def suite(self):
        cipher = ctypes.c_void_p(_ssl.SSL_get_current_cipher(self.pointer))
        return _ssl.SSL_CIPHER_get_name(cipher).decode()

    @property
    def group(self):
        nid = _ssl.SSL_ctrl(self.pointer, _NEGOTIATED_GROUP, ctypes.c_long(0), None)
        name = _crypto.OBJ_nid2sn(ctypes.c_int(nid)) or b""
        return GROUP_NAMES.get(name.decode(), name.decode())

    @property
    def protocol(self):
        start, size = ctypes.c_void_p(), ctypes.c_uint()
        _ssl.SSL_get0_alpn_selected(self.pointer, ctypes.byref(start), ctypes.byref(size))
        return ctypes.string_at(start, size.value).decode() if size.value else ""

    @property
    def signature(self):
        """The digest by which the other side signed its handshake."""
        nid = ctypes.c_int()
        _ssl.SSL_ctrl(self.pointer, _PEER_SIGNATURE_NID, ctypes.c_long(0), ctypes.byref(nid))
        return (_crypto.OBJ_nid2sn(nid) or b"").decode()


class Connection(Endpoint):
    """The same over a socket. `first`: bytes that were read from it before."""

    def __init__(self, sock, context, host=None, change=None, first=b""):
        super().__init__(context, host, change)
        self.sock = sock
        self.feed(first)

    def drive(self, operation, *arguments):
        while True:
            try:
                result = self.step(operation, *arguments)
            finally:
                leaving = self.taken()
                if leaving:
                    self._send(leaving)
            if result is not None:
                return result
            data = self._receive()
            if not data:
                raise Refused(None, "closed")
            self.feed(data)

    def _send(self, data):
        try:
            self.sock.sendall(data)
        except OSError:
            pass  # what the other side had to say is still read

    def _receive(self):
        try:
            return self.sock.recv(65536)
        except (ConnectionResetError, socket.timeout) as error:
            raise Refused(None, "reset" if isinstance(error, ConnectionResetError)
                          else "silence") from None

    def first_flight(self):
        """The ClientHello leaves; nothing is read."""
        self.step(_ssl.SSL_do_handshake)
        self._send(self.taken())

    def handshake(self):
        self.drive(_ssl.SSL_do_handshake)
        return self

    def write(self, data):
        self.drive(_ssl.SSL_write, data, len(data))

    def read(self):
        buffer = ctypes.create_string_buffer(16384)
        size = self.drive(_ssl.SSL_read, buffer, len(buffer))
        return buffer.raw[:size]

    def renegotiate(self):
        """TLS 1.2: asks for another handshake (a server by HelloRequest) and goes on with it."""
        _ssl.SSL_renegotiate(self.pointer)
        self.drive(_ssl.SSL_do_handshake)


def shake(client, server):
    """Both ends in memory: (client's trouble, server's trouble), None for none."""
    done, troubles = [False, False], [None, None]
    for _ in range(20):
        for number, end in enumerate((client, server)):
            if done[number] or troubles[number]:
                continue
            try:
                done[number] = end.step(_ssl.SSL_do_handshake) is not None
            except Refused as trouble:
                troubles[number] = trouble
        there, back = client.taken(), server.taken()
        server.feed(there)
        client.feed(back)
        if not there and not back:
            break
    return troubles


# --- what is on the wire ---

class Hello:
    """A ClientHello as an origin sees it: lists of code points, without the made-up ones (GREASE)."""

    def __init__(self, body):
        self.versions, self.groups, self.signatures, self.protocols = [], [], [], None
        self.host, self.extensions = "", []
        legacy, at = struct.unpack("!H", body[:2])[0], 34
        at += 1 + body[at]
        size = struct.unpack("!H", body[at:at + 2])[0]
        self.suites = self._codes(body[at + 2:at + 2 + size])
        at += 2 + size
        at += 1 + body[at]
        at += 2
        while at < len(body):
            kind, size = struct.unpack("!HH", body[at:at + 4])
            self._extension(kind, body[at + 4:at + 4 + size])
            at += 4 + size
        self.versions = self.versions or [min(legacy, 0x0303)]  # that, or any lower one

    @staticmethod
    def _codes(data):
        codes = struct.unpack("!%dH" % (len(data) // 2), data)
        return [code for code in codes if code & 0x0f0f != 0x0a0a]

    def _extension(self, kind, data):
        self.extensions.append(kind)
        if kind == 0:
            self.host = data[5:].decode()
        elif kind == 10:
            self.groups = self._codes(data[2:])
        elif kind == 13:
            self.signatures = self._codes(data[2:])
        elif kind == 43:
            self.versions = self._codes(data[1:])
        elif kind == 16:
            self.protocols, at = [], 2
            while at < len(data):
                self.protocols.append(data[at + 1:at + 1 + data[at]].decode("latin-1"))
                at += 1 + data[at]


def read_hello(receive):
    """(Hello, the bytes): from a stream's beginning."""
    data, message = b"", b""
    while True:
        more = receive()
        if not more:
            return None, data
        data += more
        message, at = b"", 0
        while len(data) >= at + 5:
            size = struct.unpack("!H", data[at + 3:at + 5])[0]
            message += data[at + 5:at + 5 + size]
            at += 5 + size
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4], "big"):
            return Hello(message[4:4 + int.from_bytes(message[1:4], "big")]), data


def messages(flight):
    """The handshake messages of a flight in the clear: [(type, body)], and the bytes after them."""
    at, stream = 0, b""
    while at < len(flight) and flight[at] == 22:
        size = struct.unpack("!H", flight[at + 3:at + 5])[0]
        stream += flight[at + 5:at + 5 + size]
        at += 5 + size
    out = []
    while stream:
        size = int.from_bytes(stream[1:4], "big")
        out.append((stream[0], stream[4:4 + size]))
        stream = stream[4 + size:]
    return out, flight[at:]


def flight_of(parts, rest=b"", version=0x0303):
    stream = b"".join(bytes([kind]) + len(body).to_bytes(3, "big") + body for kind, body in parts)
    records = b""
    for at in range(0, len(stream), 16384):
        piece = stream[at:at + 16384]
        records += struct.pack("!BHH", 22, version, len(piece)) + piece
    return records + rest
