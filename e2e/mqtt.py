"""Tests a running gateway with mosquitto's and Eclipse Paho's clients. Started by mqtt.sh, which says what it needs."""
import base64
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import paho.mqtt.client as paho
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

import record
from checks import check

HOST, PORT = os.environ["HEDGEROW_MQTT"].rsplit(":", 1)
HTTP = os.environ["HEDGEROW_HTTP"].rstrip("/")
NETWORK = int(os.environ["HEDGEROW_NETWORK"])
ALGORITHM = {"ed25519": record.ED25519, "p256": record.P256, "secp256k1": record.SECP256K1}[
    os.environ.get("HEDGEROW_ALGORITHM", "ed25519")
]
PATIENCE = float(os.environ.get("HEDGEROW_E2E_PATIENCE", "20"))
RECORDS = "hedgerow/v1/records"
STREAM = "e2e"
RUN = int(time.time() * 1000)  # sequence numbers and topics of this run are its own
TOPIC = f"e2e/{RUN}"


def load_key():
    secret = bytes.fromhex(pathlib.Path(os.environ["HEDGEROW_KEY_FILE"]).read_text().strip().removeprefix("0x"))
    if ALGORITHM == record.ED25519:
        return ed25519.Ed25519PrivateKey.from_private_bytes(secret)
    curve = ec.SECP256R1() if ALGORITHM == record.P256 else ec.SECP256K1()
    return ec.derive_private_key(int.from_bytes(secret, "big"), curve)


def http(path):
    with urllib.request.urlopen(HTTP + path, timeout=PATIENCE) as answer:
        return answer.read()


def find_device(public):
    after = ""
    while True:
        page = json.loads(http(f"/devices?limit=1000{after}"))
        for device in page["devices"]:
            if device["public_key"] == "0x" + public.hex():
                return device
        if not page["next"]:
            sys.exit("e2e/mqtt.py: no device of the network has the key in HEDGEROW_KEY_FILE: register it first")
        after = f"&after={page['next']}"


KEY = load_key()
DEVICE = find_device(record.public_key(ALGORITHM, KEY))
DEVICE_ID = bytes.fromhex(DEVICE["device"][2:])
RECEIPTS = f"hedgerow/v1/receipts/{DEVICE_ID.hex()}"
next_sequence = RUN


def signed(count=1):
    """A record with the next sequence number; gives both."""
    global next_sequence
    first = next_sequence
    next_sequence += count
    readings = [(first + at, RUN, "application/json", json.dumps({"n": at}).encode()) for at in range(count)]
    return first, record.sign(ALGORITHM, KEY, NETWORK, DEVICE_ID, STREAM, readings)


# --- mosquitto ------------------------------------------------------------------------------------------------------

def mosquitto(kind, version, *arguments, **options):
    command = [f"mosquitto_{kind}", "-h", HOST, "-p", PORT, "-V", version, *arguments]
    return subprocess.run(command, capture_output=True, timeout=PATIENCE, **options)


def sub(version, *arguments):
    # Into a pipe it would write its log only when it ends: stdbuf makes it write line by line.
    return subprocess.Popen(
        ["stdbuf", "-oL", "mosquitto_sub", "-h", HOST, "-p", PORT, "-V", version, "-d", "-W", str(int(PATIENCE)), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )


def await_suback(process):
    """Reads the subscriber's log up to its SUBACK, so that nothing is published too early."""
    for line in process.stdout:
        if "Subscribed" in line:
            return
    raise AssertionError(f"mosquitto_sub ended with {process.wait()} before its subscription was acknowledged")


def payloads(process):
    """What the subscriber received: every line but its own log."""
    lines = [line.rstrip("\n") for line in process.stdout]  # it ends by itself: -C or -W
    process.wait(timeout=PATIENCE)
    return [line for line in lines if line and not line.startswith(("Client ", "Subscribed"))]


def mosquitto_messages(version):
    for qos in "012":
        topic = f"{TOPIC}/{version}/{qos}"
        listener = sub(version, "-t", topic, "-q", qos, "-C", "1")
        await_suback(listener)
        done = mosquitto("pub", version, "-t", topic, "-q", qos, "-m", f"hello {qos}")
        check("mosquitto_pub", done.returncode == 0, done.stderr)
        heard = payloads(listener)
        check(f"QoS {qos}", heard == [f"hello {qos}"], heard)


def mosquitto_retained(version):
    topic = f"{TOPIC}/{version}/retained"
    check("retain", mosquitto("pub", version, "-t", topic, "-q", "1", "-r", "-m", "kept").returncode == 0)
    heard = mosquitto("sub", version, "-t", topic, "-C", "1", "-W", "10", "-F", "%r %p")
    check("retained message", heard.stdout.decode().split() == ["1", "kept"], heard)
    check("forget", mosquitto("pub", version, "-t", topic, "-q", "1", "-r", "-n").returncode == 0)
    heard = mosquitto("sub", version, "-t", topic, "-C", "1", "-W", "1")
    check("deleted retained message", heard.stdout == b"", heard)


def mosquitto_will(version):
    topic = f"{TOPIC}/{version}/will"
    listener = sub(version, "-t", topic, "-C", "1")
    await_suback(listener)
    doomed = sub(version, "-t", f"{TOPIC}/nothing", "--will-topic", topic, "--will-payload", "gone", "--will-qos", "1")
    await_suback(doomed)
    doomed.kill()
    doomed.wait()
    heard = payloads(listener)
    check("will", heard == ["gone"], heard)


def mosquitto_records(version):
    for qos in "12":
        listener = sub(version, "-t", RECEIPTS, "-q", "1")
        await_suback(listener)
        sequence, payload = signed()
        with tempfile.NamedTemporaryFile() as file:
            file.write(payload)
            file.flush()
            done = mosquitto("pub", version, "-t", RECORDS, "-q", qos, "-f", file.name)
        check("mosquitto_pub of a record", done.returncode == 0, done.stderr)
        seen = []
        for line in listener.stdout:
            if line.startswith("{"):
                message = json.loads(line)
                if message.get("sequence") == sequence:
                    seen.append(message)
                    if message["status"] != "accepted":
                        break
        listener.kill()
        listener.wait()
        check("receipts", [message["status"] for message in seen] == ["accepted", "final"], seen)
        check("proof", len(base64.b64decode(seen[1]["proof"])) > 100, seen[1])


def mosquitto_properties():
    topic = f"{TOPIC}/properties"
    listener = sub("5", "-t", topic, "-C", "1", "-F", "%P|%t|%p")
    await_suback(listener)
    done = mosquitto(
        "pub", "5", "-t", topic, "-q", "1", "-m", "x", "-D", "publish", "user-property", "colour", "green",
    )
    check("mosquitto_pub with a user property", done.returncode == 0, done.stderr)
    heard = payloads(listener)
    check("user property", len(heard) == 1 and "colour:green" in heard[0], heard)


# --- Eclipse Paho ---------------------------------------------------------------------------------------------------

class Client:
    """A Paho client whose callbacks end in queues."""

    def __init__(self, name, version=paho.MQTTv5, clean=True, expiry=None, setup=None, **connect):
        options = {} if version == paho.MQTTv5 else {"clean_session": clean}
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=f"e2e-{RUN}-{name}", protocol=version,
                                  reconnect_on_failure=False, **options)
        self.connected, self.messages, self.acknowledged = queue.Queue(), queue.Queue(), queue.Queue()
        self.subscribed, self.ended = queue.Queue(), queue.Queue()
        self.client.on_connect = lambda c, u, flags, reason, p: self.connected.put((flags, reason, p))
        self.client.on_message = lambda c, u, message: self.messages.put(message)
        self.client.on_publish = lambda c, u, mid, reason, p: self.acknowledged.put((mid, reason, p))
        self.client.on_subscribe = lambda c, u, mid, reasons, p: self.subscribed.put(reasons)
        self.client.on_disconnect = lambda c, u, flags, reason, p: self.ended.put(reason)
        if setup:
            setup(self.client)
        if version == paho.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            if expiry is not None:
                properties.SessionExpiryInterval = expiry
            connect.update(clean_start=clean, properties=properties)
        self.client.connect(HOST, int(PORT), **connect)
        self.client.loop_start()
        self.flags, self.reason, self.properties = self.connected.get(timeout=PATIENCE)

    def subscribe(self, topic, **options):
        self.client.subscribe(topic, **options)
        return self.subscribed.get(timeout=PATIENCE)

    def publish(self, topic, payload, qos=1, **options):
        """Gives the reason code of the acknowledgement."""
        mid = self.client.publish(topic, payload, qos, **options).mid
        while True:
            acknowledged, reason, properties = self.acknowledged.get(timeout=PATIENCE)
            if acknowledged == mid:
                return reason, properties

    def message(self):
        return self.messages.get(timeout=PATIENCE)

    def receipts(self, sequence):
        """The statuses of a record up to its last one."""
        seen = []
        while not seen or seen[-1]["status"] == "accepted":
            message = json.loads(self.message().payload)
            if message.get("sequence") == sequence:
                seen.append(message)
        return seen

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def paho_records(version):
    client = Client(f"records-{version}", version)
    client.subscribe(RECEIPTS, qos=1)
    for qos, count in ((1, 1), (2, 5)):
        sequence, payload = signed(count)
        reason, _ = client.publish(RECORDS, payload, qos)
        check("acknowledgement", not reason.is_failure, reason)
        seen = client.receipts(sequence)
        check("receipts", [message["status"] for message in seen] == ["accepted", "final"], seen)
        check("all readings", seen[1]["appended"] == count, seen[1])
        check("proof", base64.b64decode(seen[1]["proof"]).startswith(b"HGPROOF"), seen[1])
        reading = json.loads(http(f"/streams/{DEVICE['name']}/{STREAM}/readings/{sequence}"))
        check("the reading over HTTP", reading["payload"] == {"n": 0}, reading)
        # The same again: once on the ledger.
        client.publish(RECORDS, payload, qos)
        seen = client.receipts(sequence)
        check("repetition", (seen[1]["appended"], seen[1]["duplicates"]) == (0, count), seen[1])
    client.close()


def paho_refusals():
    client = Client("refusals")
    client.subscribe(RECEIPTS, qos=1)
    reason, properties = client.publish(RECORDS, b"not a record")
    check("malformed", reason.value == 0x99 and properties.ReasonString.startswith("malformed"), (reason, properties))
    reason, _ = client.publish("hedgerow/v1/receipts/someone", b"x")
    check("foreign topic", reason.value == 0x87, reason)
    sequence, payload = signed()
    reason, _ = client.publish(RECORDS, payload[:-1] + bytes([payload[-1] ^ 1]))
    check("a forged record is stored", not reason.is_failure, reason)
    seen = client.receipts(sequence)
    check("and refused", (seen[-1]["status"], seen[-1]["code"]) == ("rejected", "bad-signature"), seen)
    try:
        http(f"/streams/{DEVICE['name']}/{STREAM}/readings/{sequence}")
        raise AssertionError("a forged reading is on the ledger")
    except urllib.error.HTTPError as error:
        check("the forged reading is not there", error.code == 404, error)
    client.close()


def paho_sessions(version):
    topic = f"{TOPIC}/sessions/{version}"
    first = Client(f"session-{version}", version, clean=False, expiry=600)
    check("new session", not first.flags.session_present)
    first.subscribe(topic, qos=1)
    first.close()
    publisher = Client(f"publisher-{version}", version)
    for at in range(20):
        publisher.publish(topic, str(at))
    second = Client(f"session-{version}", version, clean=False, expiry=600)
    check("session present", second.flags.session_present)
    heard = [second.message().payload.decode() for _ in range(20)]
    check("what waited, in order", heard == [str(at) for at in range(20)], heard)
    second.close()
    third = Client(f"session-{version}", version, clean=True)
    check("clean start", not third.flags.session_present)
    third.close()
    publisher.close()


def paho_properties():
    topic = f"{TOPIC}/paho"
    limited = Properties(PacketTypes.CONNECT)
    limited.TopicAliasMaximum = 5
    client = Client("properties")
    options = SubscribeOptions(qos=1, noLocal=False, retainAsPublished=True)
    identifier = Properties(PacketTypes.SUBSCRIBE)
    identifier.SubscriptionIdentifier = 77
    client.subscribe(topic, options=options, properties=identifier)
    sent = Properties(PacketTypes.PUBLISH)
    sent.UserProperty = [("b", "2"), ("a", "1")]
    sent.ContentType, sent.ResponseTopic, sent.CorrelationData = "text/plain", "back/here", b"\x01\x02"
    sent.MessageExpiryInterval, sent.PayloadFormatIndicator, sent.TopicAlias = 60, 1, 3
    client.publish(topic, "x", properties=sent)
    got = client.message().properties
    check("user properties", got.UserProperty == [("b", "2"), ("a", "1")], got)
    check("request and response", (got.ResponseTopic, got.CorrelationData) == ("back/here", b"\x01\x02"), got)
    check("content", (got.ContentType, got.PayloadFormatIndicator) == ("text/plain", 1), got)
    check("expiry", 58 <= got.MessageExpiryInterval <= 60, got)
    check("subscription identifier", got.SubscriptionIdentifier == [77], got)
    again = Properties(PacketTypes.PUBLISH)
    again.TopicAlias = 3
    client.publish("", "by alias", properties=again)
    message = client.message()
    check("topic alias", (message.topic, message.payload) == (topic, b"by alias"), message)
    # No Local.
    client.subscribe(topic, options=SubscribeOptions(qos=1, noLocal=True))
    client.publish(topic, "own")
    other = Client("other")
    other.publish(topic, "foreign")
    check("no local", client.message().payload == b"foreign")
    other.close()
    client.close()


def paho_take_over():
    first = Client("twin")
    second = Client("twin")
    reason = first.ended.get(timeout=PATIENCE)
    check("session taken over", reason.value == 0x8E, reason)
    check("the second stays", not second.reason.is_failure, second.reason)
    first.client.loop_stop()
    second.close()


def paho_shared():
    topic = f"{TOPIC}/shared"
    members = [Client(f"member-{at}") for at in range(3)]
    for member in members:
        reasons = member.subscribe(f"$share/group/{topic}", qos=1)
        check("shared subscription", not reasons[0].is_failure, reasons)
    publisher = Client("sharer")
    for at in range(9):
        publisher.publish(topic, str(at))
    heard = [member.message().payload for member in members for _ in range(3)]
    check("shared out evenly, each once", sorted(heard) == [str(at).encode() for at in range(9)], heard)
    for client in (*members, publisher):
        client.close()


def paho_assigned_identifier():
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="", protocol=paho.MQTTv5)
    connected = queue.Queue()
    client.on_connect = lambda c, u, flags, reason, properties: connected.put(properties)
    client.connect(HOST, int(PORT), keepalive=0)
    client.loop_start()
    properties = connected.get(timeout=PATIENCE)
    check("assigned identifier", properties.AssignedClientIdentifier.startswith("hedgerow-"), properties)
    client.disconnect()
    client.loop_stop()


TESTS = [
    *[(function, (version,)) for version in ("311", "5") for function in (mosquitto_messages, mosquitto_retained, mosquitto_will, mosquitto_records)],
    (mosquitto_properties, ()),
    *[(function, (version,)) for version in (paho.MQTTv311, paho.MQTTv5) for function in (paho_records, paho_sessions)],
    (paho_refusals, ()),
    (paho_properties, ()),
    (paho_take_over, ()),
    (paho_shared, ()),
    (paho_assigned_identifier, ()),
]


def main():
    failures = 0
    for function, arguments in TESTS:
        name = " ".join([function.__name__, *(str(int(a)) for a in arguments)])
        start = time.monotonic()
        try:
            function(*arguments)
            print(f"ok      {name}  ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception as error:  # every failure is told, the rest still runs
            failures += 1
            print(f"FAILED  {name}: {type(error).__name__}: {error}", flush=True)
    print(f"{len(TESTS) - failures} of {len(TESTS)} passed")
    sys.exit(1 if failures else 0)


main()
