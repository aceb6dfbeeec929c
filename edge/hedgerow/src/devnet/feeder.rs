use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use hedgerow_records::Name;
use hedgerow_signer::RecordBuilder;
use rumqttc::{AsyncClient, Event, EventLoop, Incoming, QoS};
use serde_json::Value;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval_at},
};

use super::{
    fleet::{Fleet, FleetDevice},
    meter::Meter,
    site::Site,
};
use crate::{data::Data, mqtt, readings::Content};

/// How many readings a device has on their way at most.
pub(crate) const WINDOW: usize = 16;

/// After so long without a receipt a reading is sent again: a device can't know what was lost, and need not.
const RETRY: Duration = Duration::from_secs(5);

/// One MQTT client per device, each replaying its column.
pub(crate) struct Feeder {
    tasks: JoinSet<Result<()>>,
    unfinished: Arc<AtomicUsize>,
}

impl Feeder {
    /// Starts the devices, `rate` readings per second for all of them together; 0 is as fast as they become final.
    pub(crate) fn start(
        site: &Site,
        fleet: Fleet,
        data: Arc<Data>,
        meter: Arc<Meter>,
        rate: f64,
    ) -> Self {
        let unfinished = Arc::new(AtomicUsize::new(fleet.devices.len()));
        let period =
            (rate > 0.0).then(|| Duration::from_secs_f64(fleet.devices.len() as f64 / rate));
        let count = fleet.devices.len() as u32;
        let mut tasks = JoinSet::new();
        for (index, device) in (0..).zip(fleet.devices) {
            let pace = period.map(|period| pace(period, period * index / count));
            let station = Station {
                data: data.clone(),
                meter: meter.clone(),
                unfinished: unfinished.clone(),
                network: site.genesis.network,
                stream: fleet.stream.clone(),
                next: device.next,
                device,
                in_flight: BTreeMap::new(),
            };
            tasks.spawn(station.run(site.mqtt, pace));
        }
        Self { tasks, unfinished }
    }

    /// Whether every reading of the file is final, or was rejected.
    pub(crate) fn is_done(&self) -> bool {
        self.unfinished.load(Ordering::Relaxed) == 0
    }

    /// Resolves when a device gave up, with the reason.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => return error,
                Some(Err(error)) => return error.into(),
                None => std::future::pending().await,
            }
        }
    }
}

fn pace(period: Duration, offset: Duration) -> Interval {
    let mut pace = interval_at((Instant::now() + offset).into(), period);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

/// A reading on its way.
struct OnItsWay {
    payload: Vec<u8>,
    first_sent: Instant,
    last_sent: Instant,
}

/// A device at work.
struct Station {
    device: FleetDevice,
    data: Arc<Data>,
    meter: Arc<Meter>,
    unfinished: Arc<AtomicUsize>,
    network: u64,
    stream: Name,
    next: u64,
    in_flight: BTreeMap<u64, OnItsWay>,
}

impl Station {
    async fn run(mut self, broker: SocketAddr, mut pace: Option<Interval>) -> Result<()> {
        let mut options = mqtt::options(
            self.device.device.name.to_string(),
            &broker.ip().to_string(),
            broker.port(),
        );
        options.set_clean_session(false);
        let (client, events) = AsyncClient::new(options, 2 * WINDOW);
        let (sender, mut incoming) = mpsc::channel(64);
        let link = tokio::spawn(listen(events, sender));
        let mut retry = tokio::time::interval(RETRY / 5);
        let mut connected = false;
        let mut finished = false;
        loop {
            if !finished && self.next >= self.data.len() && self.in_flight.is_empty() {
                finished = true;
                self.unfinished.fetch_sub(1, Ordering::Relaxed);
            }
            let may_send =
                connected && self.next < self.data.len() && self.in_flight.len() < WINDOW;
            tokio::select! {
                event = incoming.recv() => match event {
                    Some(Link::Up) => {
                        client.subscribe(mqtt::receipts_topic(self.device.device.id()), QoS::AtLeastOnce).await?;
                        connected = true;
                    }
                    Some(Link::Down) => connected = false,
                    Some(Link::Receipt(receipt)) => self.take(&receipt),
                    None => break,
                },
                () = tick(&mut pace), if may_send => self.send(&client).await?,
                _ = retry.tick(), if connected => self.send_again(&client).await?,
            }
        }
        link.await.context("the MQTT client ended")
    }

    async fn send(&mut self, client: &AsyncClient) -> Result<()> {
        let Some(value) = self.data.value(&self.device.sensor, self.next) else {
            return Ok(());
        };
        let reading = Content::json(value.number)?.at(self.next, value.time_ms);
        let mut record =
            RecordBuilder::new(self.network, self.device.device.id(), self.stream.clone());
        record.push(reading)?;
        let payload = record.sign(&self.device.device.key)?;
        let now = Instant::now();
        self.publish(client, payload.clone()).await?;
        self.meter.published();
        self.in_flight.insert(
            self.next,
            OnItsWay {
                payload,
                first_sent: now,
                last_sent: now,
            },
        );
        self.next += 1;
        Ok(())
    }

    async fn send_again(&mut self, client: &AsyncClient) -> Result<()> {
        let late = self
            .in_flight
            .iter_mut()
            .filter(|(_, reading)| reading.last_sent.elapsed() > RETRY);
        let mut payloads = Vec::new();
        for (_, reading) in late {
            reading.last_sent = Instant::now();
            payloads.push(reading.payload.clone());
        }
        for payload in payloads {
            self.meter.retried();
            self.publish(client, payload).await?;
        }
        Ok(())
    }

    async fn publish(&self, client: &AsyncClient, payload: Vec<u8>) -> Result<()> {
        let topic = mqtt::records_topic(self.device.device.id());
        Ok(client
            .publish(topic, QoS::AtLeastOnce, false, payload)
            .await?)
    }

    fn take(&mut self, receipt: &Value) {
        let Some(sequence) = receipt["sequence"].as_u64() else {
            return;
        };
        let status = receipt["status"].as_str().unwrap_or_default();
        if status == "accepted" {
            return;
        }
        let Some(reading) = self.in_flight.remove(&sequence) else {
            return;
        };
        if status == "final" {
            self.meter
                .is_final(reading.first_sent.elapsed(), receipt["appended"] == 0);
        } else {
            let why = receipt["reason"].as_str().unwrap_or(status);
            self.meter.rejected(format!(
                "{}/{} {sequence}: {why}",
                self.device.device.name, self.stream
            ));
        }
    }
}

async fn tick(pace: &mut Option<Interval>) {
    if let Some(pace) = pace {
        pace.tick().await;
    }
}

/// What the connection has to say.
enum Link {
    Up,
    Down,
    Receipt(Value),
}

/// Keeps the connection: comes back after every break.
async fn listen(mut events: EventLoop, to: mpsc::Sender<Link>) {
    loop {
        let link = match events.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => Link::Up,
            Ok(Event::Incoming(Incoming::Publish(message))) => {
                match serde_json::from_slice(&message.payload) {
                    Ok(receipt) => Link::Receipt(receipt),
                    Err(_) => continue,
                }
            }
            Ok(_) => continue,
            Err(_) => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Link::Down
            }
        };
        if to.send(link).await.is_err() {
            return;
        }
    }
}
