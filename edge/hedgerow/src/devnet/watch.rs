use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use super::site::Site;
use crate::client::Client;

/// How often the nodes are asked.
const PERIOD: Duration = Duration::from_millis(500);

/// Asks every node how it does, on a thread of its own: a node that hangs must not stop the show.
pub(crate) struct Watch {
    seen: Arc<Mutex<Vec<NodeView>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How a node does, in its own words.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct NodeView {
    pub(crate) name: String,
    pub(crate) up: bool,
    pub(crate) block: u64,
    pub(crate) final_block: u64,
    pub(crate) view: u64,
    pub(crate) primary: bool,
    /// What its participant in the protocol is doing.
    pub(crate) phase: String,
    pub(crate) cause: Option<String>,
}

impl NodeView {
    /// What it is doing, in a few words.
    pub(crate) fn words(&self) -> String {
        if !self.up {
            return format!("{:<12} down", self.name);
        }
        let role = if self.primary { ", primary" } else { "" };
        let cause = self
            .cause
            .as_ref()
            .map(|cause| format!(", {cause}"))
            .unwrap_or_default();
        format!(
            "{:<12} block {}, view {}, {}{role}{cause}",
            self.name, self.block, self.view, self.phase
        )
    }
}

impl Watch {
    pub(crate) fn start(site: &Site) -> Result<Self> {
        let (seen, stop) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(AtomicBool::new(false)),
        );
        let validators = site.validators.len() as u64;
        let mut nodes = Vec::new();
        for (id, node) in (0..).zip(site.nodes()) {
            let client =
                Client::new(&format!("http://{}", node.http))?.impatient(Duration::from_secs(1));
            nodes.push((id, node.name.clone(), client));
        }
        let (views, stopped) = (seen.clone(), stop.clone());
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let now = nodes
                    .iter()
                    .map(|(id, name, client)| look(*id, name, client, validators))
                    .collect();
                *views.lock().unwrap_or_else(PoisonError::into_inner) = now;
                thread::park_timeout(PERIOD);
            }
        });
        Ok(Self {
            seen,
            stop,
            thread: Some(thread),
        })
    }

    /// How all nodes did a moment ago.
    pub(crate) fn seen(&self) -> Vec<NodeView> {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn look(id: u64, name: &str, client: &Client, validators: u64) -> NodeView {
    let Ok(status) = client.get::<Value>("/status") else {
        return NodeView {
            name: name.into(),
            ..NodeView::default()
        };
    };
    let network = &status["network"];
    let view = network["view"].as_u64().unwrap_or(0);
    NodeView {
        name: name.into(),
        up: true,
        block: network["head_height"].as_u64().unwrap_or(0),
        final_block: network["attested_height"].as_u64().unwrap_or(0),
        view,
        primary: id < validators && view % validators == id,
        phase: network["phase"].as_str().unwrap_or_default().to_owned(),
        cause: status["cause"].as_str().map(str::to_owned),
    }
}
