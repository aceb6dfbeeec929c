use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use hedgerow_records::{Algorithm, Name};
use hedgerow_signer::{DeviceKey, RecordBuilder, reading};
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::{Http, Mqtt, Network};

/// How long a device waits for an acknowledgement.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long it goes on with a record when it has been told to stop.
const LAST_PATIENCE: Duration = Duration::from_secs(60);

/// The stream of every device.
pub(crate) const STREAM: &str = "count";

/// A reading that the gateway has acknowledged: from then on it may not be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its number in the stream.
    pub sequence: u64,
    /// What it says.
    pub payload: String,
}

/// A device with its key.
#[derive(Debug)]
pub struct Device {
    /// Its name.
    pub name: String,
    key: DeviceKey,
    network: u64,
    by_mqtt: bool,
    rng: StdRng,
}

impl Device {
    /// Makes a device and has the gateway register it, by the command line.
    ///
    /// # Errors
    /// When the registration fails.
    pub fn register(network: &Network, number: usize, seed: u64) -> Result<Self> {
        let mut rng = StdRng::seed_from_u64(seed ^ (number as u64) << 32);
        let algorithm = [Algorithm::Ed25519, Algorithm::P256, Algorithm::Secp256k1][number % 3];
        let key = DeviceKey::generate(algorithm, |secret| rng.fill(secret))?;
        let name = format!("device-{number}");
        let config = network.gateway().config.display().to_string();
        let public = hex::encode(key.public_key().as_bytes());
        network.command(&[
            "device",
            "register",
            &name,
            "--algorithm",
            algorithm.as_str(),
            "--public-key",
            &public,
            "--member",
            &config,
        ])?;
        let status = network.gateway().status()?;
        let number_of_network = status["network"]["network"].as_u64();
        Ok(Self {
            name,
            key,
            network: number_of_network.context("/status names no network")?,
            by_mqtt: number % 2 == 1,
            rng,
        })
    }

    /// A signed record of one or a few readings.
    fn record(&self, readings: &[Sent]) -> Result<Vec<u8>> {
        let stream = Name::new(STREAM)?;
        let mut record = RecordBuilder::new(self.network, self.key.device_id(), stream);
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64;
        for sent in readings {
            record.push(reading(
                sent.sequence,
                now,
                "application/json",
                sent.payload.as_bytes(),
            )?)?;
        }
        Ok(record.sign(&self.key)?)
    }
}

/// The way from a device to the gateway; made anew whenever it breaks.
enum Way {
    Http(Http),
    Mqtt {
        broker: SocketAddr,
        client: String,
        open: Option<Mqtt>,
    },
}

impl Way {
    /// Sends once; `Ok` means that the gateway has acknowledged.
    fn send(&mut self, record: &[u8], again: bool) -> Result<()> {
        match self {
            Self::Http(http) => match http.post("/records", record)? {
                (200 | 202, _) => Ok(()),
                (status, body) => bail!("HTTP {status}: {}", String::from_utf8_lossy(&body)),
            },
            Self::Mqtt {
                broker,
                client,
                open,
            } => {
                let mut mqtt = match open.take() {
                    Some(mqtt) => mqtt,
                    None => Mqtt::connect(*broker, client, PATIENCE)?,
                };
                mqtt.publish("hedgerow/v1/records", record, again)?;
                *open = Some(mqtt);
                Ok(())
            }
        }
    }
}

/// Devices that speak all the time, each from its own thread.
#[derive(Debug)]
pub struct Fleet {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    threads: Vec<(String, JoinHandle<Result<Vec<Sent>>>)>,
}

impl Fleet {
    /// Sets `devices` to work; each sends about `rate` records a second.
    ///
    /// # Errors
    /// When the gateway has no broker.
    pub fn start(network: &Network, devices: Vec<Device>, rate: f64) -> Result<Self> {
        let (stop, acknowledged) = (Arc::default(), Arc::default());
        let mut threads = Vec::new();
        for device in devices {
            let way = if device.by_mqtt {
                Way::Mqtt {
                    broker: network
                        .gateway()
                        .mqtt
                        .context("the gateway has no broker")?,
                    client: device.name.clone(),
                    open: None,
                }
            } else {
                Way::Http(Http::new(network.gateway().http.url(), PATIENCE))
            };
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            let name = device.name.clone();
            let thread = thread::spawn(move || speak(device, way, rate, &stop, &acknowledged));
            threads.push((name, thread));
        }
        Ok(Self {
            stop,
            acknowledged,
            threads,
        })
    }

    /// How many records have been acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Lets each device finish its record. Gives what was acknowledged, by device.
    ///
    /// # Errors
    /// When a device could not finish although the network is well.
    pub fn finish(self) -> Result<Vec<(String, Vec<Sent>)>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        for (name, thread) in self.threads {
            let joined = thread
                .join()
                .map_err(|_| anyhow::anyhow!("{name} panicked"))?;
            all.push((name.clone(), joined.context(name)?));
        }
        Ok(all)
    }
}

/// Sends record after record, each until it is acknowledged; repeats old ones and swaps neighbours now and then.
fn speak(
    mut device: Device,
    mut way: Way,
    rate: f64,
    stop: &AtomicBool,
    acknowledged: &AtomicU64,
) -> Result<Vec<Sent>> {
    let mut sent: Vec<Sent> = Vec::new();
    let mut last_record: Option<Vec<u8>> = None;
    let mut next = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut batch = |count: u64| -> Vec<Sent> {
            let numbers = next..next + count;
            next += count;
            let reading = |sequence| Sent {
                sequence,
                payload: format!("{{\"{}\":{sequence}}}", device.name),
            };
            numbers.map(reading).collect()
        };
        let mut records = vec![batch(1)];
        match device.rng.random_range(0..20) {
            0 => records.push(batch(3)),
            1 => {
                records.push(batch(1));
                records.reverse();
            }
            _ => {}
        }
        for readings in records {
            let record = device.record(&readings)?;
            deliver(&mut way, &record, stop)?;
            acknowledged.fetch_add(1, Ordering::Relaxed);
            sent.extend(readings);
            last_record = Some(record);
        }
        if let Some(record) = last_record
            .as_ref()
            .filter(|_| device.rng.random_ratio(1, 20))
        {
            deliver(&mut way, record, stop)?;
        }
        let pause = device.rng.random_range(0.5..1.5) / rate;
        thread::sleep(Duration::from_secs_f64(pause));
    }
    Ok(sent)
}

/// Sends until it is acknowledged.
fn deliver(way: &mut Way, record: &[u8], stop: &AtomicBool) -> Result<()> {
    let mut again = false;
    let mut stopped: Option<Instant> = None;
    loop {
        let Err(error) = way.send(record, again) else {
            return Ok(());
        };
        again = true;
        if stop.load(Ordering::Relaxed) {
            let since = *stopped.get_or_insert_with(Instant::now);
            if since.elapsed() > LAST_PATIENCE {
                return Err(error.context("not acknowledged though the network is well"));
            }
        }
        thread::sleep(Duration::from_millis(100));
    }
}
