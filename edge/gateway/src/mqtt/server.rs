use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use hedgerow_base::Time;
use hedgerow_records::DeviceId;
use serde_json::{Map, Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    receipts_topic,
    socket::{self, Flow, ToSocket},
    topics::{self, TopicRules},
};
use crate::{
    ConfigError, MqttConfig, StartError,
    broker::{Broker, ConnectionId, Identity, Output, PublicationId, Stats, Verdict},
    codec::{DecodeError, Message, Packet, Qos, Reason},
    door::{Door, DoorError},
    gateway::Alarm,
    outcome::{self, Outcome},
    spool::SpoolError,
    tls,
};

/// What comes to the broker's task.
pub(super) enum Event {
    Connected {
        id: ConnectionId,
        identity: Option<Arc<Identity>>,
        orders: mpsc::UnboundedSender<ToSocket>,
        flow: Arc<Flow>,
    },
    Packets(ConnectionId, Vec<Packet>),
    Malformed(ConnectionId, DecodeError),
    Closed(ConnectionId),
    Sent(ConnectionId, usize),
    Publish(Message),
    Listening(Vec<DeviceId>, oneshot::Sender<Vec<bool>>),
    Stats(oneshot::Sender<Stats>),
    ShutDown(oneshot::Sender<()>),
}

/// The door's answer to a publication, from the spool's thread.
struct Answer {
    publication: PublicationId,
    verdict: Verdict,
    /// Whose topic hears of it.
    device: Option<DeviceId>,
    /// What it hears: made only if someone listens.
    said: Said,
}

enum Said {
    Accepted {
        transaction: Bytes,
    },
    Refused {
        transaction: Bytes,
        reason: String,
        code: &'static str,
    },
}

impl Said {
    fn message(&self) -> Value {
        let mut fields = Map::new();
        match self {
            Self::Accepted { transaction } => {
                fields.extend(outcome::describe(transaction));
                outcome::add_outcome(&mut fields, &Outcome::Accepted);
            }
            Self::Refused {
                transaction,
                reason,
                code,
            } => {
                if !transaction.is_empty() {
                    fields.extend(outcome::describe(transaction));
                }
                fields.insert("status".into(), json!("rejected"));
                fields.insert("reason".into(), json!(reason));
                fields.insert("code".into(), json!(code));
            }
        }
        Value::Object(fields)
    }
}

/// The way to the broker's task.
#[derive(Clone)]
pub(crate) struct MqttHandle {
    events: mpsc::Sender<Event>,
}

impl MqttHandle {
    /// Which of these devices someone listens for.
    pub(crate) async fn listening(&self, devices: Vec<DeviceId>) -> Vec<bool> {
        let (sender, receiver) = oneshot::channel();
        let count = devices.len();
        if self
            .events
            .send(Event::Listening(devices, sender))
            .await
            .is_err()
        {
            return vec![false; count];
        }
        receiver.await.unwrap_or_else(|_| vec![false; count])
    }

    /// Publishes to a device's receipts topic.
    pub(crate) async fn tell(&self, device: DeviceId, message: &Value) {
        let _ = self
            .events
            .send(Event::Publish(to_device(device, message)))
            .await;
    }

    /// How much the broker holds.
    pub(crate) async fn stats(&self) -> Stats {
        let (sender, receiver) = oneshot::channel();
        if self.events.send(Event::Stats(sender)).await.is_err() {
            return Stats::default();
        }
        receiver.await.unwrap_or_default()
    }

    /// Says good-bye to all clients; resolves when it was said.
    pub(crate) async fn shut_down(&self) {
        let (sender, receiver) = oneshot::channel();
        if self.events.send(Event::ShutDown(sender)).await.is_ok() {
            let _ = receiver.await;
        }
    }
}

fn to_device(device: DeviceId, message: &Value) -> Message {
    let mut publication = Message::new(
        receipts_topic(device),
        message.to_string(),
        Qos::AtLeastOnce,
    );
    let properties = crate::codec::MessageProperties {
        payload_format: Some(1),
        content_type: Some("application/json".into()),
        ..Default::default()
    };
    publication.properties = Arc::new(properties);
    publication
}

/// Binds the addresses and starts the tasks; gives them, the way in, and the addresses as bound (plain, TLS).
pub(crate) async fn start(
    config: &MqttConfig,
    door: Door,
    tasks: &mut JoinSet<()>,
) -> Result<(MqttHandle, [Option<SocketAddr>; 2]), StartError> {
    let acceptor = match (&config.listen_tls, &config.tls) {
        (Some(_), Some(tls_config)) => Some(tls::acceptor("mqtt.tls", tls_config)?),
        _ => None,
    };
    let (events, inbox) = mpsc::channel(256);
    let run = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64);
    let rules = TopicRules {
        client_is_device: config.client_is_device,
    };
    let broker = Broker::new(config.limits(), Box::new(rules), run);
    let (answers, answered) = mpsc::unbounded_channel();
    let handshake = Duration::from_secs(u64::from(config.connect_timeout_s));
    let ids = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let mut bound = [None, None];
    let listeners = [
        ("mqtt.listen", config.listen, None),
        ("mqtt.listen_tls", config.listen_tls, acceptor),
    ];
    for ((key, address, acceptor), bound) in listeners.into_iter().zip(&mut bound) {
        let Some(address) = address else { continue };
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let mend = "choose a free address of this machine";
            ConfigError::new(key, format!("{address}: {error}"), mend)
        })?;
        *bound = listener.local_addr().ok();
        let listening = Listening {
            listener,
            acceptor,
            events: events.clone(),
            ids: ids.clone(),
            packet_max: config.max_packet_bytes as usize,
            connections_max: config.max_connections,
            handshake,
        };
        tasks.spawn(listening.run());
    }
    let server = Server {
        broker,
        door,
        sockets: BTreeMap::new(),
        answers,
        started: (Instant::now(), now_unix()),
    };
    let alarm = Alarm {
        spool: server.door.spool.clone(),
        what: "the MQTT broker has ended",
    };
    tasks.spawn(async move {
        let _alarm = alarm;
        server.run(inbox, answered).await;
    });
    Ok((MqttHandle { events }, bound))
}

fn now_unix() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

struct Listening {
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    events: mpsc::Sender<Event>,
    ids: Arc<std::sync::atomic::AtomicU64>,
    packet_max: usize,
    connections_max: usize,
    handshake: Duration,
}

impl Listening {
    async fn run(self) {
        let mut sockets = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = sockets.join_next() => continue,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: a pause instead of a busy loop.
                    tracing::warn!(%error, "an MQTT connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            if sockets.len() >= self.connections_max {
                metrics::counter!("gateway.mqtt.refused").increment(1);
                continue; // dropping the stream closes it
            }
            let _ = stream.set_nodelay(true);
            let id = ConnectionId(self.ids.fetch_add(1, Ordering::Relaxed));
            let (events, acceptor) = (self.events.clone(), self.acceptor.clone());
            let (packet_max, handshake) = (self.packet_max, self.handshake);
            sockets.spawn(async move {
                match acceptor {
                    None => open(stream, id, None, packet_max, events).await,
                    Some(acceptor) => {
                        tls_open(acceptor, stream, id, packet_max, handshake, events).await
                    }
                }
            });
        }
    }
}

async fn tls_open(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    id: ConnectionId,
    packet_max: usize,
    handshake: Duration,
    events: mpsc::Sender<Event>,
) {
    let stream = match timeout(handshake, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            return;
        }
        Err(_) => return,
    };
    let certificate = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first());
    let identity = match certificate.map(tls::identity).transpose() {
        Ok(identity) => identity.map(Arc::new),
        Err(error) => {
            tracing::debug!(error, "a client certificate was refused");
            return;
        }
    };
    open(stream, id, identity, packet_max, events).await;
}

async fn open<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static>(
    stream: S,
    id: ConnectionId,
    identity: Option<Arc<Identity>>,
    packet_max: usize,
    events: mpsc::Sender<Event>,
) {
    let (orders, inbox) = mpsc::unbounded_channel();
    let flow = Arc::new(Flow::default());
    let connected = Event::Connected {
        id,
        identity,
        orders,
        flow: flow.clone(),
    };
    if events.send(connected).await.is_ok() {
        socket::serve(stream, id, packet_max, events, inbox, flow).await;
    }
}

struct Server {
    broker: Broker,
    door: Door,
    sockets: BTreeMap<ConnectionId, (mpsc::UnboundedSender<ToSocket>, Arc<Flow>)>,
    answers: mpsc::UnboundedSender<Answer>,
    started: (Instant, Duration),
}

impl Server {
    /// The wall clock at the start, moved on by a clock that never runs backwards.
    fn now(&self) -> Time {
        Time::ZERO.plus(self.started.1 + self.started.0.elapsed())
    }

    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Event>,
        mut answered: mpsc::UnboundedReceiver<Answer>,
    ) {
        let mut events = Vec::new();
        let mut answers = Vec::new();
        let mut out = Vec::new();
        loop {
            let far = tokio::time::Instant::now() + Duration::from_secs(3600);
            let due = self
                .broker
                .deadline()
                .map_or(far, |at| tokio::time::Instant::now() + at.since(self.now()));
            tokio::select! {
                count = inbox.recv_many(&mut events, 256) => if count == 0 { return },
                _ = answered.recv_many(&mut answers, 1024) => {}
                () = sleep_until(due) => {}
            }
            let now = self.now();
            for answer in answers.drain(..) {
                self.broker
                    .resolve(now, answer.publication, &answer.verdict, &mut out);
                if let Some(device) = answer.device
                    && self.broker.is_listened_to(&receipts_topic(device))
                {
                    self.broker
                        .publish(now, &to_device(device, &answer.said.message()), &mut out);
                }
            }
            let mut last = None;
            for event in events.drain(..) {
                self.on_event(now, event, &mut last, &mut out);
            }
            self.broker.expire(now, &mut out);
            self.carry_out(&mut out);
            if let Some(done) = last {
                let _: Result<(), ()> = done.send(());
                return;
            }
        }
    }

    fn on_event(
        &mut self,
        now: Time,
        event: Event,
        last: &mut Option<oneshot::Sender<()>>,
        out: &mut Vec<Output>,
    ) {
        match event {
            Event::Connected {
                id,
                identity,
                orders,
                flow,
            } => {
                metrics::counter!("gateway.mqtt.connections").increment(1);
                self.sockets.insert(id, (orders, flow));
                self.broker.connected(now, id, identity, out);
            }
            Event::Packets(id, packets) => {
                metrics::counter!("gateway.mqtt.packets").increment(packets.len() as u64);
                for packet in packets {
                    self.broker.packet(now, id, packet, out);
                }
            }
            Event::Malformed(id, error) => {
                metrics::counter!("gateway.mqtt.malformed").increment(1);
                tracing::debug!(connection = id.0, %error, "a client said something that is not MQTT");
                self.broker.malformed(now, id, &error, out);
            }
            Event::Closed(id) => {
                self.broker.closed(now, id, out);
                self.sockets.remove(&id);
            }
            Event::Sent(id, bytes) => self.broker.sent(id, bytes),
            Event::Publish(message) => self.broker.publish(now, &message, out),
            Event::Listening(devices, reply) => {
                let mut listened = BTreeMap::new();
                let mut listens = |device: DeviceId| {
                    *listened
                        .entry(device.0)
                        .or_insert_with(|| self.broker.is_listened_to(&receipts_topic(device)))
                };
                let _ = reply.send(devices.into_iter().map(&mut listens).collect());
            }
            Event::Stats(reply) => {
                let _ = reply.send(self.broker.stats());
            }
            Event::ShutDown(reply) => {
                self.broker.shut_down(now, out);
                *last = Some(reply);
            }
        }
    }

    fn carry_out(&mut self, out: &mut Vec<Output>) {
        let mut woken = BTreeSet::new();
        for output in out.drain(..) {
            match output {
                Output::Send { to, packet } => {
                    if let Some((orders, flow)) = self.sockets.get(&to) {
                        flow.unsent.fetch_add(packet.len(), Ordering::AcqRel);
                        let _ = orders.send(ToSocket::Send(packet));
                    }
                }
                Output::Close { connection } => {
                    if let Some((orders, _)) = self.sockets.remove(&connection) {
                        let _ = orders.send(ToSocket::Close);
                    }
                }
                Output::Throttle { connection, paused } => {
                    if let Some((_, flow)) = self.sockets.get(&connection) {
                        flow.paused.store(paused, Ordering::Release);
                        woken.insert(connection);
                    }
                }
                Output::Publication { id, from, message } => {
                    tracing::trace!(client = %from.client_id, topic = %message.topic, "a record");
                    self.on_publication(id, &message);
                }
            }
        }
        for connection in woken {
            if let Some((_, flow)) = self.sockets.get(&connection) {
                flow.changed.notify_one();
            }
        }
    }

    /// A record: through the door, and its answer back in order.
    fn on_publication(&self, publication: PublicationId, message: &Message) {
        metrics::counter!("gateway.mqtt.records").increment(1);
        let named = topics::records_topic(&message.topic).ok().flatten();
        let checked = self
            .door
            .check_record(&message.payload)
            .and_then(|checked| match (named, checked.device) {
                (Some(topic), Some(record)) if topic != record => {
                    Err(DoorError::OtherDevice { topic, record })
                }
                _ => Ok(checked),
            });
        let answers = self.answers.clone();
        match checked {
            Ok(checked) => {
                let device = checked.device.or(named);
                let transaction = checked.transaction.clone();
                self.door.store(&checked, move |result| {
                    let (verdict, said) = match result {
                        Ok(_) => (Verdict::Accepted, Said::Accepted { transaction }),
                        Err(error) => {
                            let (reason, code) = match error {
                                SpoolError::Full { .. } => (Reason::QuotaExceeded, "store-full"),
                                SpoolError::Failed(_) => (Reason::UnspecifiedError, "store-failed"),
                            };
                            let text = error.to_string();
                            (
                                Verdict::Later(reason, text.clone()),
                                Said::Refused {
                                    transaction,
                                    reason: text,
                                    code,
                                },
                            )
                        }
                    };
                    let _ = answers.send(Answer {
                        publication,
                        verdict,
                        device,
                        said,
                    });
                });
            }
            Err(error) => {
                let (reason, code) = match error {
                    DoorError::OtherDevice { .. } => (Reason::NotAuthorized, "other-device"),
                    DoorError::WrongNetwork { .. } => {
                        (Reason::PayloadFormatInvalid, "wrong-network")
                    }
                    DoorError::TooLarge { .. } => (Reason::PayloadFormatInvalid, "too-large"),
                    _ => (Reason::PayloadFormatInvalid, "malformed"),
                };
                metrics::counter!("gateway.mqtt.records_refused", "code" => code).increment(1);
                let text = error.to_string();
                let said = Said::Refused {
                    transaction: Bytes::new(),
                    reason: text.clone(),
                    code,
                };
                let answer = Answer {
                    publication,
                    verdict: Verdict::Refused(reason, text),
                    device: named,
                    said,
                };
                // Behind the answers to what came earlier ([MQTT-4.6.0-2]).
                self.door.spool.after_previous(
                    Ok(hedgerow_base::Lsn::ZERO),
                    Box::new(move |_| {
                        let _ = answers.send(answer);
                    }),
                );
            }
        }
    }
}
