//! How fast the gateway alone is: records by MQTT (QoS 1), durable, forwarded to a network that costs nothing.
//!
//! ```text
//! cargo test --release -p hedgerow-gateway --test load -- --ignored --nocapture
//! ```

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use async_trait::async_trait;
use bytes::Bytes;
use hedgerow_base::{Digest, Height};
use hedgerow_chain::{Answer, Query};
use hedgerow_gateway::{Gateway, Network, NetworkStatus, QueryError, RECORDS, SubmitError};
use hedgerow_records::{Algorithm, Receipt, StreamId};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const CLIENTS: u64 = 8;
const RECORDS_EACH: u64 = 5_000;

#[derive(Default)]
struct Nothing {
    requests: AtomicU64,
    records: AtomicU64,
}

#[async_trait]
impl Network for Nothing {
    async fn submit(&self, bundle: Vec<Bytes>) -> Result<Vec<Receipt>, SubmitError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.records
            .fetch_add(bundle.len() as u64, Ordering::Relaxed);
        let receipt = Receipt::Recorded {
            stream: StreamId(Digest::ZERO),
            height: Height(1),
            first_position: 0,
            appended: 1,
            duplicates: 0,
        };
        Ok(vec![receipt; bundle.len()])
    }

    async fn query(&self, _: Query) -> Result<Answer, QueryError> {
        Ok(Answer::Malformed)
    }

    fn attested(&self) -> tokio::sync::watch::Receiver<Height> {
        tokio::sync::watch::channel(Height(1)).1
    }

    fn status(&self) -> NetworkStatus {
        NetworkStatus {
            network: support::NETWORK,
            ..NetworkStatus::default()
        }
    }
}

/// One PUBLISH of MQTT 3.1.1.
fn publish(packet_id: u16, payload: &[u8]) -> Vec<u8> {
    let length = 2 + RECORDS.len() + 2 + payload.len();
    let mut packet = vec![0x32, (length % 128) as u8 | 0x80, (length / 128) as u8];
    packet.extend((RECORDS.len() as u16).to_be_bytes());
    packet.extend(RECORDS.as_bytes());
    packet.extend(packet_id.to_be_bytes());
    packet.extend(payload);
    packet
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn records_per_second() {
    let dir = tempfile::tempdir().unwrap();
    let network = Arc::new(Nothing::default());
    let gateway = Gateway::start(&support::config(), dir.path(), network.clone(), None)
        .await
        .unwrap();
    let address = gateway.addresses().mqtt.unwrap();
    let key = support::device(Algorithm::Ed25519, 1);
    let mut streams = Vec::new();
    for client in 0..CLIENTS {
        let packets: Vec<u8> = (0..RECORDS_EACH)
            .flat_map(|at| {
                publish(
                    at as u16 + 1,
                    &support::record(&key, "load", client * RECORDS_EACH + at),
                )
            })
            .collect();
        streams.push((client, packets));
    }
    let start = Instant::now();
    let tasks: Vec<_> = streams
        .into_iter()
        .map(|(client, packets)| {
            tokio::spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let connect = [
                    0x10,
                    13,
                    0,
                    4,
                    b'M',
                    b'Q',
                    b'T',
                    b'T',
                    4,
                    2,
                    0,
                    0,
                    0,
                    1,
                    b'0' + client as u8,
                ];
                stream.write_all(&connect).await.unwrap();
                let (mut reader, mut writer) = stream.split();
                let mut answers = vec![0; 4 + 4 * RECORDS_EACH as usize];
                let (written, read) =
                    tokio::join!(writer.write_all(&packets), reader.read_exact(&mut answers));
                written.unwrap();
                read.unwrap();
                assert_eq!(answers[..4], [0x20, 2, 0, 0]);
                // Every PUBACK, in the order of the messages.
                for (at, puback) in answers[4..].chunks(4).enumerate() {
                    assert_eq!(puback[..2], [0x40, 2]);
                    assert_eq!(
                        usize::from(u16::from_be_bytes([puback[2], puback[3]])),
                        at + 1
                    );
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let durable = start.elapsed();
    support::until("all to be forwarded", || gateway.backlog().0 == 0).await;
    let total = CLIENTS * RECORDS_EACH;
    let (all, requests) = (start.elapsed(), network.requests.load(Ordering::Relaxed));
    assert_eq!(network.records.load(Ordering::Relaxed), total);
    println!(
        "{total} records: {:.0}/s acknowledged, {:.0}/s forwarded, in {requests} requests",
        total as f64 / durable.as_secs_f64(),
        total as f64 / all.as_secs_f64(),
    );
    gateway.shutdown().await;
}
