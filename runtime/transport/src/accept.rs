//! Taking sessions that others begin.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    Channel,
    dial::{OTHER_NETWORK, reason},
    frame,
    identity::Identity,
    session::{self, End},
    transport::Shared,
};

/// Those who have not proved yet who they are, oldest first.
#[derive(Default)]
struct Strangers(Mutex<VecDeque<(u64, AbortHandle)>>);

impl Strangers {
    /// Lets one more in; when there are `max` already, the oldest must go.
    fn enter(&self, id: u64, task: AbortHandle, max: usize) {
        let mut strangers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if strangers.len() >= max.max(1)
            && let Some((_, oldest)) = strangers.pop_front()
        {
            oldest.abort();
        }
        strangers.push_back((id, task));
    }

    fn leave(&self, id: u64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(other, _)| *other != id);
    }
}

/// Accepts sessions until the transport stops.
pub(crate) async fn accept(
    shared: Arc<Shared>,
    listener: TcpListener,
    identity: Arc<Identity>,
    tls: ServerConfig,
) {
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let strangers = Arc::new(Strangers::default());
    let mut sessions = JoinSet::new();
    let mut stop = shared.stop.clone();
    let mut next = 0_u64;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = sessions.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, remote)) => {
                next += 1;
                let (shared, acceptor, identity, strangers_in) = (
                    shared.clone(),
                    acceptor.clone(),
                    identity.clone(),
                    strangers.clone(),
                );
                let max = shared.limits.pending_handshakes;
                let task = sessions.spawn(async move {
                    let greeted = greet(&shared, &acceptor, stream).await;
                    strangers_in.leave(next);
                    match greeted {
                        Ok(stream) => serve(&shared, &identity, stream, remote).await,
                        Err(error) => tracing::debug!(%remote, "no session: {error}"),
                    }
                });
                strangers.enter(next, task, max);
            }
            Err(error) => {
                // Out of file descriptors, most often: time mends it.
                tracing::warn!("can't accept a connection: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

type Stream = tokio_rustls::server::TlsStream<TcpStream>;

async fn greet(
    shared: &Shared,
    acceptor: &TlsAcceptor,
    stream: TcpStream,
) -> Result<Stream, String> {
    stream
        .set_nodelay(true)
        .map_err(|error| error.to_string())?;
    timeout(shared.limits.handshake, acceptor.accept(stream))
        .await
        .map_err(|_| "it took too long to say who it is".to_owned())?
        .map_err(|error| reason(&error))
}

async fn serve(shared: &Shared, identity: &Identity, mut stream: Stream, remote: SocketAddr) {
    let connection = stream.get_ref().1;
    // Without a common protocol name rustls refuses, unless the other end named none at all.
    let named = connection.alpn_protocol().is_some();
    let peer = identity
        .member(connection.peer_certificates())
        .and_then(|member| shared.peers.get(&member));
    let Some(peer) = peer.filter(|_| named) else {
        tracing::debug!(%remote, "no session: {OTHER_NETWORK}");
        return;
    };
    let welcome = async {
        stream.write_all(&frame::header(Channel::PING, 0)).await?;
        stream.flush().await
    };
    if let Err(error) = welcome.await {
        tracing::debug!(%remote, "no session: {error}");
        return;
    }
    match session::run(shared, peer, remote, stream).await {
        End::Stopping | End::Replaced => {}
        end => peer.failed(end.to_string()),
    }
}
