use std::fs;

use anyhow::{Context, Result, bail};
use hedgerow_records::{Algorithm, Name};
use serde_json::Value;

use super::site::Site;
use crate::{
    client::{Client, is_not_found},
    data::{Data, Sensor},
    device_key::Device,
    member::Voice,
};

/// The name of every device's stream.
const STREAM: &str = "readings";

/// More sensors than this have one device each instead of two.
const FEW_SENSORS: usize = 10;

/// The devices of the devnet, with keys of all algorithms in turn.
pub(crate) struct Fleet {
    pub(crate) devices: Vec<FleetDevice>,
    pub(crate) stream: Name,
    /// How many were registered just now.
    pub(crate) new: usize,
}

/// A device that replays one column.
pub(crate) struct FleetDevice {
    pub(crate) device: Device,
    pub(crate) sensor: Sensor,
    /// The row from which on it sends.
    pub(crate) next: u64,
}

impl Fleet {
    /// Makes the devices that the data asks for and that are not there yet, registers them, and finds out how far
    /// each one's stream is.
    pub(crate) fn open_or_make(site: &Site, data: &Data, window: u64) -> Result<Self> {
        let folder = site.dir.join("devices");
        fs::create_dir_all(&folder)
            .with_context(|| format!("{}: can't make the folder", folder.display()))?;
        let stream = Name::new(STREAM)?;
        let (client, voice) = (site.client()?, Voice::open(&site.gateway.config)?);
        let each = if data.sensors.len() <= FEW_SENSORS {
            2
        } else {
            1
        };
        let algorithms = [Algorithm::P256, Algorithm::Ed25519, Algorithm::Secp256k1];
        let mut fleet = Self {
            devices: Vec::new(),
            stream,
            new: 0,
        };
        for (sensor, number) in data
            .sensors
            .iter()
            .flat_map(|sensor| (1..=each).map(move |number| (sensor, number)))
        {
            let name = Name::new(format!("{}.{number}", sensor.name))?;
            let file = folder.join(format!("{name}.json"));
            let device = if file.exists() {
                Device::read(&file)?
            } else {
                let device =
                    Device::generate(name, algorithms[fleet.devices.len() % algorithms.len()])?;
                device.write(&file)?;
                device
            };
            fleet.new += usize::from(register(&client, &voice, &device, sensor)?);
            let next = next_row(&client, &device, &fleet.stream, window)?;
            fleet.devices.push(FleetDevice {
                device,
                sensor: sensor.clone(),
                next,
            });
        }
        Ok(fleet)
    }
}

/// Whether it was not registered before.
fn register(client: &Client, voice: &Voice, device: &Device, sensor: &Sensor) -> Result<bool> {
    match client.get::<Value>(&format!("/devices/{}", device.name)) {
        Ok(known) if known["device"] == device.id().to_string() => return Ok(false),
        Ok(_) => bail!(
            "{}: another device has this name in the ledger; use another --dir",
            device.name
        ),
        Err(error) if is_not_found(&error) => {}
        Err(error) => return Err(error),
    }
    let description = format!("replays the column {}", sensor.column);
    let description = description.chars().take(60).collect::<String>();
    let transaction = voice.register(&device.name, device.public_key(), Some(&description))?;
    let answer = client.post("/transactions?wait=final", &transaction.to_bytes());
    let answer = answer.with_context(|| format!("can't register {}", device.name))?;
    if answer["status"] != "final" {
        bail!(
            "{} is not registered: the network does not go on. `hedgerow status` names the cause",
            device.name
        );
    }
    Ok(true)
}

/// The first row that may be missing in the ledger. At most `window` readings were on their way when the devnet
/// stopped, so all before the last `window` ones are there; those are sent again, which is harmless.
fn next_row(client: &Client, device: &Device, stream: &Name, window: u64) -> Result<u64> {
    match client.get::<Value>(&format!("/streams/{}/{stream}", device.name)) {
        Ok(summary) if summary["length"] == 0 => Ok(0),
        Ok(summary) => {
            let last = summary["last_sequence"]
                .as_u64()
                .context("the stream's summary has no last_sequence")?;
            let complete = summary["missing"] == 0 && summary["first_sequence"] == 0;
            Ok(if complete {
                last + 1
            } else {
                (last + 1).saturating_sub(window)
            })
        }
        Err(error) if is_not_found(&error) => Ok(0),
        Err(error) => Err(error),
    }
}
