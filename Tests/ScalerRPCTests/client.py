"""A foreign gRPC client for the tests: grpcio, with the messages of KEDA's external scaler written by hand.

Reads one JSON object a line from standard input and answers each with one a line on standard output, in any order:
  {"id": 1, "call": METHOD, "request": REQUEST}     one answer: {"id": 1, "code": "OK", "answer": …} or {"id": 1, "code": CODE, "details": TEXT}
  {"id": 2, "stream": METHOD, "request": REQUEST}   {"id": 2, "answer": …} for each message, and at the end {"id": 2, "code": CODE, "details": TEXT}
  {"id": 3, "silent": METHOD}                       a call whose request never comes
  {"cancel": 2}                                     the client's own end of a stream
  {"id": 4, "raw": HEX}                             bytes on a connection of its own: {"id": 4, "closed": true} when the server has ended it
A REQUEST is {"name", "namespace", "metadata", "metric"} or {"hex": BYTES}; "size" makes its name so long that it has so many bytes, and "header" adds a header field of that length.
Arguments: ADDRESS [AUTHORITY [CERTIFICATE KEY]]
"""
import json, socket, struct, sys, threading

import grpc

SERVICE = "/externalscaler.ExternalScaler/"
lock = threading.Lock()
streams = {}


def say(value):
    with lock:
        sys.stdout.write(json.dumps(value) + "\n")
        sys.stdout.flush()


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def reference(request):
    out = b""
    for number, key in ((1, "name"), (2, "namespace")):
        if request.get(key):
            out += field(number, request[key].encode())
    for key, value in request.get("metadata", {}).items():
        out += field(3, field(1, key.encode()) + field(2, value.encode()))
    return out


def encoded(method, request):
    if "hex" in request:
        return bytes.fromhex(request["hex"])
    if "size" in request:
        name = request["size"]
        while len(field(1, b"x" * name)) > request["size"]:
            name -= 1
        return field(1, b"x" * name)
    out = reference(request)
    return field(1, out) + field(2, request.get("metric", "").encode()) if method == "GetMetrics" else out


def decoded(data):
    """Fields by number: bytes, or numbers as they lie on the wire."""
    out, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        tag = number()
        if tag & 7 == 0:
            value = number()
        elif tag & 7 == 1:
            value = struct.unpack("<d", data[at:at + 8])[0]
            at += 8
        elif tag & 7 == 2:
            length = number()
            value = data[at:at + length]
            at += length
        else:
            raise ValueError("wire type")
        out.setdefault(tag >> 3, []).append(value)
    return out


def answer(method, data):
    fields = decoded(data)
    if method.endswith("IsActive"):
        return {"active": bool(fields.get(1, [0])[-1])}
    items = [decoded(item) for item in fields.get(1, [])]
    return {"metrics": [
        {"name": item[1][-1].decode(), "whole": item.get(2, [0])[-1], "real": item.get(3, [0])[-1]} for item in items
    ]}


def ended(id, error):
    say({"id": id, "code": error.code().name, "details": error.details()})


def call(channel, id, method, request, compression):
    invoke = channel.unary_unary(SERVICE + method, request_serializer=None, response_deserializer=None)
    try:
        metadata = (("x-header", "x" * request["header"]),) if request.get("header") else ()
        data = invoke(encoded(method, request), timeout=60, compression=compression, metadata=metadata)
        say({"id": id, "code": "OK", "answer": answer(method, data)})
    except grpc.RpcError as error:
        ended(id, error)


def follow(channel, id, method, request):
    running = channel.unary_stream(SERVICE + method)(encoded(method, request), timeout=300)
    with lock:
        streams[id] = running
    try:
        for data in running:
            say({"id": id, "answer": answer(method, data)})
        say({"id": id, "code": "OK", "details": ""})
    except grpc.RpcError as error:
        ended(id, error)


def silent(channel, id, method):
    wait = threading.Event()

    def requests():
        wait.wait(300)
        yield b""

    try:
        channel.stream_unary(SERVICE + method)(requests(), timeout=200)
        say({"id": id, "code": "OK"})
    except grpc.RpcError as error:
        ended(id, error)
    wait.set()


def raw(address, id, data):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host.strip("[]"), int(port)), timeout=60) as connection:
        try:
            connection.sendall(data)
            while connection.recv(65536):
                pass
            say({"id": id, "closed": True})
        except TimeoutError:
            say({"id": id, "closed": False})
        except OSError:
            say({"id": id, "closed": True})


def main():
    address, files = sys.argv[1], [open(path, "rb").read() for path in sys.argv[2:]]
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
    if files:
        credentials = grpc.ssl_channel_credentials(files[0], *(reversed(files[1:]) if files[1:] else ()))
        channel = grpc.secure_channel(address, credentials, options)
    else:
        channel = grpc.insecure_channel(address, options)
    for line in sys.stdin:
        order = json.loads(line)
        if "cancel" in order:
            with lock:
                streams[order["cancel"]].cancel()
            continue
        if "call" in order:
            compression = grpc.Compression.Gzip if order.get("compressed") else None
            what, arguments = call, (channel, order["id"], order["call"], order.get("request", {}), compression)
        elif "stream" in order:
            what, arguments = follow, (channel, order["id"], order["stream"], order.get("request", {}))
        elif "silent" in order:
            what, arguments = silent, (channel, order["id"], order["silent"])
        else:
            what, arguments = raw, (address, order["id"], bytes.fromhex(order["raw"]))
        threading.Thread(target=what, args=arguments, daemon=True).start()


main()
