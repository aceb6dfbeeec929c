//! The genesis file.

use hedgerow_chain::Genesis;

const SEED: &str = r#"{
  "network": 7,
  "name": "neighbours",
  "time": 1700000000000,
  "validators": [
    { "name": "alder", "key": "0101010101010101010101010101010101010101010101010101010101010101",
      "mac_key": "0202020202020202020202020202020202020202020202020202020202020202" }
  ],
  "gateways": [],
  "ordering": { "consensus": "pbft", "checkpoint_interval": 128, "client_window": 64, "fast": true, "mode": "x" }
}"#;

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Genesis::from_json(text) {
        Ok(genesis) => {
            let again =
                Genesis::from_json(&genesis.to_json()).expect("what was read can be written");
            assert_eq!(again, genesis, "it changed on the way");
            let _ = genesis.roster();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![SEED.into()]
}
