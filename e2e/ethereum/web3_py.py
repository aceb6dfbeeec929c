"""web3.py: HTTPProvider, and AsyncWeb3 with WebSocketProvider. Started by ethereum.sh, which says what it needs."""
import asyncio
import importlib.metadata
import json
import os
import pathlib
import signal
import sys
import traceback

import rlp
from eth_account import Account
from trie import HexaryTrie
from web3 import AsyncWeb3, HTTPProvider, Web3, WebSocketProvider
from web3.exceptions import ContractCustomError, ContractLogicError
from web3.middleware import SignAndSendRawMiddlewareBuilder

from checks import check, failure, same

HTTP = os.environ["HEDGEROW_RPC"]
WS = HTTP.replace("http", "ws", 1)
COUNTER = json.loads(pathlib.Path(os.environ["HEDGEROW_E2E_COUNTER"]).read_text())
MNEMONIC = "test test test test test test test test test test test junk"
REASON = "the counter refuses"
MANY = 20
PATIENCE = 30

Account.enable_unaudited_hdwallet_features()
account = Account.from_mnemonic(MNEMONIC, account_path="m/44'/60'/0'/0/2")
w3 = Web3(HTTPProvider(HTTP, request_kwargs={"timeout": PATIENCE}))
w3.middleware_onion.inject(SignAndSendRawMiddlewareBuilder.build(account), layer=0)
w3.eth.default_account = account.address
counter = deployment = receipt = None


def mined(transaction):
    return w3.eth.wait_for_transaction_receipt(transaction, timeout=PATIENCE, poll_latency=0.1)


def signed(nonce):
    """An increment, ready to be sent."""
    fees = {"gas": 100_000, "maxFeePerGas": 0, "maxPriorityFeePerGas": 0}
    call = {"from": account.address, "nonce": nonce, "chainId": w3.eth.chain_id, **fees}
    return account.sign_transaction(counter.functions.increment().build_transaction(call)).raw_transaction


def reads_the_network(seen):
    check("connection", w3.is_connected(show_traceback=True))
    seen["network"] = w3.eth.chain_id
    same("network", w3.net.version, str(seen["network"]))
    check("balance", w3.eth.get_balance(account.address) > 0)
    check("a block, without a middleware for it", w3.eth.get_block("latest").extraData is not None)


def deploys(seen):
    global counter, deployment
    contract = w3.eth.contract(abi=COUNTER["abi"], bytecode=COUNTER["bytecode"])
    deployment = mined(contract.constructor().transact())
    same("status", deployment.status, 1)
    counter = w3.eth.contract(deployment.contractAddress, abi=COUNTER["abi"])
    same("count at first", counter.functions.count().call(), 0)
    seen["contract"] = counter.address


def sends(seen):
    global receipt
    receipt = mined(counter.functions.increment().transact())
    same("status", receipt.status, 1)
    [event] = counter.events.Incremented().process_receipt(receipt)
    same("event in the receipt", dict(event.args), {"caller": account.address, "count": 1})
    same("count", counter.functions.count().call(), 1)


async def subscribes(seen):
    async with AsyncWeb3(WebSocketProvider(WS, request_timeout=PATIENCE)) as ws:
        heads = await ws.eth.subscribe("newHeads")
        topic = ws.keccak(text="Incremented(address,uint256)")
        logs = await ws.eth.subscribe("logs", {"address": counter.address, "topics": [topic]})
        sent = await ws.eth.send_raw_transaction(signed(w3.eth.get_transaction_count(account.address)))
        event, newest = None, -1
        async for message in ws.socket.process_subscriptions():
            if message["subscription"] == heads:
                newest = message["result"].number
            elif message["subscription"] == logs:
                event = counter.events.Incremented().process_log(message["result"])
            if event and newest >= event.blockNumber:
                break
        same("event over WebSocket", dict(event.args), {"caller": account.address, "count": 2})
        same("its transaction", event.transactionHash, sent)
        await ws.eth.unsubscribe(heads)
        await ws.eth.unsubscribe(logs)
    seen["event by subscription in block"] = event.blockNumber


async def sends_without_waiting(seen):
    async with AsyncWeb3(WebSocketProvider(WS, request_timeout=PATIENCE)) as ws:
        first = await ws.eth.get_transaction_count(account.address, "pending")
        sent = await asyncio.gather(*[ws.eth.send_raw_transaction(signed(first + at)) for at in range(MANY)])
        waits = [ws.eth.wait_for_transaction_receipt(each, timeout=PATIENCE, poll_latency=0.1) for each in sent]
        receipts = await asyncio.gather(*waits)
    check("all succeed", all(each.status == 1 for each in receipts), receipts)
    same("count", counter.functions.count().call(), MANY + 2)
    same("nonce", w3.eth.get_transaction_count(account.address), first + MANY)
    seen["at once"] = f"{MANY} transactions"


def finds_events(seen):
    first = deployment.blockNumber
    event = counter.events.Incremented
    found = event.get_logs(from_block=first, argument_filters={"caller": account.address})
    same("events", [each.args.count for each in found], list(range(1, MANY + 3)))
    others = event.get_logs(from_block=first, argument_filters={"caller": counter.address})
    same("another's events", list(others), [])
    event_filter = event.create_filter(from_block=first)
    same("events by a filter", len(event_filter.get_all_entries()), MANY + 2)
    mined(counter.functions.increment().transact())
    same("changes by a filter", [each.args.count for each in event_filter.get_new_entries()], [MANY + 3])
    check("the filter is forgotten", w3.eth.uninstall_filter(event_filter.filter_id))
    seen["events"] = len(found)


def tells_why_it_fails(seen):
    functions = counter.functions
    for way in ("call", "estimate_gas"):
        error = failure(ContractLogicError, getattr(functions.failWithReason(), way))
        same(f"{way}: reason", error.message, f"execution reverted: {REASON}")
        error = failure(ContractCustomError, getattr(functions.failWithCustomError(), way))
        data = bytes.fromhex(error.data.removeprefix("0x"))
        custom = {w3.keccak(text="TooMany(uint256,uint256)")[:4]: "TooMany"}
        same(f"{way}: custom error", custom.get(data[:4]), "TooMany")
        same(f"{way}: its arguments", w3.codec.decode(["uint256", "uint256"], data[4:]), (7, 3))
        error = failure(ContractLogicError, getattr(functions.failWithoutMessage(), way))
        same(f"{way}: without message", error.message, "execution reverted")
    failed = mined(functions.failWithReason().transact({"gas": 100_000}))
    same("status of a failed transaction", failed.status, 0)
    seen["reasons"] = "told"


def gets_ether_back(seen):
    before = w3.eth.get_balance(account.address)
    same("status", mined(counter.functions.sendBack().transact({"value": 10**18})).status, 1)
    same("contract's balance", w3.eth.get_balance(counter.address), 0)
    same("balance", w3.eth.get_balance(account.address), before)  # gas costs nothing


def reads_the_rest(seen):
    block = w3.eth.get_block(receipt.blockNumber, full_transactions=True)
    same("block", block.hash, receipt.blockHash)
    inside = [each["from"] for each in block.transactions if each.hash == receipt.transactionHash]
    same("sender of the block's transaction", inside, [account.address])
    same("block by hash", w3.eth.get_block(block.hash).number, block.number)
    same("transaction", w3.eth.get_transaction(receipt.transactionHash).blockHash, block.hash)
    receipts = w3.eth.get_block_receipts(block.number)
    check("receipts of a block", receipt.transactionHash in [each.transactionHash for each in receipts], receipts)
    check("code", len(w3.eth.get_code(counter.address)) > 100)
    same("slot", int.from_bytes(w3.eth.get_storage_at(counter.address, 0)), MANY + 3)
    same("gas price", w3.eth.gas_price, 0)
    same("tip", w3.eth.max_priority_fee, 0)
    history = w3.eth.fee_history(5, "latest", [25, 75])
    same("fee history", len(history.gasUsedRatio), 5)
    same("rewards", history.reward, [[0, 0]] * 5)
    seen["gas price"] = w3.eth.gas_price


def proven(root, key, proof):
    return HexaryTrie.get_from_proof(root, w3.keccak(key), [rlp.decode(bytes(node)) for node in proof])


def verifies_a_proof(seen):
    block = w3.eth.get_block("latest")
    proof = w3.eth.get_proof(counter.address, [0, 1], block.number)
    fields = [proof.nonce, proof.balance, bytes(proof.storageHash), bytes(proof.codeHash)]
    account_there = proven(block.stateRoot, bytes.fromhex(counter.address[2:]), proof.accountProof)
    same("account", account_there, rlp.encode(fields))
    same("code's hash", proof.codeHash, w3.keccak(w3.eth.get_code(counter.address)))
    same("slots", [int.from_bytes(slot.value) for slot in proof.storageProof], [MANY + 3, 0])
    for at, expected in enumerate([rlp.encode(MANY + 3), b""]):
        there = proven(proof.storageHash, at.to_bytes(32), proof.storageProof[at].proof)
        same(f"slot {at}, proven", there, expected)
    seen["proof in block"] = block.number


def batches(seen):
    with w3.batch_requests() as batch:
        batch.add(w3.eth.get_balance(account.address))
        batch.add(w3.eth.get_block("latest"))
        batch.add(counter.functions.count())
        balance, block, count = batch.execute()
    check("balance", balance > 0)
    check("block", block.number >= receipt.blockNumber, block)
    same("count", count, MANY + 3)
    seen["batches"] = 1


def sends_raw_and_gets_the_receipt(seen):
    transaction = signed(w3.eth.get_transaction_count(account.address))
    answer = w3.provider.make_request("eth_sendRawTransactionSync", [w3.to_hex(transaction)])
    check("answer", "result" in answer, answer)
    same("status", answer["result"]["status"], "0x1")
    same("hash", answer["result"]["transactionHash"], w3.to_hex(w3.keccak(transaction)))
    seen["receipt at once in block"] = int(answer["result"]["blockNumber"], 16)


STEPS = [
    reads_the_network, deploys, sends, subscribes, sends_without_waiting, finds_events, tells_why_it_fails,
    gets_ether_back, reads_the_rest, verifies_a_proof, batches, sends_raw_and_gets_the_receipt,
]


def late(*_):
    raise TimeoutError(f"not done within {PATIENCE} s")


def main():
    client = f"web3.py {importlib.metadata.version('web3')}"
    signal.signal(signal.SIGALRM, late)
    seen = {}
    for step in STEPS:
        signal.alarm(PATIENCE)
        try:
            done = step(seen)
            if asyncio.iscoroutine(done):
                asyncio.run(done)
        except BaseException:  # a late one may be any
            sys.exit(f"FAILED: {client}: {step.__name__}: {traceback.format_exc()}")
        signal.alarm(0)
    print(f"ok: {client}: {', '.join(f'{what} {value}' for what, value in seen.items())}")


main()
