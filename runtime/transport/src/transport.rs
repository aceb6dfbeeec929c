use std::{
    collections::BTreeMap,
    fmt,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use hedgerow_base::NodeId;
use rustls::ClientConfig;
use tokio::{runtime::Builder, sync::watch, task::JoinSet};

use crate::{
    Channel, Limits, MemberStatus, Routes, TransportConfig, TransportError, Undelivered,
    accept::accept,
    dial::dial,
    identity::Identity,
    peer::{Peer, add},
};

/// What the transport's handles and its thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) peers: BTreeMap<NodeId, Arc<Peer>>,
    pub(crate) routes: Routes,
    pub(crate) stop: watch::Receiver<bool>,
}

/// A member's end of its sessions with all others. Cheap to clone; every method may be called from any thread, and
/// none of them waits for the network.
#[derive(Clone)]
pub struct Transport {
    shared: Arc<Shared>,
    stop: Arc<watch::Sender<bool>>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    local_address: Option<SocketAddr>,
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("local_address", &self.local_address)
            .finish_non_exhaustive()
    }
}

impl Transport {
    /// Listens, and begins to dial, on a thread of its own. What comes goes to the mailboxes of `routes`.
    ///
    /// # Errors
    /// When the configuration contradicts itself, or the address to listen on can't be had.
    pub fn start(config: TransportConfig, routes: Routes) -> Result<Self, TransportError> {
        let identity = Arc::new(Identity::new(&config)?);
        let listener = config.listen.map(bind).transpose()?;
        let local_address = listener
            .as_ref()
            .and_then(|listener| listener.local_addr().ok());
        let (stop, stopped) = watch::channel(false);
        let others = config
            .members
            .into_iter()
            .filter(|member| member.id != config.me);
        let shared = Arc::new(Shared {
            limits: config.limits,
            peers: others
                .map(|member| (member.id, Arc::new(Peer::new(member))))
                .collect(),
            routes,
            stop: stopped,
        });
        let mut calls = Vec::new();
        for peer in shared
            .peers
            .values()
            .filter(|peer| peer.id() < config.me && peer.member.address.is_some())
        {
            calls.push((
                peer.clone(),
                identity.dialling(peer.id(), &peer.member.public_key)?,
            ));
        }
        let accepting = identity.accepting()?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(TransportError::Thread)?;
        let work = {
            let shared = shared.clone();
            async move {
                let mut tasks = JoinSet::new();
                match listener.map(tokio::net::TcpListener::from_std).transpose() {
                    Ok(Some(listener)) => {
                        drop(tasks.spawn(accept(shared.clone(), listener, identity, accepting)))
                    }
                    Ok(None) => {}
                    Err(error) => tracing::error!("can't listen: {error}"),
                }
                spawn_calls(&mut tasks, &shared, calls);
                let mut stop = shared.stop.clone();
                // An error says that the last handle is gone.
                let _ = stop.wait_for(|stop| *stop).await;
                tasks.join_all().await;
            }
        };
        let thread = thread::Builder::new()
            .name("network".to_owned())
            .spawn(move || runtime.block_on(work))
            .map_err(TransportError::Thread)?;
        let thread = Arc::new(Mutex::new(Some(thread)));
        Ok(Self {
            shared,
            stop: Arc::new(stop),
            thread,
            local_address,
        })
    }

    /// Queues a frame and wakes whoever sends it.
    ///
    /// # Errors
    /// When it was not queued.
    pub fn send(&self, to: NodeId, channel: Channel, payload: Bytes) -> Result<(), Undelivered> {
        self.post(to, channel, payload)?;
        if let Some(peer) = self.shared.peers.get(&to) {
            peer.outbound.flush();
        }
        Ok(())
    }

    /// Queues a frame; it leaves after the next [`Transport::flush`] or earlier, together with all others.
    ///
    /// # Errors
    /// When it was not queued.
    pub fn post(&self, to: NodeId, channel: Channel, payload: Bytes) -> Result<(), Undelivered> {
        let peer = self.shared.peers.get(&to).ok_or(Undelivered::Unknown)?;
        let posted = peer.outbound.push(channel, payload, &self.shared.limits);
        match posted {
            Ok(()) | Err(Undelivered::Unknown) => {}
            Err(Undelivered::Unreachable) => add(&peer.counters.unreachable, 1),
            Err(Undelivered::Full | Undelivered::TooLarge) => add(&peer.counters.dropped, 1),
        }
        posted
    }

    /// Queues a frame for several members; they share its bytes. Says how many queues took it.
    pub fn broadcast(
        &self,
        to: impl IntoIterator<Item = NodeId>,
        channel: Channel,
        payload: &Bytes,
    ) -> usize {
        to.into_iter()
            .filter(|&to| self.post(to, channel, payload.clone()).is_ok())
            .count()
    }

    /// Lets go what was queued. Once per burst of work is best.
    pub fn flush(&self) {
        self.shared
            .peers
            .values()
            .for_each(|peer| peer.outbound.flush());
    }

    /// How it stands with each other member, by identifier.
    #[must_use]
    pub fn status(&self) -> Vec<MemberStatus> {
        self.shared
            .peers
            .values()
            .map(|peer| peer.status())
            .collect()
    }

    /// Where it listens; tells the port when any was asked for.
    #[must_use]
    pub const fn local_address(&self) -> Option<SocketAddr> {
        self.local_address
    }

    /// Ends all sessions, what is queued being sent first as far as half a second allows, and waits for that. The
    /// same happens, without the waiting, when the last handle is dropped.
    pub fn shutdown(&self) {
        self.stop.send_replace(true);
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the network thread panicked");
        }
    }
}

fn bind(address: SocketAddr) -> Result<TcpListener, TransportError> {
    let listen = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    listen().map_err(|source| TransportError::Listen { address, source })
}

fn spawn_calls(
    tasks: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    calls: Vec<(Arc<Peer>, ClientConfig)>,
) {
    for (peer, tls) in calls {
        tasks.spawn(dial(shared.clone(), peer, tls));
    }
}
