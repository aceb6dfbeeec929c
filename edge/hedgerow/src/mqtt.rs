//! A device's side of MQTT.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hedgerow_node::Address;
use hedgerow_records::{DeviceId, Transaction};
use rumqttc::{Client, Connection, Event, Incoming, MqttOptions, QoS};
use serde_json::Value;

use crate::device_key::Device;

/// The largest packet: a record has 1 MiB at most, and its receipt comes with a proof.
pub(crate) const MAX_PACKET: usize = (1 << 20) + (1 << 16);

/// Where a device's records go.
pub(crate) fn records_topic(device: DeviceId) -> String {
    format!("hedgerow/v1/records/{}", hex::encode(device.0))
}

/// Where a device hears of its records.
pub(crate) fn receipts_topic(device: DeviceId) -> String {
    format!("hedgerow/v1/receipts/{}", hex::encode(device.0))
}

/// How a record is called in receipts: `0x` and keccak256 of the transaction that carries it.
pub(crate) fn transaction_id(record: &[u8]) -> String {
    // What makes a signed record a transaction is the byte before it.
    format!(
        "0x{}",
        Transaction::digest(&[&[Transaction::RECORD], record].concat())
    )
}

pub(crate) fn options(client_id: String, host: &str, port: u16) -> MqttOptions {
    let mut options = MqttOptions::new(client_id, host, port);
    options.set_max_packet_size(MAX_PACKET, MAX_PACKET);
    options.set_keep_alive(Duration::from_secs(30));
    options
}

/// Host and port of `HOST:PORT`.
pub(crate) fn split(broker: &str) -> Result<(String, u16)> {
    let address: Address = broker
        .parse()
        .map_err(anyhow::Error::msg)
        .context("--mqtt")?;
    let (host, port) = address
        .as_str()
        .rsplit_once(':')
        .context("--mqtt: no port")?;
    Ok((host.trim_matches(['[', ']']).into(), port.parse()?))
}

/// One device's connection, for a record at a time.
pub(crate) struct Wire {
    client: Client,
    connection: Connection,
    device: DeviceId,
    broker: String,
}

impl Wire {
    /// Connects, and listens for what becomes of the device's records.
    pub(crate) fn connect(broker: &str, key: &Device) -> Result<Self> {
        let (host, port) = split(broker)?;
        let device = key.id();
        let (client, connection) = Client::new(
            options(format!("hedgerow-{}", std::process::id()), &host, port),
            16,
        );
        client
            .subscribe(receipts_topic(device), QoS::AtLeastOnce)
            .context("MQTT")?;
        let mut wire = Self {
            client,
            connection,
            device,
            broker: broker.into(),
        };
        wire.until(Duration::from_secs(10), |event| {
            matches!(event, Incoming::SubAck(_)).then_some(())
        })?;
        Ok(wire)
    }

    /// Publishes, and waits until it is final, or only until the gateway has it.
    pub(crate) fn send(
        &mut self,
        record: &[u8],
        until_final: bool,
        patience: Duration,
    ) -> Result<Value> {
        let id = transaction_id(record);
        self.client
            .publish(
                records_topic(self.device),
                QoS::AtLeastOnce,
                false,
                record.to_vec(),
            )
            .context("MQTT")?;
        let done = move |event: Incoming| match event {
            Incoming::Publish(message) => {
                let receipt: Value = serde_json::from_slice(&message.payload).ok()?;
                let status = receipt["status"].as_str()?;
                (receipt["id"] == *id && (status != "accepted" || !until_final)).then_some(receipt)
            }
            _ => None,
        };
        self.until(patience, done)
    }

    fn until<T>(
        &mut self,
        patience: Duration,
        mut done: impl FnMut(Incoming) -> Option<T>,
    ) -> Result<T> {
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.connection.recv_timeout(left) {
                Ok(Ok(Event::Incoming(event))) => {
                    if let Some(found) = done(event) {
                        return Ok(found);
                    }
                }
                Ok(Ok(Event::Outgoing(_))) => {}
                Ok(Err(error)) => {
                    return Err(error).with_context(|| {
                        format!("--mqtt {}: is a gateway's broker there?", self.broker)
                    });
                }
                Err(_) => bail!(
                    "--mqtt {}: no answer within {} s",
                    self.broker,
                    patience.as_secs()
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hedgerow_records::{Algorithm, Name, SignedRecord};
    use hedgerow_signer::RecordBuilder;

    use super::*;
    use crate::readings::Content;

    #[test]
    fn a_record_is_called_as_its_transaction() {
        let device = Device::generate(Name::new("d").unwrap(), Algorithm::P256).unwrap();
        let mut record = RecordBuilder::new(7, device.id(), Name::new("s").unwrap());
        record.push(Content::json("1").unwrap().at(0, 0)).unwrap();
        let bytes = record.sign(&device.key).unwrap();
        let transaction = Transaction::Record(SignedRecord::from_bytes(&bytes).unwrap()).to_bytes();
        assert_eq!(
            transaction_id(&bytes),
            format!("0x{}", Transaction::digest(&transaction))
        );
    }

    #[test]
    fn brokers_are_split() {
        assert_eq!(split("127.0.0.1:1883").unwrap(), ("127.0.0.1".into(), 1883));
        assert_eq!(split("[::1]:1883").unwrap(), ("::1".into(), 1883));
        assert!(format!("{:#}", split("broker").unwrap_err()).contains("HOST:PORT"));
    }
}
