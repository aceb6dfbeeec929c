//! Members on loopback sockets, and what others try.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hedgerow_base::{Digest, NodeId};
use hedgerow_crypto::SigningKey;
use hedgerow_transport::{
    Channel, Doorbell, Inbound, Limits, Mailbox, MailboxLimits, MemberAddress, MemberStatus,
    Overflow, Routes, Transport, TransportConfig, TransportError, Undelivered,
};

const VOTES: Channel = Channel(1);
const BULK: Channel = Channel(2);

const fn seed(node: u32) -> [u8; 32] {
    [node as u8 + 1; 32]
}

/// A member that is not running: its number, and where it listens.
struct Network {
    members: Vec<MemberAddress>,
    limits: Limits,
    mailbox: MailboxLimits,
}

struct Node {
    transport: Transport,
    mailbox: Mailbox,
}

impl Network {
    /// Members `0..n`, listening on ports that are free now.
    fn new(n: u32) -> Self {
        let sockets: Vec<_> = (0..n)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let member = |(id, socket): (u32, &TcpListener)| MemberAddress {
            id: NodeId(id),
            public_key: SigningKey::from_seed(seed(id)).verifying_key().0,
            address: Some(socket.local_addr().unwrap().to_string()),
        };
        let limits = Limits {
            ping_after: Duration::from_millis(200),
            ..Limits::default()
        };
        Self {
            members: (0..n).zip(&sockets).map(member).collect(),
            limits,
            mailbox: MailboxLimits::default(),
        }
    }

    fn address(&self, id: u32) -> SocketAddr {
        self.members[id as usize]
            .address
            .as_ref()
            .unwrap()
            .parse()
            .unwrap()
    }

    fn config(&self, id: u32) -> TransportConfig {
        TransportConfig {
            network: Digest([9; 32]),
            me: NodeId(id),
            seed: seed(id),
            members: self.members.clone(),
            listen: Some(self.address(id)),
            limits: self.limits.clone(),
        }
    }

    fn start(&self, id: u32) -> Node {
        self.start_with(self.config(id))
    }

    fn start_with(&self, config: TransportConfig) -> Node {
        let mut routes = Routes::default();
        let mailbox = routes.open(&[VOTES, BULK], self.mailbox, Arc::new(Doorbell::new()));
        Node {
            transport: Transport::start(config, routes).unwrap(),
            mailbox,
        }
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

impl Node {
    fn status(&self, of: u32) -> MemberStatus {
        self.transport
            .status()
            .into_iter()
            .find(|status| status.id == NodeId(of))
            .unwrap()
    }

    fn connected_to(&self, to: u32) {
        until("connected", || self.status(to).connected);
    }

    /// The next `count` frames.
    fn receive(&self, count: usize) -> Vec<Inbound> {
        let (mut frames, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(20));
        while frames.len() < count {
            let missing = count - frames.len();
            assert!(
                self.mailbox
                    .recv_burst(Some(deadline), missing, &mut frames)
                    > 0,
                "{} of {count}",
                frames.len()
            );
        }
        frames
    }

    fn send(&self, to: u32, payload: &[u8]) {
        self.transport
            .send(NodeId(to), VOTES, Bytes::copy_from_slice(payload))
            .unwrap();
    }
}

#[test]
fn members_find_each_other_and_a_broadcast_reaches_all() {
    let network = Network::new(4);
    let nodes: Vec<_> = (0..4).map(|id| network.start(id)).collect();
    for (id, node) in nodes.iter().enumerate() {
        (0..4)
            .filter(|&other| other != id as u32)
            .for_each(|other| node.connected_to(other));
    }
    let payload = Bytes::from(vec![5; 3_000_000]);
    for node in &nodes {
        assert_eq!(
            node.transport.broadcast((0..4).map(NodeId), BULK, &payload),
            3
        );
        node.transport.flush();
    }
    for (id, node) in nodes.iter().enumerate() {
        let mut frames = node.receive(3);
        frames.sort_by_key(|frame| frame.from);
        let from: Vec<_> = frames.iter().map(|frame| frame.from.0 as usize).collect();
        assert_eq!(
            from,
            (0..4).filter(|&other| other != id).collect::<Vec<_>>()
        );
        assert!(
            frames
                .iter()
                .all(|frame| frame.channel == BULK && frame.bytes == payload)
        );
    }
    let status = nodes[0].status(1);
    assert_eq!(
        (status.sent_frames, status.received_frames, status.sessions),
        (1, 1, 1)
    );
    assert_eq!(
        nodes[0].transport.send(NodeId(0), VOTES, Bytes::new()),
        Err(Undelivered::Unknown)
    );
    assert_eq!(
        nodes[0].transport.send(NodeId(9), VOTES, Bytes::new()),
        Err(Undelivered::Unknown)
    );
}

#[test]
fn frames_of_a_session_come_in_order() {
    let network = Network::new(2);
    let (zero, one) = (network.start(0), network.start(1));
    one.connected_to(0);
    zero.connected_to(1);
    for n in 0..50_000_u32 {
        let payload = Bytes::from(n.to_le_bytes().repeat(n as usize % 40));
        one.transport.post(NodeId(0), VOTES, payload).unwrap();
        if n % 1000 == 0 {
            one.transport.flush();
        }
    }
    one.transport.flush();
    for (n, frame) in (0..50_000_u32).zip(zero.receive(50_000)) {
        assert_eq!(frame.bytes, n.to_le_bytes().repeat(n as usize % 40));
    }
}

#[test]
fn one_who_answers_with_another_key_is_refused() {
    let mut network = Network::new(3);
    let impostor = network.start(2);
    // Member 0's address leads to member 2.
    network.members[0].address = network.members[2].address.clone();
    let one = network.start(1);
    let named = || {
        one.status(0)
            .last_error
            .is_some_and(|error| error.contains("another key than member 0's"))
    };
    until("refused by the one who dials", named);
    assert!(!one.status(0).connected);
    drop(impostor);
}

#[test]
fn a_stranger_is_refused() {
    let network = Network::new(2);
    let zero = network.start(0);
    let mut config = network.config(1);
    config.seed = [77; 32];
    let error = Transport::start(config.clone(), Routes::default()).unwrap_err();
    assert!(matches!(error, TransportError::Config(_)), "{error}");
    // One with a genesis of its own making.
    config.members[1].public_key = SigningKey::from_seed([77; 32]).verifying_key().0;
    let stranger = network.start_with(config);
    let refused = || {
        stranger
            .status(0)
            .last_error
            .is_some_and(|error| error.contains("refused this node's key"))
    };
    until("refused by the one who is dialled", refused);
    assert!(!zero.status(1).connected && !stranger.status(0).connected);
}

#[test]
fn a_member_of_another_network_is_refused() {
    let network = Network::new(2);
    let zero = network.start(0);
    let mut config = network.config(1);
    config.network = Digest([8; 32]);
    let other = network.start_with(config);
    let refused = || {
        other
            .status(0)
            .last_error
            .is_some_and(|error| error.contains("another network"))
    };
    until("refused", refused);
    assert!(!zero.status(1).connected);
}

#[test]
fn a_member_that_was_restarted_is_back_at_once() {
    let network = Network::new(3);
    let (zero, one) = (network.start(0), network.start(1));
    for restart in 0..5 {
        let node = network.start(2);
        zero.connected_to(2);
        node.connected_to(0);
        node.connected_to(1);
        node.send(0, &[restart]);
        assert_eq!(zero.receive(1)[0].bytes[..], [restart]);
        zero.send(2, &[restart]);
        assert_eq!(node.receive(1)[0].bytes[..], [restart]);
        node.transport.shutdown();
        until("gone", || {
            !zero.status(2).connected && !one.status(2).connected
        });
        let sent = zero.transport.send(NodeId(2), VOTES, Bytes::new());
        assert_eq!(sent, Err(Undelivered::Unreachable));
    }
    zero.transport.shutdown();
    until("gone", || !one.status(0).connected);
    let since = Instant::now();
    let zero = network.start(0);
    one.connected_to(0);
    assert!(
        since.elapsed() < Duration::from_secs(2),
        "{:?}",
        since.elapsed()
    );
    zero.connected_to(1);
    one.send(0, b"again");
    assert_eq!(zero.receive(1)[0].bytes, b"again"[..]);
}

#[test]
fn what_is_queued_at_shutdown_is_sent_first() {
    let network = Network::new(2);
    let (zero, one) = (network.start(0), network.start(1));
    one.connected_to(0);
    for n in 0..1000_u32 {
        one.transport
            .post(NodeId(0), VOTES, Bytes::copy_from_slice(&n.to_le_bytes()))
            .unwrap();
    }
    one.transport.shutdown();
    assert_eq!(zero.receive(1000).len(), 1000);
}

#[test]
fn a_peer_that_floods_holds_back_itself_only() {
    let mut network = Network::new(3);
    network.mailbox = MailboxLimits {
        bytes: 1 << 20,
        frames: 1000,
        overflow: Overflow::Wait,
    };
    network.limits.outbound_bytes = 1 << 20;
    let (victim, flooder, honest) = (network.start(0), network.start(1), network.start(2));
    flooder.connected_to(0);
    honest.connected_to(0);
    let stop = Arc::new(AtomicBool::new(false));
    let flood = thread::spawn({
        let (transport, stop) = (flooder.transport.clone(), stop.clone());
        move || {
            let payload = Bytes::from(vec![0xff; 1000]);
            while !stop.load(Ordering::Relaxed) {
                if transport.send(NodeId(0), BULK, payload.clone()).is_err() {
                    thread::sleep(Duration::from_micros(50));
                }
            }
        }
    });
    // The victim takes nothing: memory stays bounded, the flooder's queue fills and drops.
    until("the flooder is held back", || {
        flooder.status(0).dropped > 1000
    });
    assert!(victim.mailbox.len() <= 1000);
    // All that while the honest peer's frames come within a turn, also when the victim is slow.
    for n in 0..200_u32 {
        honest.send(0, &n.to_le_bytes());
        let mut burst = Vec::new();
        until("the honest frame came", || {
            burst.clear();
            victim.mailbox.take(128, &mut burst);
            burst.iter().any(|frame| frame.from == NodeId(2))
        });
        let frame = burst.iter().find(|frame| frame.from == NodeId(2)).unwrap();
        assert_eq!(frame.bytes, n.to_le_bytes()[..]);
        assert!(victim.mailbox.len() <= 1001);
    }
    stop.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    assert!(victim.status(1).connected, "a flood is no reason to part");
}

#[test]
fn an_oversized_frame_ends_the_session_and_says_why() {
    let network = Network::new(2);
    let zero = network.start(0);
    let mut config = network.config(1);
    config.limits.frame_bytes = 100 << 20;
    config.limits.outbound_bytes = 100 << 20;
    let one = network.start_with(config);
    one.connected_to(0);
    zero.connected_to(1);
    let large = Bytes::from(vec![0; (8 << 20) + 1]);
    assert_eq!(
        zero.transport.send(NodeId(1), BULK, large.clone()),
        Err(Undelivered::TooLarge)
    );
    one.transport.send(NodeId(0), BULK, large).unwrap();
    let said = || zero.status(1).last_error;
    until("ended", || {
        said().is_some_and(|error| error.contains("a frame of 8388609 bytes on channel 2"))
    });
    // It is a member still: it comes back, and what it says within the bounds is heard.
    until("back", || {
        zero.status(1).sessions == 2 && one.status(0).connected
    });
    until("heard", || {
        one.transport
            .send(NodeId(0), BULK, Bytes::from_static(b"ok"))
            .is_ok()
    });
    assert_eq!(zero.receive(1)[0].bytes, b"ok"[..]);
}

/// Passes bytes on between members, until it is told to swallow them.
struct Wire {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
}

impl Wire {
    fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let wire = Self {
            address: listener.local_addr().unwrap(),
            cut: Arc::default(),
        };
        let cut = wire.cut.clone();
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(target) else {
                    continue;
                };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let cut = cut.clone();
                    thread::spawn(move || {
                        let mut buffer = [0; 4096];
                        while let Ok(count @ 1..) = from.read(&mut buffer) {
                            if !cut.load(Ordering::Relaxed)
                                && to.write_all(&buffer[..count]).is_err()
                            {
                                break;
                            }
                        }
                        if !cut.load(Ordering::Relaxed) {
                            let _ = to.shutdown(std::net::Shutdown::Both);
                        }
                    });
                }
            }
        });
        wire
    }
}

#[test]
fn a_dead_line_is_noticed_at_both_ends_and_used_again_when_it_lives() {
    let mut network = Network::new(2);
    network.limits.ping_after = Duration::from_millis(50);
    network.limits.dead_after = Duration::from_millis(400);
    network.limits.handshake = Duration::from_millis(500);
    let zero = network.start(0);
    let wire = Wire::to(network.address(0));
    network.members[0].address = Some(wire.address.to_string());
    let one = network.start(1);
    one.connected_to(0);
    zero.connected_to(1);
    // An idle line stays up for much longer than silence is borne.
    let until_then = Instant::now() + Duration::from_millis(1200);
    while Instant::now() < until_then {
        assert!(one.status(0).connected && zero.status(1).connected);
        assert!(zero.status(1).last_heard.unwrap() < Duration::from_millis(400));
        thread::sleep(Duration::from_millis(20));
    }
    wire.cut.store(true, Ordering::Relaxed);
    until("noticed", || {
        !one.status(0).connected && !zero.status(1).connected
    });
    assert!(
        zero.status(1)
            .last_error
            .unwrap()
            .contains("nothing was heard for")
    );
    wire.cut.store(false, Ordering::Relaxed);
    one.connected_to(0);
    zero.connected_to(1);
    one.send(0, b"hello again");
    assert_eq!(zero.receive(1)[0].bytes, b"hello again"[..]);
}

#[test]
fn those_who_say_nothing_keep_no_member_out() {
    let mut network = Network::new(2);
    network.limits.pending_handshakes = 8;
    network.limits.handshake = Duration::from_secs(60);
    let zero = network.start(0);
    let crowd: Vec<_> = (0..100)
        .map(|_| TcpStream::connect(network.address(0)).unwrap())
        .collect();
    // Garbage is answered with the end of the connection.
    let mut loud = TcpStream::connect(network.address(0)).unwrap();
    loud.write_all(&[0x42; 5000]).unwrap();
    let _ = loud.read_to_end(&mut Vec::new());
    let one = network.start(1);
    one.connected_to(0);
    one.send(0, b"through the crowd");
    assert_eq!(zero.receive(1)[0].bytes, b"through the crowd"[..]);
    drop(crowd);
}
