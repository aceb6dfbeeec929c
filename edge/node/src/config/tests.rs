use hedgerow_chain::{Member, Ordering};

use super::*;

const VALIDATOR: &str = r#"
        genesis = "../genesis.json"
        key = "key.json"
        data = "/var/lib/hedgerow"
        listen = "127.0.0.1:7000"
        [peers]
        bob = "bob.example:7000"
        carol = "[::1]:7002"
        [validator]
        http = "127.0.0.1:7100"
    "#;

const GATEWAY: &str = r#"
        genesis = "../genesis.json"
        key = "key.json"
        data = "data"
        listen = "127.0.0.1:7004"
        [peers]
        alice = "10.0.0.1:7000"
        bob = "10.0.0.2:7000"
        carol = "10.0.0.3:7000"
        [gateway.http]
        listen = "127.0.0.1:7200"
        [gateway.mqtt]
        listen = "127.0.0.1:7300"
        listen_tls = "0.0.0.0:8883"
        [gateway.mqtt.tls]
        certificate = "tls.pem"
        key = "/etc/tls.key"
        [storage]
        durability = "none"
        [log]
        format = "json"
    "#;

fn load(text: &str) -> Result<NodeConfig, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.toml");
    fs::write(&file, text).unwrap();
    NodeConfig::load(&file)
}

/// What is said of a config in which `from` has been replaced by `to`.
fn error(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    load(&text.replacen(from, to, 1)).unwrap_err().to_string()
}

fn says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "no {part:?} in {error:?}");
    }
}

fn genesis() -> Genesis {
    let member = |name: &str, number| Member {
        name: name.into(),
        key: [number; 32],
        mac_key: [number; 32],
    };
    Genesis {
        network: 7,
        name: "orchard".into(),
        time: 0,
        validators: vec![member("alice", 1), member("bob", 2), member("carol", 3)],
        gateways: vec![member("gate", 4)],
        ordering: Ordering {
            consensus: "pbft".into(),
            checkpoint_interval: 128,
            options: BTreeMap::new(),
        },
        contracts: Default::default(),
        roles: Default::default(),
    }
}

#[test]
fn good_configs_load_with_their_defaults() {
    let config = load(VALIDATOR).unwrap();
    assert!(config.genesis.is_absolute() && config.genesis.ends_with("../genesis.json"));
    assert_eq!(config.data, Path::new("/var/lib/hedgerow"));
    assert_eq!(config.storage.durability, Durability::Fsync);
    assert_eq!(config.ordering, OrderingConfig::default());
    assert_eq!(config.log.filter, "info");
    config
        .validate_for(&genesis(), "alice", Seat::Validator)
        .unwrap();

    let config = load(GATEWAY).unwrap();
    let gateway = config.gateway.clone().unwrap();
    let tls = gateway.mqtt.tls.unwrap();
    assert!(tls.certificate.is_absolute());
    assert_eq!(tls.key, Path::new("/etc/tls.key"));
    assert_eq!(gateway.spool, Default::default());
    assert_eq!(
        (config.storage.durability, config.log.format),
        (Durability::None, LogFormat::Json)
    );
    config
        .validate_for(&genesis(), "gate", Seat::Gateway)
        .unwrap();
}

#[test]
fn what_is_written_is_read() {
    for text in [VALIDATOR, GATEWAY] {
        let config = load(text).unwrap();
        assert_eq!(load(&config.to_toml()).unwrap(), config);
    }
}

#[test]
fn a_missing_file_says_what_config_must_name() {
    let error = NodeConfig::load(Path::new("/nonexistent/node.toml"))
        .unwrap_err()
        .to_string();
    says(&error, &["/nonexistent/node.toml", "--config"]);
}

#[test]
fn unknown_and_missing_keys_are_named_with_their_line() {
    says(
        &error(VALIDATOR, "data =", "date ="),
        &["line 4", "date", "unknown field", "`data`"],
    );
    says(
        &error(VALIDATOR, "key = \"key.json\"", ""),
        &["missing field `key`"],
    );
    says(
        &error(GATEWAY, "gateway.mqtt]", "gateway.mtqq]"),
        &["mtqq", "`mqtt`"],
    );
    says(
        &error(GATEWAY, "durability", "durable"),
        &["durable", "`durability`"],
    );
    says(
        &error(GATEWAY, "\"none\"", "\"never\""),
        &["never", "`fsync`", "`none`"],
    );
    says(
        &error(GATEWAY, "\"json\"", "\"xml\""),
        &["xml", "`text`", "`json`"],
    );
    says(&error(VALIDATOR, "[peers]", "[peers"), &["line 6"]);
}

#[test]
fn addresses_are_host_and_port() {
    for bad in [
        "bob",
        "bob:",
        ":7000",
        "bob:0",
        "bob:70000",
        "http://bob:7000",
        "::1:7000",
        "[::z]:7000",
    ] {
        says(
            &error(VALIDATOR, "bob.example:7000", bad),
            &["bob", "HOST:PORT"],
        );
    }
    says(
        &error(VALIDATOR, "\"127.0.0.1:7000\"", "\"localhost\""),
        &["listen", "line 5"],
    );
}

#[test]
fn values_out_of_range_name_the_key_and_the_range() {
    says(
        &error(
            VALIDATOR,
            "[validator]",
            "[ordering]\nrequest_timeout_ms = 10\n[validator]",
        ),
        &["ordering.request_timeout_ms: 10 ms", "50 to 5000"],
    );
    says(
        &error(
            VALIDATOR,
            "[validator]",
            "[ordering]\nmax_timeout_ms = 60000\n[validator]",
        ),
        &["ordering.max_timeout_ms: 60000 ms", "1000 to 8000", "10 s"],
    );
    says(
        &error(
            VALIDATOR,
            "[validator]",
            "[ordering]\nretransmit_ms = 0\n[validator]",
        ),
        &["ordering.retransmit_ms: 0 ms"],
    );
    says(
        &error(
            GATEWAY,
            "[log]",
            "[gateway.spool]
budget_bytes = 1
[log]",
        ),
        &[
            "gateway.spool.budget_bytes: 1 is out of bounds",
            "use 2097152",
        ],
    );
    says(
        &error(GATEWAY, "[log]", "[log]\nfilter = ' '"),
        &["log.filter", "\"info\""],
    );
    says(
        &error(VALIDATOR, "\"../genesis.json\"", "\"\""),
        &["genesis"],
    );
}

#[test]
fn listeners_have_fixed_ports_of_their_own() {
    says(
        &error(GATEWAY, "127.0.0.1:7300", "127.0.0.1:7200"),
        &[
            "gateway.mqtt.listen: 127.0.0.1:7200 is taken by `gateway.http.listen`",
            "own port",
        ],
    );
    says(
        &error(GATEWAY, "0.0.0.0:8883", "0.0.0.0:7004"),
        &["gateway.mqtt.listen_tls", "`listen`"],
    );
    says(
        &error(VALIDATOR, "127.0.0.1:7100", "127.0.0.1:0"),
        &["validator.http: port 0"],
    );
}

#[test]
fn a_node_is_something() {
    let nothing = VALIDATOR.split("[validator]").next().unwrap();
    says(
        &load(nothing).unwrap_err().to_string(),
        &["[validator]", "[gateway]", "add the section"],
    );
}

#[test]
fn the_config_fits_the_genesis() {
    let refuse = |text: &str, name: &str, seat| {
        load(text)
            .unwrap()
            .validate_for(&genesis(), name, seat)
            .unwrap_err()
            .to_string()
    };
    says(
        &refuse(VALIDATOR, "gate", Seat::Gateway),
        &[
            "gateway:",
            "\"gate\" as a gateway",
            "add a section [gateway.http]",
        ],
    );
    says(
        &refuse(GATEWAY, "alice", Seat::Validator),
        &["validator:", "add a section [validator]"],
    );
    let both = format!("{VALIDATOR}\n[gateway.http]\nlisten = \"127.0.0.1:7200\"");
    says(
        &refuse(&both, "alice", Seat::Validator),
        &["gateway:", "a validator only", "remove"],
    );
    says(
        &refuse(&both, "gate", Seat::Gateway),
        &["validator:", "a gateway only", "remove"],
    );
    let without = VALIDATOR.replace("carol =", "# carol =");
    says(
        &refuse(&without, "alice", Seat::Validator),
        &["peers.carol: missing address", "carol = \"HOST:PORT\""],
    );
    let stranger = VALIDATOR.replace("carol =", "carole =");
    says(
        &refuse(&stranger, "alice", Seat::Validator),
        &["peers.carole", "no member", "\"orchard\""],
    );
}
