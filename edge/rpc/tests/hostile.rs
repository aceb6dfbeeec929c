//! Ten thousand requests of people who mean harm, and one client who does not.

#[path = "../../../ledger/evm/tests/chain/accounts.rs"]
mod accounts;
#[path = "../../gateway/tests/support/mod.rs"]
mod support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use accounts::{CHAIN, Signer, deploying, spinner};
use alloy_primitives::{TxKind, hex};
use hedgerow_rpc::{Rpc, RpcLimits, Terms};
use serde_json::{Value, json};
use support::Fake;

/// How many requests each of the attackers makes.
const EACH: usize = 2_500;
/// How long the attack is spread over: what is measured is what the server does, not what this machine's other half does.
const PACE: Duration = Duration::from_micros(1_600);

/// A request over HTTP as bytes; no answer is waited for beyond what comes.
fn raw(address: SocketAddr, bytes: &[u8]) {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return;
    };
    let patience = Some(Duration::from_millis(50));
    // A server that hangs up has refused it, which is fine.
    let _ = stream.set_read_timeout(patience);
    let _ = stream.set_write_timeout(patience);
    let _ = stream.write_all(bytes);
    let _ = stream.read(&mut [0; 512]);
}

fn post(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

fn request(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

/// The attacks; `contract` never ends by itself. (The most gas takes a test's slow build a second: what calls do to others is
/// up to validators, which answer them on a thread of their own.)
fn attacks(contract: &str) -> Vec<Vec<u8>> {
    let call = request("eth_chainId", &json!([]));
    vec![
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not http at all\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n".to_vec(),
        post(""),
        post("{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"eth_chainId\""),
        post(&"[".repeat(100_000)),
        post(&request("eth_call", &json!([{ "to": contract, "input": "0x", "gas": "0x20000" }, "latest"]))),
        post(&request("eth_estimateGas", &json!([{ "to": contract, "gas": "0x20000" }]))),
        // With little gas: unoptimised, a step that is traced takes as long as fifty others.
        post(&request("debug_traceCall", &json!([{ "to": contract, "gas": "0x6000" }, "latest", { "enableMemory": true }]))),
        post(&request("eth_createAccessList", &json!([{ "to": contract, "gas": "0x20000" }]))),
        post(&request("debug_traceTransaction", &json!([contract, { "tracer": "callTracer" }]))),
        post(&format!("[{}]", vec![call.as_str(); 100].join(","))),
        post(&format!("[{}]", vec![call.as_str(); 101].join(","))),
        post(&request("eth_getLogs", &json!([{ "fromBlock": "0x0", "toBlock": "0xffffffffffffffff" }]))),
        post(&request("eth_getLogs", &json!([{ "topics": [vec!["0x00"; 5000]] }]))),
        post(&request("eth_feeHistory", &json!(["0xffffffffffffffff", "latest", vec![1.0; 1000]]))),
        post(&request("eth_getProof", &json!([contract, vec!["0x0"; 5000], "latest"]))),
        post(&request("eth_sendRawTransaction", &json!(["0x".to_owned() + &"c0".repeat(60_000)]))),
        post(&request("eth_newFilter", &json!([{}]))),
        post(&request("eth_subscribe", &json!(["newHeads"]))),
        post(&request("no_such_method", &json!({ "a": [[[[[]]]]] }))),
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 99999999999\r\n\r\n{".to_vec(),
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{".to_vec(),
    ]
}

fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}

/// How many balances one client reads per second, one after the other, over a connection that it keeps.
fn rate(address: SocketAddr, requests: u32) -> f64 {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .new_agent();
    let body = request(
        "eth_getBalance",
        &json!([Signer::new(0).address(), "latest"]),
    );
    let began = Instant::now();
    for _ in 0..requests {
        let post = agent
            .post(format!("http://{address}"))
            .header("content-type", "application/json");
        let answer = post
            .send(&body)
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap();
        assert!(answer.contains("result"), "{answer}");
    }
    f64::from(requests) / began.elapsed().as_secs_f64()
}

#[test]
fn who_means_harm_stops_nobody_and_nothing_grows() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (fake, ann) = (Fake::new(), Signer::new(0));
    fake.execute(vec![
        ann.send(0, TxKind::Create, 0, &deploying(&spinner()))
            .into(),
    ]);
    let contract = hex::encode_prefixed(ann.address().create(0));
    let terms = Terms {
        chain: CHAIN,
        gas_price: 0,
        gas_limit: 100_000_000,
    };
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let rpc = runtime
        .block_on(Rpc::start(fake, terms, listen, RpcLimits::default()))
        .unwrap();
    let address = rpc.address();
    let alone = rate(address, 500);
    let attacks = attacks(&contract);
    // Once through, so that what is allocated for good is there.
    attacks.iter().for_each(|attack| raw(address, attack));
    let before = resident_mib();
    let attacked = thread::scope(|scope| {
        for lane in 0..4 {
            let attacks = &attacks;
            scope.spawn(move || {
                for (number, attack) in (0..EACH).zip(attacks.iter().cycle().skip(lane * 5)) {
                    let began = Instant::now();
                    if number % 50 == lane {
                        // A connection that says nothing.
                        drop(TcpStream::connect(address));
                    }
                    raw(address, attack);
                    thread::sleep(PACE.saturating_sub(began.elapsed()));
                }
            });
        }
        rate(address, 1_000)
    });
    let after = resident_mib();
    // This machine's speed varies: the worse of before and after is what counts.
    let alone = alone.min(rate(address, 500));
    println!("alone {alone:.0}/s, attacked {attacked:.0}/s; {before} MiB before, {after} after");
    assert!(after < before + 64, "{before} MiB before, {after} after");
    assert!(attacked > alone / 2.0, "{attacked}/s of {alone}/s");
    runtime.block_on(rpc.shutdown());
}
