//! How many frames a second go from one member to another on loopback, and what an idle session costs.
//!
//! `cargo run --release -p hedgerow-transport --example loopback -- [PAYLOAD BYTES] [SECONDS]`

use std::{
    env, fs,
    net::TcpListener,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hedgerow_base::{Digest, NodeId};
use hedgerow_crypto::SigningKey;
use hedgerow_transport::{
    Channel, Doorbell, Limits, MailboxLimits, MemberAddress, Routes, Transport, TransportConfig,
};

fn cpu_seconds() -> f64 {
    // Fields 14 and 15: user and system time in clock ticks of 10 ms.
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    after_name
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / 100.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = env::args().skip(1);
    let bytes: usize = arguments.next().map_or(Ok(128), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let sockets = [
        TcpListener::bind("127.0.0.1:0")?,
        TcpListener::bind("127.0.0.1:0")?,
    ];
    let mut members = Vec::new();
    for (id, socket) in (0..).zip(&sockets) {
        let public_key = SigningKey::from_seed([id as u8; 32]).verifying_key().0;
        members.push(MemberAddress {
            id: NodeId(id),
            public_key,
            address: Some(socket.local_addr()?.to_string()),
        });
    }
    let listen = [sockets[0].local_addr()?, sockets[1].local_addr()?];
    drop(sockets);
    let mut ends = Vec::new();
    for id in 0..2 {
        let mut routes = Routes::default();
        let mailbox = routes.open(
            &[Channel(0)],
            MailboxLimits::default(),
            Arc::new(Doorbell::new()),
        );
        let config = TransportConfig {
            network: Digest::ZERO,
            me: NodeId(id),
            seed: [id as u8; 32],
            members: members.clone(),
            listen: Some(listen[id as usize]),
            limits: Limits::default(),
        };
        ends.push((Transport::start(config, routes)?, mailbox));
    }
    let (sender, receiver) = (&ends[1].0, &ends[0].1);
    while !(sender.status()[0].connected) {
        thread::sleep(Duration::from_millis(5));
    }

    for batch in [1, 16, 128, 1024] {
        let (cpu, start) = (cpu_seconds(), Instant::now());
        let end = start + Duration::from_secs(seconds);
        let sending = thread::spawn({
            let sender = sender.clone();
            move || {
                let payload = Bytes::from(vec![7; bytes]);
                let mut sent = 0_u64;
                while Instant::now() < end {
                    for _ in 0..batch {
                        while sender.post(NodeId(0), Channel(0), payload.clone()).is_err() {
                            sender.flush();
                            thread::sleep(Duration::from_micros(20));
                        }
                        sent += 1;
                    }
                    sender.flush();
                }
                sent
            }
        });
        let (mut received, mut burst) = (0_u64, Vec::new());
        while receiver.recv_burst(Some(end + Duration::from_millis(300)), 1024, &mut burst) > 0 {
            received += burst.len() as u64;
            burst.clear();
        }
        let sent = sending.join().map_err(|_| "the sender panicked")?;
        let (elapsed, cpu) = (start.elapsed().as_secs_f64() - 0.3, cpu_seconds() - cpu);
        println!(
            "{bytes} B, flushed every {batch:4}: {:>9.0} frames/s, {:.2} us of CPU per frame, {received} of {sent}",
            received as f64 / elapsed,
            cpu * 1e6 / received as f64
        );
    }

    let trips = 2000;
    let echo = thread::spawn({
        let (transport, mailbox) = (sender.clone(), ends[1].1.clone());
        move || {
            let mut burst = Vec::new();
            for _ in 0..trips {
                mailbox.recv_burst(None, 1, &mut burst);
                let _ = transport.send(NodeId(0), Channel(0), Bytes::from_static(b"pong"));
            }
        }
    });
    let (start, mut burst) = (Instant::now(), Vec::new());
    for _ in 0..trips {
        ends[0]
            .0
            .send(NodeId(1), Channel(0), Bytes::from_static(b"ping"))?;
        receiver.recv_burst(None, 1, &mut burst);
    }
    println!(
        "round trip: {:.0} us",
        start.elapsed().as_secs_f64() * 1e6 / f64::from(trips)
    );
    echo.join().map_err(|_| "the echo panicked")?;

    let (cpu, start) = (cpu_seconds(), Instant::now());
    thread::sleep(Duration::from_secs(10));
    println!(
        "idle: {:.3} % of a core for both ends",
        (cpu_seconds() - cpu) / start.elapsed().as_secs_f64() * 100.0
    );
    Ok(())
}
