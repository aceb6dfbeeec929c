"""Signs a record for Hedgerow: all that a device needs. The format is described in ledger/records."""
import struct

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

ED25519, P256, SECP256K1 = 0, 1, 2
RAW, COMPRESSED = serialization.PublicFormat.Raw, serialization.PublicFormat.CompressedPoint


def blob(data):
    return struct.pack("<I", len(data)) + data


def public_key(algorithm, key):
    public = key.public_key()
    if algorithm == ED25519:
        return public.public_bytes(serialization.Encoding.Raw, RAW)
    return public.public_bytes(serialization.Encoding.X962, COMPRESSED)


def sign(algorithm, key, network, device, stream, readings):
    """`readings`: (sequence, milliseconds since 1970, content type, payload). Gives the bytes to publish."""
    body = struct.pack("<BQ", 1, network) + device + blob(stream.encode()) + struct.pack("<I", len(readings))
    for sequence, time, content_type, payload in readings:
        body += struct.pack("<QQ", sequence, time) + blob(content_type.encode()) + blob(payload)
    message = b"hedgerow/record/1\0" + body
    if algorithm == ED25519:
        signature = key.sign(message)
    else:
        r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return blob(body) + bytes([algorithm]) + signature
