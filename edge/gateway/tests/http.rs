//! HTTP on real sockets.

#[path = "../../../ledger/evm/tests/chain/accounts.rs"]
mod accounts;
mod support;

use std::{collections::BTreeMap, net::SocketAddr, sync::atomic::Ordering};

use hedgerow_gateway::HttpOnly;
use hedgerow_proofs::Proof;
use hedgerow_records::Algorithm;
use hedgerow_wire::decode;
use serde_json::{Value, json};
use support::{Fake, config, device, record, start, until};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

struct Answer {
    status: u16,
    head: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&self.body)))
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn problem(&self, status: u16, code: &str) {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        assert_eq!(self.head["content-type"], "application/problem+json");
        assert_eq!(self.json()["code"], code, "{}", self.json());
        assert!(!self.json()["detail"].as_str().unwrap().is_empty());
    }
}

async fn ask(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let _ = stream.write_all(body).await; // the server may answer before it has read all
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a whole head");
    let text = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let head: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = bytes[end + 4..].to_vec();
    if head
        .get("transfer-encoding")
        .is_some_and(|encoding| encoding == "chunked")
    {
        body = unchunk(&body);
    }
    Answer { status, head, body }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let line = rest
            .windows(2)
            .position(|window| window == b"\r\n")
            .expect("the transfer is complete");
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.extend_from_slice(&rest[line + 2..line + 2 + size]);
        rest = &rest[line + 2 + size + 2..];
    }
}

#[tokio::test]
async fn a_record_in_and_everything_about_it_out() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Fake::new());
    let gateway = start(&config(), dir.path(), &network).await;
    let at = gateway.addresses().http.unwrap();
    let key = device(Algorithm::P256, 1);

    let done = ask(
        at,
        "POST",
        "/transactions?wait=final",
        &network.registration("meter", &key),
    )
    .await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(done.json()["device"], key.device_id().to_string());

    let durable = ask(at, "POST", "/records", &record(&key, "air", 0)).await;
    assert_eq!(durable.status, 202, "{}", durable.text());
    assert_eq!(durable.json()["status"], "accepted");
    let url = durable.head["location"].clone();
    assert_eq!(durable.json()["links"]["status"], url);
    until("the record to be final", || {
        network.length("meter/air") == 1
    })
    .await;
    let mut status = ask(at, "GET", &url, b"").await;
    while status.json()["status"] == "accepted" {
        status = ask(at, "GET", &url, b"").await;
    }
    assert_eq!(status.json()["status"], "final");

    let done = ask(at, "POST", "/records?wait=final", &record(&key, "air", 1)).await;
    assert_eq!((done.status, &done.json()["appended"]), (200, &1.into()));
    let again = ask(at, "POST", "/records?wait=final", &record(&key, "air", 1)).await;
    assert_eq!(
        (again.status, &again.json()["duplicates"]),
        (200, &1.into())
    );

    let streams = ask(at, "GET", "/streams", b"").await.json();
    assert_eq!(streams["streams"][0]["name"], "meter/air");
    assert_eq!(streams["next"], Value::Null);
    let stream = ask(at, "GET", "/streams/meter/air", b"").await.json();
    assert_eq!(
        (&stream["length"], &stream["last_sequence"]),
        (&2.into(), &1.into())
    );
    let reading = ask(at, "GET", "/streams/meter/air/readings/1", b"")
        .await
        .json();
    assert_eq!(
        (&reading["payload"]["celsius"], &reading["encoding"]),
        (&1.5.into(), &"json".into())
    );
    let readings = ask(
        at,
        "GET",
        "/streams/meter/air/readings?from=1&limit=10",
        b"",
    )
    .await
    .json();
    assert_eq!(readings["readings"].as_array().unwrap().len(), 1);
    assert_eq!(readings["next"], 2);

    let proof = ask(at, "GET", "/streams/meter/air/readings/1/proof", b"").await;
    assert_eq!(proof.head["content-type"], "application/octet-stream");
    let proof: Proof = decode(&proof.body, hedgerow_proofs::MAX_PROOF).unwrap();
    assert_eq!(proof.verify(&network.trust()).unwrap().reading.sequence, 1);

    assert_eq!(
        ask(at, "GET", "/devices", b"").await.json()["devices"][0]["name"],
        "meter"
    );
    let device = ask(at, "GET", &format!("/devices/{}", key.device_id()), b"")
        .await
        .json();
    assert_eq!(
        (&device["name"], &device["algorithm"]),
        (&"meter".into(), &"p256".into())
    );
    assert_eq!(ask(at, "GET", "/devices/meter", b"").await.json(), device);
    let block = ask(at, "GET", "/blocks/1", b"").await.json();
    assert_eq!(block["height"], 1);
    assert_eq!(
        ask(at, "GET", "/blocks/head", b"").await.json()["totals"]["readings"],
        2
    );
    let status = ask(at, "GET", "/status", b"").await.json();
    assert_eq!(
        (&status["healthy"], &status["network"]["network"]),
        (&true.into(), &support::NETWORK.into())
    );
    let openapi = ask(at, "GET", "/openapi.json", b"").await.json();
    assert_eq!(openapi["openapi"], "3.1.0");
    gateway.shutdown().await;
}

#[tokio::test]
async fn validators_vote_for_another_protocol() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Fake::new());
    let gateway = start(&config(), dir.path(), &network).await;
    let at = gateway.addresses().http.unwrap();
    let vote = async |validator, epoch, protocol| {
        let transaction = network.vote(validator, epoch, protocol);
        ask(at, "POST", "/transactions?wait=final", &transaction).await
    };
    let before = ask(at, "GET", "/protocol", b"").await.json();
    let first = json!({"number": 0, "protocol": "pbft", "base_slot": 0, "block": 0, "time_ms": 1_700_000_000_000_u64});
    assert_eq!(
        before,
        json!({"epoch": first, "epochs": [first], "proposals": []})
    );

    let done = vote(0, 0, "aliph").await;
    assert_eq!(done.status, 200, "{}", done.text());
    let done = done.json();
    for (field, value) in [
        ("status", json!("final")),
        ("protocol", json!("aliph")),
        ("epoch", json!(0)),
        ("block", json!(1)),
        ("votes", json!(1)),
        ("needed", json!(3)),
        ("began", Value::Null),
    ] {
        assert_eq!(done[field], value, "{field} of {done}");
    }
    let again = vote(0, 0, "aliph").await;
    assert_eq!((again.status, &again.json()["votes"]), (200, &1.into()));
    vote(2, 0, "aliph").await;
    let open = ask(at, "GET", "/protocol", b"").await.json()["proposals"].clone();
    let voters = json!([{"id": 0, "name": "v0"}, {"id": 2, "name": "v2"}]);
    assert_eq!(
        open,
        json!([{"id": done["proposal"], "protocol": "aliph", "epoch": 0, "voters": voters, "needed": 3, "missing": 1}])
    );

    vote(4, 0, "aliph").await.problem(403, "not-a-validator");
    vote(1, 1, "aliph").await.problem(409, "wrong-epoch");
    vote(1, 0, "pbft").await.problem(409, "orders-already");
    let mut forged = network.vote(1, 0, "aliph").to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let refused = ask(at, "POST", "/transactions?wait=final", &forged).await;
    refused.problem(403, "bad-signature");
    let cut = ask(at, "POST", "/transactions", &forged[..40]).await;
    cut.problem(400, "malformed");

    let last = vote(3, 0, "aliph").await.json();
    assert_eq!(
        (&last["votes"], &last["began"]),
        (&3.into(), &1.into()),
        "{last}"
    );
    let after = ask(at, "GET", "/protocol", b"").await.json();
    assert_eq!(
        (&after["epoch"]["number"], &after["epoch"]["protocol"]),
        (&1.into(), &"aliph".into())
    );
    assert_eq!(after["epoch"]["block"], last["block"]);
    assert_eq!(after["epochs"].as_array().unwrap().len(), 2);
    assert_eq!(after["proposals"], json!([]));
    gateway.shutdown().await;
}

#[tokio::test]
async fn ethereums_transactions_are_taken_as_they_are() {
    use accounts::{Signer, counter, deploying};
    use alloy_primitives::TxKind;
    let (dir, network) = (tempfile::tempdir().unwrap(), Fake::new());
    let gateway = start(&config(), dir.path(), &network).await;
    let at = gateway.addresses().http.unwrap();
    let ann = Signer::new(0);
    let deploy = ann.send(0, TxKind::Create, 0, &deploying(&counter()));
    let answer = ask(at, "POST", "/transactions?wait=final", &deploy).await;
    let said = answer.json();
    assert_eq!(answer.status, 200, "{said}");
    assert_eq!(said["id"], alloy_primitives::keccak256(&deploy).to_string());
    assert_eq!(
        (&said["status"], &said["success"]),
        (&json!("final"), &json!(true))
    );
    let contract = TxKind::Call(ann.address().create(0));
    let said = ask(
        at,
        "POST",
        "/transactions?wait=final",
        &ann.send(1, contract, 0, &[9]),
    )
    .await
    .json();
    assert_eq!(
        (&said["status"], &said["success"]),
        (&json!("final"), &json!(false))
    );
    // What can't be executed: known at the door, or when its place is known.
    for (bytes, status, detail) in [
        (vec![0xc0], 400, "rlp"),
        (
            ann.send(7, contract, 0, &[]),
            409,
            "nonce too high: next nonce 2, tx nonce 7",
        ),
        (
            ann.send(1, contract, 0, &[]),
            409,
            "nonce too low: next nonce 2, tx nonce 1",
        ),
    ] {
        let answer = ask(at, "POST", "/transactions?wait=final", &bytes).await;
        let said = answer.json();
        assert_eq!(
            (answer.status, &said["code"]),
            (status, &json!("not-executable")),
            "{said}"
        );
        assert!(
            said["detail"].as_str().unwrap().starts_with(detail),
            "{said}"
        );
    }
    gateway.shutdown().await;
}

#[tokio::test]
async fn who_lacks_a_role_is_turned_away_and_roles_can_be_read() {
    use accounts::{Signer, counter, deploying};
    use alloy_primitives::TxKind;
    let (ann, bob) = (Signer::new(0), Signer::new(1));
    let (dir, network) = (
        tempfile::tempdir().unwrap(),
        Fake::closed(ann.address().0.0),
    );
    let gateway = start(&config(), dir.path(), &network).await;
    let at = gateway.addresses().http.unwrap();
    let to = TxKind::Call(bob.address());
    let post = async |bytes: Vec<u8>| ask(at, "POST", "/transactions?wait=final", &bytes).await;
    assert_eq!(post(ann.send(0, to, 0, &[])).await.status, 200);
    let head = network.ledger().head().header.height;
    let creation = ann.send(1, TxKind::Create, 0, &deploying(&counter()));
    for (bytes, role) in [(bob.send(0, to, 0, &[]), "call"), (creation, "deploy")] {
        let answer = post(bytes).await;
        answer.problem(403, "not-allowed");
        assert!(answer.text().contains(role), "{}", answer.text());
    }
    assert_eq!(
        network.ledger().head().header.height,
        head,
        "none was ordered"
    );

    let page = ask(at, "GET", "/roles?limit=2", b"").await.json();
    assert_eq!(page["subjects"].as_array().unwrap().len(), 2);
    assert_eq!((&page["needed"], &page["motions"]), (&json!(3), &json!([])));
    let next = format!("/roles?limit=1000&after={}", page["next"].as_str().unwrap());
    let rest = ask(at, "GET", &next, b"").await.json();
    assert_eq!(rest["subjects"].as_array().unwrap().len(), 4);
    assert_eq!(rest["next"], json!(null));
    let own = ask(at, "GET", &format!("/roles/{}", ann.address()), b"").await;
    let own = own.json();
    assert_eq!(
        (&own["roles"], &own["may"]),
        (&json!(["call"]), &json!(["call"]))
    );
    assert_eq!(own["round"], json!(0));
    ask(at, "GET", "/roles/nobody", b"")
        .await
        .problem(400, "bad-request");
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_whole_stream_is_exported_page_by_page() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Fake::new());
    let gateway = start(&config(), dir.path(), &network).await;
    let at = gateway.addresses().http.unwrap();
    let key = device(Algorithm::Ed25519, 1);
    network.register("meter", &key);
    let transaction = |sequence| {
        let signed =
            hedgerow_records::SignedRecord::from_bytes(&record(&key, "air", sequence)).unwrap();
        hedgerow_records::Transaction::Record(signed)
            .to_bytes()
            .into()
    };
    for page in 0..5 {
        network.execute((0..500).map(|at| transaction(page * 500 + at)).collect());
    }
    let jsonl = ask(at, "GET", "/streams/meter/air/export?format=jsonl", b"")
        .await
        .text();
    let sequences: Vec<u64> = jsonl
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["sequence"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert!(sequences.into_iter().eq(0..2500));
    let csv = ask(at, "GET", "/streams/meter/air/export?format=csv", b"").await;
    assert!(csv.head["content-disposition"].contains("meter-air.csv"));
    let text = csv.text();
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("sequence,time_ms,"));
    let first = lines.next().unwrap();
    assert!(
        first.starts_with("0,1700000000000,0,") && first.contains(r#","{""celsius"":0.5}","#),
        "{first}"
    );
    assert_eq!(lines.count(), 2499);
    ask(at, "GET", "/streams/meter/none/export?format=csv", b"")
        .await
        .problem(404, "not-found");
    ask(at, "GET", "/streams/meter/air/export?format=xml", b"")
        .await
        .problem(400, "bad-request");
    gateway.shutdown().await;
}

#[tokio::test]
async fn errors_have_their_codes() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Fake::new());
    let gateway = start(&config(), dir.path(), &network).await;
    let at = gateway.addresses().http.unwrap();
    let (known, stranger) = (device(Algorithm::Ed25519, 1), device(Algorithm::P256, 2));
    network.register("known", &known);

    ask(at, "POST", "/records", b"garbage")
        .await
        .problem(400, "malformed");
    ask(at, "POST", "/records?wait=soon", b"")
        .await
        .problem(400, "bad-request");
    ask(at, "POST", "/records", &vec![0; (1 << 20) + 1])
        .await
        .problem(413, "too-large");
    ask(
        at,
        "POST",
        "/records?wait=final",
        &record(&stranger, "air", 0),
    )
    .await
    .problem(403, "unknown-device");
    let mut forged = record(&known, "air", 0);
    *forged.last_mut().unwrap() ^= 1;
    ask(at, "POST", "/records?wait=final", &forged)
        .await
        .problem(403, "bad-signature");
    let mut other =
        hedgerow_signer::RecordBuilder::new(1, known.device_id(), "air".parse().unwrap());
    other
        .push(hedgerow_signer::reading(0, 0, "text/plain", b"x").unwrap())
        .unwrap();
    ask(at, "POST", "/records", &other.sign(&known).unwrap())
        .await
        .problem(400, "wrong-network");
    assert_eq!(
        ask(at, "POST", "/records?wait=final", &record(&known, "air", 0))
            .await
            .status,
        200
    );
    let name = "air".parse().unwrap();
    let mut conflict =
        hedgerow_signer::RecordBuilder::new(support::NETWORK, known.device_id(), name);
    conflict
        .push(hedgerow_signer::reading(0, 0, "text/plain", b"else").unwrap())
        .unwrap();
    ask(
        at,
        "POST",
        "/records?wait=final",
        &conflict.sign(&known).unwrap(),
    )
    .await
    .problem(409, "conflict");
    let taken = network.registration("known", &stranger);
    ask(at, "POST", "/transactions?wait=final", &taken)
        .await
        .problem(409, "name-taken");

    ask(at, "GET", "/nothing", b"")
        .await
        .problem(404, "not-found");
    ask(at, "DELETE", "/streams", b"")
        .await
        .problem(405, "method-not-allowed");
    ask(at, "GET", "/streams?limit=0", b"")
        .await
        .problem(400, "bad-request");
    ask(at, "GET", "/streams?limt=5", b"")
        .await
        .problem(400, "bad-request");
    ask(at, "GET", "/streams/Known/air", b"")
        .await
        .problem(400, "bad-request");
    ask(at, "GET", "/streams/known/none", b"")
        .await
        .problem(404, "not-found");
    ask(at, "GET", "/streams/known/air/readings/x", b"")
        .await
        .problem(400, "bad-request");
    ask(at, "GET", "/streams/known/air/readings/9", b"")
        .await
        .problem(404, "not-found");
    ask(at, "GET", "/blocks/999", b"")
        .await
        .problem(404, "not-found");
    ask(at, "GET", "/records/0x00", b"")
        .await
        .problem(400, "bad-request");
    ask(at, "GET", &format!("/records/0x{}", "0".repeat(64)), b"")
        .await
        .problem(404, "not-found");
    ask(at, "GET", "/metrics", b"")
        .await
        .problem(404, "no-metrics");
    network.hide_certificates.store(true, Ordering::SeqCst);
    let early = ask(at, "GET", "/streams/known/air/readings/0/proof", b"").await;
    early.problem(503, "not-yet-final");
    assert_eq!(early.head["retry-after"], "1");
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_stalled_network_is_named_and_a_full_store_pushes_back() {
    let (dir, network) = (tempfile::tempdir().unwrap(), Fake::new());
    let mut config = config();
    config.spool.budget_bytes = 2 << 20;
    config.http.final_timeout_s = 1;
    let gateway = start(&config, dir.path(), &network).await;
    let at = gateway.addresses().http.unwrap();
    let key = device(Algorithm::Ed25519, 1);
    network.register("meter", &key);
    assert_eq!(ask(at, "GET", "/health", b"").await.status, 200);
    network.stall(true);
    let health = ask(at, "GET", "/health", b"").await;
    assert_eq!(
        (health.status, &health.json()["cause"]),
        (503, &"2 of 4 validators unreachable: need 3".into())
    );
    let waits = ask(at, "POST", "/records?wait=final", &record(&key, "air", 0)).await;
    assert_eq!(
        (waits.status, &waits.json()["status"]),
        (202, &"accepted".into())
    );
    let mut answer;
    let mut sequence = 1;
    loop {
        let mut large = hedgerow_signer::RecordBuilder::new(
            support::NETWORK,
            key.device_id(),
            "air".parse().unwrap(),
        );
        for _ in 0..10 {
            large
                .push(hedgerow_signer::reading(sequence, 0, "x/y", &[0; 60_000]).unwrap())
                .unwrap();
            sequence += 1;
        }
        answer = ask(at, "POST", "/records", &large.sign(&key).unwrap()).await;
        if answer.status != 202 {
            break;
        }
    }
    answer.problem(429, "store-full");
    assert!(answer.head.contains_key("retry-after"));
    network.stall(false);
    until("the store to be empty", || gateway.backlog().0 == 0).await;
    assert_eq!(ask(at, "GET", "/health", b"").await.status, 200);
    gateway.shutdown().await;
}

#[tokio::test]
async fn a_node_without_a_door_answers_questions_only() {
    let network = Fake::new();
    let key = device(Algorithm::Ed25519, 1);
    network.register("meter", &key);
    let server = HttpOnly::start(&config().http, network.clone(), None)
        .await
        .unwrap();
    let at = server.address().unwrap();
    assert_eq!(ask(at, "GET", "/devices/meter", b"").await.status, 200);
    ask(at, "POST", "/records", &record(&key, "air", 0))
        .await
        .problem(501, "no-door");
    assert_eq!(
        ask(at, "GET", "/status", b"").await.json()["gateway"],
        Value::Null
    );
    server.shutdown().await;
}
