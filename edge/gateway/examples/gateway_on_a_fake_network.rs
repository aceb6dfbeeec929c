//! A gateway on a network in memory, for the end-to-end tests of MQTT: prints what they need and runs until its
//! standard input ends.
//!
//! ```text
//! cargo run -p hedgerow-gateway --example gateway_on_a_fake_network -- KEY_FILE
//! ```
//! writes the secret of a registered Ed25519 device to KEY_FILE, in 64 hexadecimal digits.

#[path = "../tests/support/mod.rs"]
mod support;

use hedgerow_records::Algorithm;

#[tokio::main]
async fn main() {
    let file = std::env::args()
        .nth(1)
        .expect("the file for the device's key");
    let network = support::Fake::new();
    let key = support::device(Algorithm::Ed25519, 42);
    network.register("e2e", &key);
    std::fs::write(&file, hex::encode(*key.to_bytes())).expect("the key file is writable");
    let dir = tempfile::tempdir().expect("a folder for the spool");
    let gateway = support::start(&support::config(), dir.path(), &network).await;
    let addresses = gateway.addresses();
    println!("HEDGEROW_MQTT={}", addresses.mqtt.expect("MQTT"));
    println!("HEDGEROW_HTTP=http://{}", addresses.http.expect("HTTP"));
    println!("HEDGEROW_NETWORK={}", support::NETWORK);
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
        .await
        .ok();
    gateway.shutdown().await;
}
