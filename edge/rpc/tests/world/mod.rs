//! A server over a network in memory, and a client of it.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use alloy_primitives::{Address, TxKind, hex};
use hedgerow_rpc::{Rpc, RpcLimits, Terms};
use serde_json::{Value, json};

use crate::{
    accounts::{CHAIN, Signer, counter, deploying},
    support::Fake,
};

pub(crate) struct World {
    runtime: tokio::runtime::Runtime,
    rpc: Option<Rpc>,
    address: SocketAddr,
    pub(crate) fake: Arc<Fake>,
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(rpc) = self.rpc.take() {
            self.runtime.block_on(rpc.shutdown());
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(RpcLimits::default())
    }

    pub(crate) fn with(limits: RpcLimits) -> Self {
        Self::of(Fake::new(), limits)
    }

    pub(crate) fn of(fake: Arc<Fake>, limits: RpcLimits) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let terms = Terms {
            chain: CHAIN,
            gas_price: 0,
            gas_limit: 100_000_000,
        };
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let rpc = runtime
            .block_on(Rpc::start(fake.clone(), terms, listen, limits))
            .unwrap();
        Self {
            address: rpc.address(),
            rpc: Some(rpc),
            runtime,
            fake,
        }
    }

    pub(crate) fn post(&self, body: &str) -> (u16, String) {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .build()
            .new_agent();
        let url = format!("http://{}", self.address);
        let request = agent.post(url).header("content-type", "application/json");
        let mut response = request.send(body).unwrap();
        (
            response.status().as_u16(),
            response.body_mut().read_to_string().unwrap(),
        )
    }

    pub(crate) fn ask(&self, method: &str, params: Value) -> Result<Value, Value> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (status, body) = self.post(&request.to_string());
        assert_eq!(status, 200, "{body}");
        let mut response: Value = serde_json::from_str(&body).unwrap();
        match response.get_mut("error") {
            Some(error) => Err(error.take()),
            None => Ok(response["result"].take()),
        }
    }

    pub(crate) fn get(&self, method: &str, params: Value) -> Value {
        self.ask(method, params)
            .unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    pub(crate) fn refused(&self, method: &str, params: Value) -> (i64, String) {
        let error = self.ask(method, params).unwrap_err();
        let message = error["message"].as_str().unwrap().to_owned();
        (error["code"].as_i64().unwrap(), message)
    }

    /// Sends a transaction, and waits for its receipt.
    pub(crate) fn send(&self, transaction: &[u8]) -> Value {
        self.get(
            "eth_sendRawTransactionSync",
            json!([hex::encode_prefixed(transaction)]),
        )
    }

    pub(crate) fn deploy_counter(&self, signer: &Signer) -> (Address, Value) {
        let receipt = self.send(&signer.send(0, TxKind::Create, 0, &deploying(&counter())));
        (
            receipt["contractAddress"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap(),
            receipt,
        )
    }
}
