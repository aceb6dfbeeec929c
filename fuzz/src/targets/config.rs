//! A node's config file.

use hedgerow_node::NodeConfig;

const VALIDATOR: &str = r#"
genesis = "genesis.json"
key = "key.json"
data = "data"
listen = "127.0.0.1:7000"
[peers]
birch = "127.0.0.1:7001"
"field maple" = "[::1]:7002"
[validator]
http = "127.0.0.1:8000"
[storage]
durability = "none"
[ordering]
request_timeout_ms = 1000
max_timeout_ms = 4000
retransmit_ms = 500
[log]
filter = "info"
format = "json"
"#;

const GATEWAY: &str = r#"
genesis = "genesis.json"
key = "key.json"
data = "data"
listen = "127.0.0.1:7005"
[gateway.http]
listen = "127.0.0.1:8080"
[gateway.mqtt]
listen = "127.0.0.1:1883"
"#;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(config) = toml::from_str::<NodeConfig>(text) else {
        return;
    };
    match config.validate() {
        Ok(()) => {
            let again = config.to_toml();
            let read: NodeConfig = toml::from_str(&again).expect("what was read can be written");
            assert_eq!(read, config, "it changed on the way");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![VALIDATOR.into(), GATEWAY.into()]
}
