//! A network of one process, driven from the command line through a real gateway.
#![allow(dead_code, unreachable_pub)]

#[path = "../../../gateway/tests/support/mod.rs"]
pub mod support;

use std::sync::Arc;

use hedgerow_chain::Genesis;
use hedgerow_gateway::{Gateway, GatewayConfig};
use hedgerow_node::SecretKeys;
use support::Fake;
use tempfile::TempDir;

use crate::common::{bad, good};

/// A network's folder, its ledger, and a gateway.
pub struct Network {
    pub dir: TempDir,
    pub ledger: Arc<Fake>,
    pub gateway: Gateway,
    pub url: String,
    /// What is driven: a command of the program.
    command: &'static str,
}

impl Network {
    /// The network is in the folder's `folder`.
    pub async fn start(command: &'static str, folder: &str) -> Self {
        Self::start_with(command, folder, &support::config()).await
    }

    pub async fn start_with(command: &'static str, folder: &str, config: &GatewayConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        good(dir.path(), &["init", "--dir", folder]);
        let net = dir.path().join(folder);
        let text = std::fs::read_to_string(net.join("genesis.json")).unwrap();
        let genesis = Genesis::from_json(&text).unwrap();
        let members = genesis.validators.iter().chain(&genesis.gateways);
        let keys = members
            .map(|member| {
                let file = net.join(&member.name).join("key.json");
                SecretKeys::read(&file).unwrap().signing()
            })
            .collect();
        let ledger = Fake::of(genesis, keys);
        let gateway = support::start(config, &dir.path().join("spool"), &ledger).await;
        let url = format!("http://{}", gateway.addresses().http.unwrap());
        Self {
            dir,
            ledger,
            gateway,
            url,
            command,
        }
    }

    pub fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [&[self.command, "--node", &self.url], arguments].concat()
    }

    pub fn good(&self, arguments: &[&str]) -> String {
        good(self.dir.path(), &self.arguments(arguments))
    }

    pub fn bad(&self, code: i32, arguments: &[&str]) -> String {
        bad(self.dir.path(), code, &self.arguments(arguments))
    }
}
