"""A device's reading, published with Eclipse Paho, calls a contract, and web3.py sees the event. Started by
ethereum.sh, which says what it needs."""
import asyncio
import importlib.metadata
import json
import os
import pathlib
import queue
import signal
import statistics
import sys
import time
import traceback
import urllib.error
import urllib.request

import paho.mqtt.client as paho
from cryptography.hazmat.primitives.asymmetric import ed25519
from eth_account import Account
from web3 import AsyncWeb3, HTTPProvider, Web3, WebSocketProvider
from web3.exceptions import ContractCustomError
from web3.logs import DISCARD
from web3.middleware import SignAndSendRawMiddlewareBuilder

import record
from checks import check, failure, same

MQTT_HOST, MQTT_PORT = os.environ["HEDGEROW_MQTT"].rsplit(":", 1)
HTTP = os.environ["HEDGEROW_HTTP"].rstrip("/")
RPC = os.environ["HEDGEROW_RPC"]
WS = RPC.replace("http", "ws", 1)
NETWORK = int(os.environ["HEDGEROW_NETWORK"])
THERMOSTAT = json.loads(pathlib.Path(os.environ["HEDGEROW_E2E_THERMOSTAT"]).read_text())
MNEMONIC = "test test test test test test test test test test test junk"
PATIENCE = 30
RUN = int(time.time() * 1000)  # the stream of this run is its own
STREAM = f"thermostat-{RUN}"
RECORDS = "hedgerow/v1/records"
LEDGER = "0x0000000000000000000000000000000000004847"
RECORD_TYPE = 0x71
LIMIT = 30
GAS_PER_RECORD, GAS_PREPAID = 300_000, 30_000_000
FIRST = 100  # sequence number of the stream's first reading
TIMED = 5

Account.enable_unaudited_hdwallet_features()
account = Account.from_mnemonic(MNEMONIC, account_path="m/44'/60'/0'/0/2")
w3 = Web3(HTTPProvider(RPC, request_kwargs={"timeout": PATIENCE}))
w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(account), layer=0)
w3.eth.default_account = account.address
native = w3.eth.contract(LEDGER, abi=THERMOSTAT["imported"]["IStreams"])
device = thermostat = deployment = stream = client = None
records = []  # what was published, in order
alarms = []  # what came over WebSocket, in order


def custom(error, signature, *types):
    """The arguments of a contract's error, which must be the one with that signature."""
    data = bytes.fromhex(error.data.removeprefix("0x"))
    same(f"{signature} or another error", data[:4], bytes(w3.keccak(text=signature)[:4]))
    return w3.codec.decode(types, data[4:])


def mined(transaction):
    return w3.eth.wait_for_transaction_receipt(transaction, timeout=PATIENCE, poll_latency=0.1)


def http(path):
    with urllib.request.urlopen(HTTP + path, timeout=PATIENCE) as answer:
        return answer.read()


class Device:
    """The registered device, and its Paho client, whose callbacks end in queues."""

    def __init__(self):
        secret = pathlib.Path(os.environ["HEDGEROW_KEY_FILE"]).read_text().strip().removeprefix("0x")
        self.key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
        registered = self.registered("0x" + record.public_key(record.ED25519, self.key).hex())
        self.name, self.id = registered["name"], bytes.fromhex(registered["device"].removeprefix("0x"))
        self.address = w3.to_checksum_address(self.id)
        self.arrived, self.acknowledged, self.receipts = queue.Queue(), queue.Queue(), queue.Queue()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=f"e2e-{RUN}-streams",
                                  protocol=paho.MQTTv5, reconnect_on_failure=False)
        self.client.on_connect = lambda c, u, flags, reason, p: self.arrived.put([reason])
        self.client.on_subscribe = lambda c, u, mid, reasons, p: self.arrived.put(reasons)
        self.client.on_publish = lambda c, u, mid, reason, p: self.acknowledged.put(reason)
        self.client.on_message = lambda c, u, message: self.receipts.put(json.loads(message.payload))
        self.client.connect(MQTT_HOST, int(MQTT_PORT))
        self.client.loop_start()
        self.expect("connection")
        self.client.subscribe(f"hedgerow/v1/receipts/{self.id.hex()}", qos=1)
        self.expect("subscription to the receipts")

    def registered(self, public):
        after = ""
        while True:
            page = json.loads(http(f"/devices?limit=1000{after}"))
            for each in page["devices"]:
                if each["public_key"] == public:
                    return each
            check("a registered device with the key in HEDGEROW_KEY_FILE", page["next"], f"none has {public}")
            after = f"&after={page['next']}"

    def expect(self, what):
        reasons = self.arrived.get(timeout=PATIENCE)
        check(what, not any(reason.is_failure for reason in reasons), reasons)

    def publish(self, payload):
        """Publishes a record of one reading; gives it when the gateway has it."""
        sent = Record(self, payload)
        records.append(sent)
        sent.published = time.monotonic()
        self.client.publish(RECORDS, sent.signed, qos=1)
        reason = self.acknowledged.get(timeout=PATIENCE)
        check("acknowledgement of a record", not reason.is_failure, reason)
        return sent

    def settled(self, sent):
        """Waits for a record's last receipt."""
        while True:
            receipt = self.receipts.get(timeout=PATIENCE)
            if receipt["id"] == w3.to_hex(sent.hash) and receipt["status"] != "accepted":
                same("status of a record", receipt["status"], "final")
                same("its stream", receipt["stream"], f"{self.name}/{STREAM}")
                same("its sequence number", receipt["sequence"], sent.sequence)
                same("its stream's", receipt["stream_id"], w3.to_hex(stream))
                same("its position", receipt["position"], sent.position)
                sent.block = receipt["block"]
                return sent

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Record:
    """One reading in one record, and what becomes of it."""

    def __init__(self, sender, payload):
        self.position = len(records)
        self.sequence = FIRST + self.position
        self.payload = payload
        self.time = RUN + self.position
        reading = (self.sequence, self.time, "text/plain", payload)
        self.signed = record.sign(record.ED25519, sender.key, NETWORK, sender.id, STREAM, [reading])
        self.hash = bytes(w3.keccak(bytes([RECORD_TYPE]) + self.signed))
        self.published = self.block = None

    def reading(self):
        """As contracts see it."""
        shown = json.loads(http(f"/streams/{device.name}/{STREAM}/readings/{self.sequence}"))
        same("the block over HTTP", shown["block"], self.block)
        as_sent = (self.sequence, self.time, "text/plain", self.payload)
        return (*as_sent, self.position, self.block, shown["block_time_ms"], bytes(w3.keccak(self.signed)))


def finds_the_device(seen):
    global device
    same("network", w3.eth.chain_id, NETWORK)
    device = Device()
    seen["device"] = device.name


def deploys(seen):
    global thermostat, deployment, stream
    contract = w3.eth.contract(abi=THERMOSTAT["abi"], bytecode=THERMOSTAT["bytecode"])
    arguments = (device.name, STREAM, LIMIT, GAS_PER_RECORD, GAS_PREPAID)
    deployment = mined(contract.constructor(*arguments).transact())
    same("status", deployment.status, 1)
    thermostat = w3.eth.contract(deployment.contractAddress, abi=THERMOSTAT["abi"])
    stream = bytes(w3.keccak(device.id + STREAM.encode()))
    for what, call in {
        "find": native.functions.find(device.name, STREAM),
        "idOf": native.functions.idOf(device.address, STREAM),
        "the contract": thermostat.functions.watched(),
    }.items():
        same(f"stream, by {what}", call.call(), stream)
    [event] = native.events.Subscribed().process_receipt(deployment, errors=DISCARD)
    expected = {"stream": stream, "subscriber": thermostat.address}
    gas = {"gasPerRecord": GAS_PER_RECORD, "gasPrepaid": GAS_PREPAID}
    same("event of the subscription", dict(event.args), expected | gas)
    same("who emitted it", event.address, native.address)
    subscription = native.functions.subscription(stream, thermostat.address).call()
    same("subscription", subscription, [GAS_PER_RECORD, GAS_PREPAID])


def has_no_reading_yet(_):
    same("length", native.functions.length(stream).call(), 0)
    error = failure(ContractCustomError, native.functions.latest(stream).call)
    same("latest", custom(error, "UnknownStream(bytes32)", "bytes32"), (stream,))


def alarm_of(sent):
    return {"sequence": sent.sequence, "payload": sent.payload, "blockNumber": sent.block}


async def next_alarm(messages):
    """Waits for an alarm; gives when it came."""
    message = await asyncio.wait_for(anext(messages), PATIENCE)
    arrival = time.monotonic()
    alarms.append(thermostat.events.Alarm().process_log(message["result"]))
    return arrival


async def raises_alarms(seen):
    delays = []
    async with AsyncWeb3(WebSocketProvider(WS, request_timeout=PATIENCE)) as ws:
        topic = ws.keccak(text="Alarm(uint64,bytes,uint64)")
        logs = await ws.eth.subscribe("logs", {"address": thermostat.address, "topics": [topic]})
        messages = ws.socket.process_subscriptions()
        device.settled(await asyncio.to_thread(device.publish, b"%d" % (LIMIT - 1)))
        for at in range(1 + TIMED):
            # The client must be listening when the event comes: what takes time waits in another thread.
            publishing = asyncio.to_thread(device.publish, b"%d" % (LIMIT + 1 + at))
            arrival, sent = await asyncio.gather(next_alarm(messages), publishing)
            device.settled(sent)
            # Had a record raised another alarm than its own, that would have come instead of this one.
            event = alarms[-1]
            same("alarm", dict(event.args), alarm_of(sent))
            same("its block", event.blockNumber, sent.block)
            same("its transaction", bytes(event.transactionHash), sent.hash)
            if at > 0:
                delays.append((arrival - sent.published) * 1000)
        await ws.eth.unsubscribe(logs)
    seen["first alarm in block"] = alarms[0].blockNumber
    seen["milliseconds from publishing to the event"] = f"{statistics.median(delays):.0f}"


def logs_all(_):
    found = thermostat.events.Alarm().get_logs(from_block=deployment.blockNumber)
    same("alarms", [dict(each.args) for each in found], [alarm_of(sent) for sent in records[1:]])
    same("as they came", [dict(each) for each in found], [dict(each) for each in alarms])
    appended = native.events.Recorded().get_logs(from_block=deployment.blockNumber, argument_filters={"stream": stream})
    same("records", [bytes(each.transactionHash) for each in appended], [sent.hash for sent in records])
    same("records the contract took", thermostat.functions.records().call(), len(records))


def shows_the_transaction(_):
    for sent, alarmed in ((records[0], 0), (records[1], 1)):
        receipt = w3.eth.get_transaction_receipt(sent.hash)
        fields = (receipt.status, receipt.type, receipt["from"], receipt.to, receipt.contractAddress)
        same("receipt", fields, (1, RECORD_TYPE, device.address, LEDGER, None))
        same("block in the receipt", receipt.blockNumber, sent.block)
        same("hash in the receipt", bytes(receipt.transactionHash), sent.hash)
        check("gas of the call", receipt.gasUsed > 21_000, receipt.gasUsed)
        [event] = native.events.Recorded().process_receipt(receipt, errors=DISCARD)
        same("who emitted it", event.address, native.address)
        expected = {"stream": stream, "device": device.address, "firstPosition": sent.position, "appended": 1}
        same("event of the record", dict(event.args), expected)
        found = thermostat.events.Alarm().process_receipt(receipt, errors=DISCARD)
        same("alarms in the receipt", [dict(each.args) for each in found], [alarm_of(sent)] * alarmed)
        same("logs in the receipt", len(receipt.logs), 1 + alarmed)

        transaction = w3.eth.get_transaction(sent.hash)
        fields = (bytes(transaction.hash), transaction.type, transaction["from"], transaction.to)
        same("transaction", fields, (sent.hash, RECORD_TYPE, device.address, LEDGER))
        place = (receipt.blockHash, receipt.blockNumber, receipt.transactionIndex)
        same("its place", (transaction.blockHash, transaction.blockNumber, transaction.transactionIndex), place)

        block = w3.eth.get_block(sent.block, full_transactions=True)
        same("block", block.hash, receipt.blockHash)
        listed = [each for each in block.transactions if each.hash == transaction.hash]
        same("the block's transaction", listed, [transaction])
        hashes = [each.hash for each in block.transactions]
        same("the block's hashes", w3.eth.get_block(sent.block).transactions, hashes)
        same("by its index", hashes[receipt.transactionIndex], transaction.hash)
        receipts = [each for each in w3.eth.get_block_receipts(sent.block) if each.transactionHash == transaction.hash]
        same("the block's receipt", receipts, [receipt])


def reads(seen):
    expected = [sent.reading() for sent in records]
    functions = native.functions
    same("length", functions.length(stream).call(), len(records))
    same("owner", functions.ownerOf(stream).call(), device.address)
    same("latest", functions.latest(stream).call(), expected[-1])
    for sent, reading in zip(records, expected):
        same("reading", functions.reading(stream, sent.sequence).call(), reading)
    same("range", functions.range(stream, 0, 1000).call(), expected)
    same("part of it", functions.range(stream, FIRST + 1, 3).call(), expected[1:4])
    same("none of it", functions.range(stream, FIRST + len(records), 3).call(), [])
    error = failure(ContractCustomError, functions.reading(stream, FIRST - 1).call)
    unknown = custom(error, "UnknownReading(bytes32,uint64)", "bytes32", "uint64")
    same("what is not there", unknown, (stream, FIRST - 1))
    seen["readings"] = len(records)


def keeps_what_the_contract_refuses(_):
    before = thermostat.functions.records().call()
    sent = device.settled(device.publish(b"revert"))
    receipt = mined(sent.hash)
    same("latest", native.functions.latest(stream).call(), sent.reading())
    same("receipt", (receipt.status, receipt.blockNumber), (1, sent.block))
    same("event of the record", len(native.events.Recorded().process_receipt(receipt, errors=DISCARD)), 1)
    [event] = native.events.Failed().process_receipt(receipt, errors=DISCARD)
    reason = w3.keccak(text="NotANumber(bytes)")[:4] + w3.codec.encode(["bytes"], [sent.payload])
    expected = {"stream": stream, "subscriber": thermostat.address}
    expected |= {"record": bytes(w3.keccak(sent.signed)), "reason": bytes(reason)}
    same("event of the failure", dict(event.args), expected)
    same("who emitted it", event.address, native.address)
    same("records the contract took", thermostat.functions.records().call(), before)
    # The subscription goes on, and has paid for all of them.
    sent = device.settled(device.publish(b"%d" % LIMIT))
    mined(sent.hash)
    same("records the contract took then", thermostat.functions.records().call(), before + 1)
    per_record, left = native.functions.subscription(stream, thermostat.address).call()
    same("gas for each call", per_record, GAS_PER_RECORD)
    used = GAS_PREPAID - left
    check("gas used", 21_000 * len(records) < used <= GAS_PER_RECORD * len(records), used)


def proof_of(sent):
    """A proof's file. The block may not have its signatures at once."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return http(f"/streams/{device.name}/{STREAM}/readings/{sent.sequence}/proof")
        except urllib.error.HTTPError as error:
            if error.code != 503 or time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def verifies_a_proof(seen):
    proof = proof_of(records[1])
    verified = native.functions.verify(proof).call()
    same("what it proves", tuple(verified), (stream, device.address, records[1].reading()))
    for at in (0, len(proof) // 2, len(proof) - 1):
        changed = proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1:]
        error = failure(ContractCustomError, native.functions.verify(changed).call)
        [reason] = custom(error, "InvalidProof(string)", "string")
        check("a reason in words", reason, f"byte {at}")
    seen["bytes of proof"] = len(proof)


STEPS = [
    finds_the_device, deploys, has_no_reading_yet, raises_alarms, logs_all, shows_the_transaction, reads,
    keeps_what_the_contract_refuses, verifies_a_proof,
]


def late(*_):
    raise TimeoutError(f"not done within {PATIENCE} s")


def main():
    signal.signal(signal.SIGALRM, late)
    seen = {}
    for step in STEPS:
        signal.alarm(PATIENCE)
        try:
            done = step(seen)
            if asyncio.iscoroutine(done):
                asyncio.run(done)
        except BaseException:  # a late one may be any
            sys.exit(f"FAILED: streams: {step.__name__}: {traceback.format_exc()}")
        signal.alarm(0)
    device.close()
    clients = " and ".join(f"{name} {importlib.metadata.version(package)}"
                           for name, package in (("web3.py", "web3"), ("Paho", "paho-mqtt")))
    print(f"ok: streams: {clients}, {', '.join(f'{what} {value}' for what, value in seen.items())}")


main()
