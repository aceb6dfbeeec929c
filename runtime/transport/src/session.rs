//! One session: reading, writing and watching over it, until something ends it.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use crate::{
    Channel,
    frame::{self, Oversized},
    peer::{Peer, add},
    transport::Shared,
};

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("it closed the session")]
    Closed,
    #[error("the session broke: {0}")]
    Broken(#[from] io::Error),
    #[error("the session was closed: it sent {0}")]
    Oversized(#[from] Oversized),
    #[error("the session was closed: nothing was heard for {} ms", .0.as_millis())]
    Silent(Duration),
    #[error("a newer session took the place of this one")]
    Replaced,
    #[error("this node is stopping")]
    Stopping,
}

/// What is read at once, and about what is written at once.
const CHUNK: usize = 64 << 10;
/// Larger payloads are written from where they are.
const COPIED: usize = 16 << 10;

/// Runs a session with `peer`, whose key has been proved, and returns when it is over.
pub(crate) async fn run<S>(shared: &Shared, peer: &Peer, remote: SocketAddr, stream: S) -> End
where
    S: AsyncRead + AsyncWrite,
{
    let wake = Arc::new(Notify::new());
    let id = peer.outbound.begin(wake.clone());
    add(&peer.counters.sessions, 1);
    shared.routes.link(peer.id(), true);
    peer.heard_now();
    peer.set_remote(remote);
    tracing::info!(member = peer.id().0, %remote, "session begun");
    let (read, write) = tokio::io::split(stream);
    let session = Session {
        shared,
        peer,
        id,
        wake,
        ping: AtomicBool::new(false),
        reading: AtomicBool::new(false),
    };
    let mut stop = shared.stop.clone();
    let mut write = session.writer(write);
    let end = tokio::select! {
        end = session.read(read) => end,
        end = write.run() => end,
        end = session.watch() => end,
        _ = stop.wait_for(|stop| *stop) => End::Stopping,
    };
    if matches!(end, End::Stopping) {
        let _ = timeout(shared.limits.ping_after.min(STOPPING), write.finish()).await;
    }
    if peer.outbound.end(id) {
        shared.routes.link(peer.id(), false);
    }
    tracing::info!(member = peer.id().0, %remote, reason = %end, "session over");
    end
}

/// How long stopping waits until what is queued has been written.
const STOPPING: Duration = Duration::from_millis(500);

struct Session<'a> {
    shared: &'a Shared,
    peer: &'a Peer,
    id: u64,
    /// Notified when there is something to write.
    wake: Arc<Notify>,
    /// A sign of life is due.
    ping: AtomicBool,
    /// The socket is being read: silence is the other end's.
    reading: AtomicBool,
}

impl Session<'_> {
    async fn read<S: AsyncRead>(&self, mut stream: ReadHalf<S>) -> End {
        let mut buffer = BytesMut::with_capacity(CHUNK);
        let mut frames = VecDeque::new();
        let room = Arc::new(Notify::new());
        loop {
            let needed = match self.parse(&mut buffer, &mut frames) {
                Ok(needed) => needed,
                Err(oversized) => return oversized.into(),
            };
            self.deliver(&mut frames, &room).await;
            // Room grows with what has come, not with what a header claims, and shrinks after a large frame.
            let more = needed
                .saturating_sub(buffer.len())
                .clamp(CHUNK / 4, CHUNK.max(buffer.len()));
            if buffer.capacity() - buffer.len() < more {
                buffer.reserve(more.max(CHUNK));
            }
            self.reading.store(true, Ordering::Relaxed);
            let read = stream.read_buf(&mut buffer).await;
            self.reading.store(false, Ordering::Relaxed);
            match read {
                Ok(0) => return End::Closed,
                Ok(count) => {
                    self.peer.heard_now();
                    add(&self.peer.counters.received_bytes, count);
                }
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return End::Closed,
                Err(error) => return error.into(),
            }
        }
    }

    /// Takes all whole frames off the buffer; says how many bytes the next one has, as far as that is known.
    fn parse(
        &self,
        buffer: &mut BytesMut,
        frames: &mut VecDeque<(Channel, Bytes)>,
    ) -> Result<usize, Oversized> {
        loop {
            match frame::take(buffer, &self.shared.limits)? {
                Ok((Channel::PING, _)) => {}
                Ok((channel, payload)) => {
                    let large = payload.len() > CHUNK;
                    frames.push_back((channel, payload));
                    if large {
                        // What follows must not keep the large buffer.
                        let rest = BytesMut::from(&buffer[..]);
                        *buffer = rest;
                    }
                }
                Err(needed) => return Ok(needed),
            }
        }
    }

    /// Puts frames into their mailboxes, in order; waits where there is no room.
    async fn deliver(&self, frames: &mut VecDeque<(Channel, Bytes)>, room: &Arc<Notify>) {
        add(&self.peer.counters.received_frames, frames.len());
        while let Some(&(channel, _)) = frames.front() {
            let run = frames
                .iter()
                .take_while(|(next, _)| *next == channel)
                .count();
            let Some(mailbox) = self.shared.routes.get(channel) else {
                frames.drain(..run);
                add(&self.peer.counters.refused, run);
                continue;
            };
            let delivery = mailbox.deliver(self.peer.id(), frames, run, room);
            add(&self.peer.counters.refused, delivery.dropped);
            if delivery.taken + delivery.dropped < run {
                room.notified().await;
            }
        }
        self.peer.heard_now();
    }

    /// Ends a session whose other end is silent, and sees to it that this end never is.
    async fn watch(&self) -> End {
        let limits = &self.shared.limits;
        let mut sent = 0;
        loop {
            sleep(limits.ping_after).await;
            if self.reading.load(Ordering::Relaxed)
                && let Some(silence) = self.peer.silence()
                && silence > limits.dead_after
            {
                return End::Silent(silence);
            }
            let sent_now = self.peer.counters.sent_bytes.load(Ordering::Relaxed);
            if sent_now == sent {
                self.ping.store(true, Ordering::Relaxed);
                self.wake.notify_one();
            }
            sent = sent_now;
        }
    }

    fn writer<S: AsyncWrite>(&self, stream: WriteHalf<S>) -> Writer<'_, S> {
        Writer {
            session: self,
            stream,
            frames: Vec::new(),
            buffer: Vec::new(),
            halfway: false,
        }
    }
}

struct Writer<'a, S> {
    session: &'a Session<'a>,
    stream: WriteHalf<S>,
    frames: Vec<(Channel, Bytes)>,
    buffer: Vec<u8>,
    /// A write has begun and is not complete: if it is given up, nothing can follow it.
    halfway: bool,
}

impl<S: AsyncWrite> Writer<'_, S> {
    async fn run(&mut self) -> End {
        loop {
            match self.write_queued().await {
                Ok(true) => {}
                Ok(false) => self.session.wake.notified().await,
                Err(end) => return end,
            }
        }
    }

    /// Writes what is queued, up to about a chunk of it; says whether there was anything.
    async fn write_queued(&mut self) -> Result<bool, End> {
        let Session { peer, id, ping, .. } = self.session;
        peer.outbound
            .take(*id, CHUNK, &mut self.frames)
            .map_err(|_| End::Replaced)?;
        if ping.swap(false, Ordering::Relaxed) && self.frames.is_empty() {
            self.frames.push((Channel::PING, Bytes::new()));
        }
        if self.frames.is_empty() {
            return Ok(false);
        }
        self.halfway = true;
        let (mut count, mut bytes) = (0, 0);
        for (channel, payload) in self.frames.drain(..) {
            count += usize::from(channel != Channel::PING);
            bytes += frame::HEADER + payload.len();
            self.buffer
                .extend_from_slice(&frame::header(channel, payload.len()));
            if payload.len() <= COPIED {
                self.buffer.extend_from_slice(&payload);
            } else {
                self.stream.write_all(&self.buffer).await?;
                self.buffer.clear();
                self.stream.write_all(&payload).await?;
            }
        }
        self.stream.write_all(&self.buffer).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        self.halfway = false;
        add(&peer.counters.sent_frames, count);
        add(&peer.counters.sent_bytes, bytes);
        Ok(true)
    }

    /// Writes all that is queued, and says that nothing more comes.
    async fn finish(&mut self) -> Result<(), End> {
        if !self.halfway {
            while self.write_queued().await? {}
            self.stream.shutdown().await?;
        }
        Ok(())
    }
}

/// The time of a session's end decides how soon to dial again.
pub(crate) fn lasted(since: Instant) -> bool {
    since.elapsed() > Duration::from_secs(2)
}
