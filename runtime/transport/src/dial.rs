//! Dialling a member, again and again.

use std::{sync::Arc, time::Duration};

use rand::Rng;
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    Channel, frame,
    peer::Peer,
    session::{self, End},
    transport::Shared,
};

/// Keeps a session with `peer` up until the transport stops.
pub(crate) async fn dial(shared: Arc<Shared>, peer: Arc<Peer>, tls: ClientConfig) {
    let connector = TlsConnector::from(Arc::new(tls));
    let mut stop = shared.stop.clone();
    let mut wait = shared.limits.redial_first;
    loop {
        let since = Instant::now();
        let attempt = tokio::select! {
            attempt = connect(&shared, &peer, &connector) => attempt,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        match attempt {
            Ok(stream) => {
                let remote = stream.get_ref().0.peer_addr();
                match remote {
                    Ok(remote) => match session::run(&shared, &peer, remote, stream).await {
                        End::Stopping => return,
                        end => peer.failed(end.to_string()),
                    },
                    Err(error) => peer.failed(End::from(error).to_string()),
                }
                if session::lasted(since) {
                    wait = shared.limits.redial_first;
                }
            }
            Err(error) => peer.failed(error),
        }
        // Up to a half more or less, so that those who lost a member together do not all come back together.
        let jittered = wait.mul_f64(rand::rng().random_range(0.5..1.5));
        tokio::select! {
            () = sleep(jittered.min(shared.limits.redial_last)) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        wait = (wait * 2).min(shared.limits.redial_last);
    }
}

async fn connect(
    shared: &Shared,
    peer: &Peer,
    connector: &TlsConnector,
) -> Result<TlsStream<TcpStream>, String> {
    let address = peer.member.address.as_deref().unwrap_or_default();
    let limit = shared.limits.handshake;
    let stream = timeout(limit, TcpStream::connect(address))
        .await
        .map_err(|_| {
            format!(
                "can't connect to {address}: no answer for {}",
                seconds(limit)
            )
        })?
        .map_err(|error| format!("can't connect to {address}: {error}"))?;
    stream
        .set_nodelay(true)
        .map_err(|error| format!("can't connect to {address}: {error}"))?;
    // The name is neither sent nor checked: the key is.
    let name = ServerName::try_from("member.hedgerow").map_err(|error| error.to_string())?;
    let mut stream = timeout(limit, connector.connect(name, stream))
        .await
        .map_err(|_| format!("{address} did not say who it is for {}", seconds(limit)))?
        .map_err(|error| format!("no session with {address}: {}", reason(&error)))?;
    if stream.get_ref().1.alpn_protocol().is_none() {
        return Err(format!("no session with {address}: {OTHER_NETWORK}"));
    }
    // This end is done before the other one has seen its key: the session begins with the other end's welcome.
    let mut welcome = [0; frame::HEADER];
    timeout(limit, stream.read_exact(&mut welcome))
        .await
        .map_err(|_| {
            format!(
                "no session with {address}: no welcome for {}",
                seconds(limit)
            )
        })?
        .map_err(|error| format!("no session with {address}: {}", reason(&error)))?;
    if welcome != frame::header(Channel::PING, 0) {
        return Err(format!(
            "no session with {address}: it does not speak this protocol"
        ));
    }
    Ok(stream)
}

pub(crate) const OTHER_NETWORK: &str = "it belongs to another network or runs another version";

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// What a handshake failed at, in our own words where they are ours.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(ours))) => {
            ours.0.to_string()
        }
        Some(rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol)) => {
            OTHER_NETWORK.to_owned()
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            format!("it refused this node's key ({alert:?})")
        }
        _ => error.to_string(),
    }
}
