//! The program as its user sees it: what it prints, writes and answers.

mod common;

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
};

use common::{bad, good, hedgerow, json_of, text};

use hedgerow_chain::Genesis;
use hedgerow_node::{NodeConfig, SecretKeys};
use serde_json::{Value, json};
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A node that answers each request with what `answer` makes of its first line, and says what it was asked.
fn node(
    answers: usize,
    answer: impl Fn(&str) -> (u16, Value) + Send + 'static,
) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let mut asked = Vec::new();
        for stream in listener.incoming().take(answers) {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut request = String::new();
            reader.read_line(&mut request).unwrap();
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            std::io::Read::read_exact(&mut reader, &mut vec![0; length]).unwrap();
            let (status, body) = answer(request.trim());
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).unwrap();
            asked.push(
                request
                    .trim_end_matches([' ', '\r', '\n'])
                    .trim_end_matches(" HTTP/1.1")
                    .to_owned(),
            );
        }
        asked
    });
    (url, asked)
}

#[test]
fn init_makes_a_network_whose_members_can_start() {
    let dir = folder();
    let said = good(
        dir.path(),
        &[
            "init",
            "--dir",
            "net",
            "--name",
            "orchard",
            "--validators",
            "3",
            "--gateways",
            "1",
            "--json",
        ],
    );
    let said = json_of(&said);
    let text = fs::read_to_string(dir.path().join("net/genesis.json")).unwrap();
    let genesis = Genesis::from_json(&text).unwrap();
    assert_eq!(
        (said["name"].as_str(), said["network"].as_u64()),
        (Some("orchard"), Some(genesis.network))
    );
    assert_eq!(said["digest"], genesis.digest().to_hex());
    let members = said["members"].as_array().unwrap();
    assert_eq!(members.len(), 4);
    for member in members {
        let file = dir.path().join(member["config"].as_str().unwrap());
        let config = NodeConfig::load(&file).unwrap();
        SecretKeys::read(&config.key)
            .unwrap()
            .keyring(&genesis)
            .unwrap();
        let checked = good(
            dir.path(),
            &[
                "node",
                "--check",
                "--config",
                member["config"].as_str().unwrap(),
            ],
        );
        assert!(
            checked.contains(&format!(
                "The config of {}",
                member["name"].as_str().unwrap()
            )),
            "{checked}"
        );
    }
    let refused = bad(dir.path(), 2, &["init", "--dir", "net"]);
    assert!(
        refused.contains("never overwritten") && refused.contains("another folder"),
        "{refused}"
    );
    assert_eq!(
        fs::read_to_string(dir.path().join("net/genesis.json")).unwrap(),
        text
    );
}

#[test]
fn init_says_what_to_do_next() {
    let dir = folder();
    let said = good(dir.path(), &["init", "--dir", "net"]);
    for part in [
        "4 validators, 1 gateways",
        "hedgerow node --config net/gateway-0/node.toml",
        "HEDGEROW_NODE=http://127.0.0.1:7204",
        "--member net/gateway-0/node.toml",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

#[test]
fn a_node_with_a_bad_config_names_the_key_and_the_mend() {
    let dir = folder();
    good(dir.path(), &["init", "--dir", "net"]);
    let file = dir.path().join("net/validator-0/node.toml");
    let config = fs::read_to_string(&file).unwrap();
    fs::write(&file, config.replace("validator-2 =", "validator-9 =")).unwrap();
    let said = bad(
        dir.path(),
        2,
        &["node", "--config", "net/validator-0/node.toml"],
    );
    assert!(
        said.contains("peers.validator-9") && said.contains("no member of that name"),
        "{said}"
    );
    fs::write(&file, config.replace("durability =", "durable =")).unwrap();
    let said = bad(
        dir.path(),
        2,
        &["node", "--config", "net/validator-0/node.toml"],
    );
    assert!(
        said.contains("durable") && said.contains("node.toml"),
        "{said}"
    );
    fs::write(&file, &config).unwrap();
    fs::copy(
        dir.path().join("net/gateway-0/key.json"),
        dir.path().join("net/validator-0/other.json"),
    )
    .unwrap();
    fs::write(&file, config.replace("\"key.json\"", "\"other.json\"")).unwrap();
    let said = bad(
        dir.path(),
        2,
        &["node", "--check", "--config", "net/validator-0/node.toml"],
    );
    assert!(said.contains("\"gateway-0\" as a gateway"), "{said}");
}

#[test]
fn device_keys_are_made_without_a_network() {
    let dir = folder();
    for algorithm in ["ed25519", "p256", "secp256k1"] {
        let said = json_of(&good(
            dir.path(),
            &[
                "device",
                "new",
                algorithm,
                "--algorithm",
                algorithm,
                "--no-register",
                "--json",
            ],
        ));
        assert_eq!(said["algorithm"], algorithm);
        let file =
            json_of(&fs::read_to_string(dir.path().join(format!("{algorithm}.json"))).unwrap());
        assert_eq!(
            (&file["device"], &file["public_key"]),
            (&said["device"], &said["public_key"])
        );
    }
    let said = bad(dir.path(), 2, &["device", "new", "p256", "--no-register"]);
    assert!(said.contains("never overwritten"), "{said}");
    let said = bad(dir.path(), 2, &["device", "new", "Mast 7", "--no-register"]);
    assert!(said.contains("not allowed in a name"), "{said}");
    let said = bad(dir.path(), 2, &["device", "new", "mast-7"]);
    assert!(
        said.contains("--member") && said.contains("--no-register"),
        "{said}"
    );
    assert!(!dir.path().join("mast-7.json").exists());
}

#[test]
fn a_device_is_registered_through_a_gateway() {
    let dir = folder();
    good(dir.path(), &["init", "--dir", "net"]);
    let (url, asked) = node(1, |_| (200, json!({ "status": "final", "device": "0x00" })));
    let said = good(
        dir.path(),
        &[
            "device",
            "new",
            "mast-7",
            "--member",
            "net/gateway-0/node.toml",
            "--node",
            &url,
        ],
    );
    assert!(said.contains("mast-7 is registered as device 0x"), "{said}");
    assert_eq!(asked.join().unwrap(), ["POST /transactions?wait=final"]);

    let (url, _) = node(1, |_| {
        (
            409,
            json!({ "code": "name-taken", "detail": "the name mast-8 belongs to device 0x01" }),
        )
    });
    let said = bad(
        dir.path(),
        1,
        &[
            "device",
            "new",
            "mast-8",
            "--member",
            "net/gateway-0/node.toml",
            "--node",
            &url,
        ],
    );
    assert!(
        said.contains("not registered") && said.contains("belongs to device 0x01"),
        "{said}"
    );
}

#[test]
fn a_device_sends_after_the_last_number() {
    let dir = folder();
    good(dir.path(), &["device", "new", "mast-7", "--no-register"]);
    let (url, asked) = node(3, |request| match request {
        request if request.contains("/status") => (200, json!({ "network": { "network": 7 } })),
        request if request.contains("/streams/") => {
            (200, json!({ "length": 5, "last_sequence": 9 }))
        }
        _ => (
            200,
            json!({ "status": "final", "block": 12, "appended": 2, "duplicates": 0 }),
        ),
    });
    let send = [
        "device",
        "send",
        "--key",
        "mast-7.json",
        "--stream",
        "t",
        "--value",
        "-1.5",
        "--value",
        "2",
        "--node",
        &url,
    ];
    let said = good(dir.path(), &send);
    assert!(
        said.contains("mast-7/t readings 10 to 11: final in block 12"),
        "{said}"
    );
    assert_eq!(
        asked.join().unwrap(),
        [
            "GET /status",
            "GET /streams/mast-7/t",
            "POST /records?wait=final"
        ]
    );

    let (url, _) = node(2, |request| match request {
        request if request.contains("/status") => (200, json!({ "network": { "network": 7 } })),
        _ => (
            403,
            json!({ "code": "unknown-device", "detail": "device 0x is not registered: ask a member to register it" }),
        ),
    });
    let send = [
        "device",
        "send",
        "--key",
        "mast-7.json",
        "--stream",
        "t",
        "--sequence",
        "0",
        "--value",
        "1",
        "--node",
        &url,
    ];
    let said = bad(dir.path(), 1, &send);
    assert!(
        said.contains("rejected") && said.contains("ask a member to register it"),
        "{said}"
    );
}

#[test]
fn what_is_sent_must_make_sense() {
    let dir = folder();
    good(dir.path(), &["device", "new", "d", "--no-register"]);
    let (url, _) = node(9, |_| (200, json!({ "network": { "network": 7 } })));
    let send = |more: &[&str]| {
        let mut arguments = vec![
            "device", "send", "--key", "d.json", "--stream", "t", "--node", &url,
        ];
        arguments.extend(more);
        bad(dir.path(), 2, &arguments)
    };
    assert!(send(&[]).contains("nothing to send"));
    assert!(send(&["--value", "warm"]).contains("--value warm: not a number"));
    assert!(send(&["--json-value", "{"]).contains("is not JSON"));
    assert!(send(&["--value", "1", "--time", "noon"]).contains("is not a time"));
    assert!(
        send(&["--value", "1", "--key", "none.json"]).contains("cannot be used multiple times")
    );
}

#[test]
fn status_names_the_cause_and_has_an_exit_code() {
    let dir = folder();
    let status = |healthy: bool, cause: Value| {
        move |_: &str| {
            (
                200,
                json!({ "healthy": healthy, "cause": cause, "network": { "name": "orchard", "network": 7, "node": "gateway-0", "members": [] } }),
            )
        }
    };
    let (url, _) = node(1, status(true, Value::Null));
    assert!(good(dir.path(), &["status", "--node", &url]).contains("The network goes on"));
    let (url, _) = node(
        1,
        status(false, json!("2 of 4 validators unreachable: need 3")),
    );
    assert!(
        bad(dir.path(), 1, &["status", "--node", &url])
            .contains("NOT WELL: 2 of 4 validators unreachable: need 3")
    );
    let (url, _) = node(1, status(false, json!("x")));
    assert_eq!(
        json_of(&bad(dir.path(), 1, &["status", "--json", "--node", &url]))["cause"],
        "x"
    );
}

#[test]
fn what_orders_is_said_even_when_nobody_says_what_is_voted_for() {
    let dir = folder();
    let (url, asked) = node(4, |request| {
        if request.starts_with("GET /status") {
            let network = json!({"consensus": "pbft", "protocol": "pbft", "view": 3});
            (200, json!({ "network": network }))
        } else {
            let detail = "the network does not answer: need 3";
            (
                503,
                json!({"code": "network-unavailable", "detail": detail}),
            )
        }
    });
    let output = hedgerow(dir.path(), &["protocol", "--node", &url]);
    assert!(output.status.success());
    assert_eq!(
        text(&output.stdout),
        "pbft, view 3, since the start of this node\n"
    );
    assert!(text(&output.stderr).contains("not known: the network does not answer: need 3"));
    let told = json_of(&good(dir.path(), &["protocol", "--json", "--node", &url]));
    assert_eq!(
        (&told["number"], &told["epoch"], &told["proposals"]),
        (&3.into(), &Value::Null, &Value::Null)
    );
    assert_eq!(asked.join().unwrap()[..2], ["GET /status", "GET /protocol"]);
}

#[test]
fn nobody_there_is_said_with_the_mend() {
    let dir = folder();
    let said = bad(
        dir.path(),
        2,
        &["get", "a/b", "0", "--node", "http://127.0.0.1:1"],
    );
    assert!(
        said.contains("is the node running?") && said.contains("HEDGEROW_NODE"),
        "{said}"
    );
    let said = bad(
        dir.path(),
        2,
        &["get", "a/b", "0", "--node", "https://127.0.0.1:1"],
    );
    assert!(said.contains("TLS proxy"), "{said}");
    let said = bad(dir.path(), 2, &["get", "ab", "0"]);
    assert!(said.contains("DEVICE/STREAM"), "{said}");
}

#[test]
fn a_reading_is_shown_and_exported() {
    let dir = folder();
    let reading = json!({ "sequence": 3, "time_ms": 0, "content_type": "application/json", "encoding": "json", "payload": 21.5, "position": 3, "block": 9, "block_time_ms": 1000, "record": "0xab" });
    let answer = reading.clone();
    let (url, asked) = node(3, move |request| {
        if request.contains("readings/3") {
            (200, answer.clone())
        } else {
            (404, json!({ "detail": "there is no such reading" }))
        }
    });
    let said = good(dir.path(), &["get", "mast-7/t", "3", "--node", &url]);
    assert!(
        said.contains("21.5") && said.contains("1970-01-01T00:00:01Z") && said.contains("block 9"),
        "{said}"
    );
    assert_eq!(
        json_of(&good(
            dir.path(),
            &["get", "mast-7/t", "3", "--node", &url, "--json"]
        )),
        reading
    );
    let said = bad(dir.path(), 2, &["get", "mast-7/t", "4", "--node", &url]);
    assert!(
        said.contains("there is no such reading (HTTP 404)"),
        "{said}"
    );
    assert_eq!(asked.join().unwrap()[0], "GET /streams/mast-7/t/readings/3");

    let (url, asked) = node(2, |_| (200, json!("sequence")));
    assert_eq!(
        good(
            dir.path(),
            &["export", "mast-7/t", "--format", "csv", "--node", &url]
        ),
        "\"sequence\""
    );
    good(
        dir.path(),
        &[
            "export", "mast-7/t", "--format", "jsonl", "-o", "out", "--node", &url,
        ],
    );
    assert_eq!(
        fs::read_to_string(dir.path().join("out")).unwrap(),
        "\"sequence\""
    );
    assert_eq!(
        asked.join().unwrap(),
        [
            "GET /streams/mast-7/t/export?format=csv",
            "GET /streams/mast-7/t/export?format=jsonl"
        ]
    );
}

#[test]
fn what_is_no_proof_is_refused() {
    let dir = folder();
    good(dir.path(), &["init", "--dir", "net"]);
    fs::write(dir.path().join("a"), "HGPROOF").unwrap();
    let said = bad(
        dir.path(),
        1,
        &["verify", "a", "--genesis", "net/genesis.json"],
    );
    assert!(said.contains("NOT PROVED"), "{said}");
    fs::write(dir.path().join("a"), vec![0; 1 << 20]).unwrap();
    let said = json_of(&bad(
        dir.path(),
        1,
        &["verify", "a", "--genesis", "net/genesis.json", "--json"],
    ));
    assert_eq!(said["proved"], false);
    let said = bad(
        dir.path(),
        2,
        &["verify", "none", "--genesis", "net/genesis.json"],
    );
    assert!(said.contains("none: can't read the proof"), "{said}");
    let said = bad(dir.path(), 2, &["verify", "a", "--genesis", "none.json"]);
    assert!(
        said.contains("--genesis") && said.contains("none.json"),
        "{said}"
    );
}

#[test]
fn every_promised_command_teaches() {
    let dir = folder();
    for command in [
        "devnet", "init", "node", "status", "protocol", "get", "prove", "verify", "export",
        "bench", "sim",
    ] {
        let said = good(dir.path(), &[command, "--help"]);
        assert!(said.contains("Example"), "{command} has no example: {said}");
    }
    for command in ["new", "register", "send"] {
        let said = good(dir.path(), &["device", command, "--help"]);
        assert!(said.contains("Examples:"), "{command}: {said}");
    }
    for command in ["propose", "approve"] {
        let said = good(dir.path(), &["protocol", command, "--help"]);
        assert!(
            said.contains("Examples:") && said.contains("Exit codes:"),
            "{command}: {said}"
        );
    }
    assert!(bad(dir.path(), 2, &["sim", "--seeds", "5"]).contains("A..B"));
    assert!(bad(dir.path(), 2, &["devnet", "--rate=-1"]).contains("--rate"));
}

#[test]
fn sim_draws_latency_against_throughput() {
    let dir = folder();
    let draw = |into: &str| {
        let mut arguments: Vec<_> =
            "sim --mode performance --protocol pbft,quorum --seeds 0..2 --requests 60 --no-disk"
                .split(' ')
                .collect();
        arguments
            .extend("--clients 1,3 --payload 0/0,1/0 --warm-up 5 --measure 100 --plot".split(' '));
        arguments.push(into);
        good(dir.path(), &arguments)
    };
    let said = draw("curves");
    assert!(
        said.contains("110 ns per MAC") && said.contains("n = 4, f = 1"),
        "{said}"
    );
    let file = |path: &str| fs::read(dir.path().join(path)).unwrap();
    let data = text(&file("curves/latency-throughput.csv"));
    let lines: Vec<_> = data.lines().collect();
    assert!(lines[0].starts_with("protocol,payload,clients,"), "{data}");
    let points: Vec<Vec<_>> = lines[1..]
        .iter()
        .map(|line| line.split(',').collect())
        .collect();
    let loads: Vec<_> = points.iter().map(|point| point[..3].join(" ")).collect();
    assert_eq!(
        loads,
        [
            "pbft 0/0 1",
            "pbft 0/0 3",
            "quorum 0/0 1",
            "quorum 0/0 3",
            "pbft 1/0 1",
            "pbft 1/0 3",
            "quorum 1/0 1",
            "quorum 1/0 3"
        ]
    );
    for (point, line) in points.iter().zip(&lines[1..]) {
        assert_eq!(point.len(), lines[0].split(',').count(), "{line}");
        let answered = point[4] != "0";
        // Three clients are contention: a Quorum may be busy with ending.
        assert!(answered || line.starts_with("quorum"), "{line}");
    }
    let json = json_of(&text(&file("curves/latency-throughput.json")));
    assert_eq!(json["points"].as_array().unwrap().len(), points.len());
    for payload in ["0-0", "1-0"] {
        let svg = text(&file(&format!("curves/latency-throughput-{payload}.svg")));
        let document = roxmltree::Document::parse(&svg).unwrap();
        assert!(document.root_element().has_tag_name("svg"));
        let png = file(&format!("curves/latency-throughput-{payload}.png"));
        let mut reader = png::Decoder::new(std::io::Cursor::new(png))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert!(
            pixels.iter().any(|value| *value != pixels[0]),
            "{payload} is blank"
        );
    }
    draw("again");
    assert_eq!(data, text(&file("again/latency-throughput.csv")));
    let refused = bad(dir.path(), 2, &["sim", "--seeds", "0..1", "--plot", "x"]);
    assert!(refused.contains("--mode performance"), "{refused}");
}

#[test]
fn a_bad_file_of_readings_is_refused_before_anything_starts() {
    let dir = folder();
    fs::write(dir.path().join("a.csv"), "when,a\n1,2\n").unwrap();
    let said = bad(dir.path(), 2, &["devnet", "--data", "a.csv"]);
    assert!(
        said.contains("--data a.csv") && said.contains("`time`"),
        "{said}"
    );
    assert!(!dir.path().join("devnet").exists());
}
