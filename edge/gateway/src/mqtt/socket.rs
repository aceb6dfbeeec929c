//! One network connection: a reader that turns bytes into packets for the broker, a writer that sends what the broker
//! says, many packets with one write.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Notify, mpsc},
    time::timeout,
};

use super::server::Event;
use crate::{
    broker::ConnectionId,
    codec::{self, DecodeError, Framer, Packet, Version},
};

/// What the broker's task says to a connection.
pub(super) enum ToSocket {
    Send(Bytes),
    Close,
}

/// How the broker's task slows a connection down.
#[derive(Default)]
pub(super) struct Flow {
    /// The broker wants no more for now.
    pub(super) paused: AtomicBool,
    /// Bytes given to the writer and not yet written.
    pub(super) unsent: AtomicUsize,
    pub(super) changed: Notify,
}

/// While so much is unsent, nothing more is read: who does not listen is not heard.
const UNSENT_MAX: usize = 256 << 10;

/// A write that makes no progress for so long ends the connection.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a closed connection may take to read our last packet.
const LINGER: Duration = Duration::from_secs(2);

/// Packets handed to the broker at once.
const BURST: usize = 256;

/// Serves the connection until it ends, then says so to the broker.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Send + 'static>(
    stream: S,
    id: ConnectionId,
    packet_max: usize,
    events: mpsc::Sender<Event>,
    orders: mpsc::UnboundedReceiver<ToSocket>,
    flow: Arc<Flow>,
) {
    let (reader, writer) = tokio::io::split(stream);
    {
        let reading = read(reader, id, packet_max, &events, &flow);
        let writing = write(writer, id, &events, orders, &flow);
        tokio::pin!(reading, writing);
        tokio::select! {
            () = &mut reading => {
                // The client may have gone, or said something wrong: the broker's last word still goes out.
                let _ = events.send(Event::Closed(id)).await;
                let _ = timeout(LINGER, &mut writing).await;
            }
            () = &mut writing => {}
        }
    }
    let _ = events.send(Event::Closed(id)).await;
}

async fn read(
    mut reader: impl AsyncRead + Unpin,
    id: ConnectionId,
    packet_max: usize,
    events: &mpsc::Sender<Event>,
    flow: &Flow,
) {
    let mut framer = Framer::new(packet_max);
    let mut version = None;
    loop {
        loop {
            let changed = flow.changed.notified();
            if !flow.paused.load(Ordering::Acquire)
                && flow.unsent.load(Ordering::Acquire) < UNSENT_MAX
            {
                break;
            }
            changed.await;
        }
        match reader.read_buf(framer.buffer()).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        loop {
            let (packets, error) = cut(&mut framer, &mut version);
            let (some, last) = (!packets.is_empty(), packets.len() < BURST);
            if some && events.send(Event::Packets(id, packets)).await.is_err() {
                return;
            }
            if let Some(error) = error {
                let _ = events.send(Event::Malformed(id, error)).await;
                return std::future::pending().await; // the broker closes, after its last word
            }
            if last {
                break;
            }
        }
    }
}

/// The packets that are there, and the error after them.
fn cut(framer: &mut Framer, version: &mut Option<Version>) -> (Vec<Packet>, Option<DecodeError>) {
    let mut packets = Vec::new();
    while packets.len() < BURST {
        match framer.next_packet() {
            Ok(None) => break,
            Ok(Some((header, body))) => match codec::decode(*version, header, &body) {
                Ok(packet) => {
                    if let Packet::Connect(connect) = &packet {
                        version.get_or_insert(connect.version);
                    }
                    packets.push(packet);
                }
                Err(error) => return (packets, Some(error)),
            },
            Err(error) => return (packets, Some(error)),
        }
    }
    (packets, None)
}

async fn write(
    mut writer: impl AsyncWrite + Unpin,
    id: ConnectionId,
    events: &mpsc::Sender<Event>,
    mut orders: mpsc::UnboundedReceiver<ToSocket>,
    flow: &Flow,
) {
    let mut buffer = BytesMut::new();
    let mut closing = false;
    while !closing {
        match orders.recv().await {
            Some(ToSocket::Send(bytes)) => buffer.extend_from_slice(&bytes),
            Some(ToSocket::Close) | None => closing = true,
        }
        while !closing && buffer.len() < 64 << 10 {
            match orders.try_recv() {
                Ok(ToSocket::Send(bytes)) => buffer.extend_from_slice(&bytes),
                Ok(ToSocket::Close) => closing = true,
                Err(_) => break,
            }
        }
        let total = buffer.len();
        while !buffer.is_empty() {
            match timeout(WRITE_TIMEOUT, writer.write_buf(&mut buffer)).await {
                Ok(Ok(written)) if written > 0 => {}
                _ => return,
            }
        }
        if total > 0 {
            if timeout(WRITE_TIMEOUT, writer.flush()).await.is_err() {
                return;
            }
            flow.unsent.fetch_sub(total, Ordering::AcqRel);
            flow.changed.notify_one();
            if events.try_send(Event::Sent(id, total)).is_err()
                && events.send(Event::Sent(id, total)).await.is_err()
            {
                return;
            }
        }
    }
    let _ = timeout(LINGER, writer.shutdown()).await;
}
