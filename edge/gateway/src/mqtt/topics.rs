//! The topics of devices, and who may use them.

use hedgerow_records::{Algorithm, DeviceId, DevicePublicKey};

use crate::{
    broker::{Authority, Identity},
    codec::{Connect, Reason},
};

/// Where signed records are published: this, or this and `/` and the device's 40 hexadecimal digits.
pub const RECORDS: &str = "hedgerow/v1/records";

/// Where a device hears of its records: this, `/` and its 40 hexadecimal digits.
pub const RECEIPTS: &str = "hedgerow/v1/receipts";

/// The topic on which a device hears of its records.
#[must_use]
pub fn receipts_topic(device: DeviceId) -> String {
    format!("{RECEIPTS}/{}", hex::encode(device.0))
}

/// The device that a records topic names; `Err` when it is no records topic.
pub(crate) fn records_topic(topic: &str) -> Result<Option<DeviceId>, ()> {
    let rest = topic.strip_prefix(RECORDS).ok_or(())?;
    if rest.is_empty() {
        return Ok(None);
    }
    device(rest.strip_prefix('/').ok_or(())?)
        .map(Some)
        .ok_or(())
}

/// With or without `0x`.
fn device(text: &str) -> Option<DeviceId> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let mut id = [0; 20];
    hex::decode_to_slice(digits, &mut id).ok()?;
    Some(DeviceId(id))
}

/// The device whose key a client certificate has.
pub(crate) fn device_of(identity: &Identity) -> Option<DeviceId> {
    let key = match identity.public_key.as_slice() {
        key if key.len() == 32 => DevicePublicKey::new(Algorithm::Ed25519, key),
        key if key.len() == 33 => DevicePublicKey::new(Algorithm::P256, key),
        // SEC 1: 04 x y. Compressed, the first byte says whether y is odd.
        key if key.len() == 65 && key.first() == Some(&4) => {
            let mut compressed = vec![2 + (key.last()? & 1)];
            compressed.extend_from_slice(key.get(1..33)?);
            DevicePublicKey::new(Algorithm::P256, &compressed)
        }
        _ => return None,
    };
    Some(key.ok()?.device_id())
}

/// Who may use which topics: those under `hedgerow/` have a meaning, all others are the clients' own.
pub(crate) struct TopicRules {
    /// Whether a client certificate's key must be that of the device in the topic.
    pub(crate) client_is_device: bool,
}

fn refuse<T>(text: impl Into<String>) -> Result<T, (Reason, String)> {
    Err((Reason::NotAuthorized, text.into()))
}

impl TopicRules {
    fn same(
        &self,
        identity: Option<&Identity>,
        named: Option<DeviceId>,
    ) -> Result<(), (Reason, String)> {
        if !self.client_is_device {
            return Ok(());
        }
        let own = identity.and_then(device_of);
        match (own, named) {
            (Some(own), Some(named)) if own == named => Ok(()),
            (Some(own), _) => refuse(format!(
                "this certificate is of device {own}: use its topics only"
            )),
            (None, _) => refuse("a client certificate with a device's key is needed"),
        }
    }
}

impl Authority for TopicRules {
    fn connect(&self, _: Option<&Identity>, _: &Connect) -> Result<(), (Reason, String)> {
        Ok(())
    }

    fn publish(&self, identity: Option<&Identity>, topic: &str) -> Result<(), (Reason, String)> {
        if topic.starts_with('$') {
            return refuse("topics that begin with $ are the gateway's");
        }
        if !topic.starts_with("hedgerow/") || topic.starts_with("hedgerow/v1/responses/") {
            return Ok(());
        }
        match records_topic(topic) {
            Ok(device) if self.client_is_device && device.is_none() => {
                self.same(identity, identity.and_then(device_of))
            }
            Ok(device) => self.same(identity, device),
            Err(()) => refuse(format!(
                "publish records to {RECORDS} or {RECORDS}/DEVICE (40 hexadecimal digits)"
            )),
        }
    }

    fn subscribe(&self, identity: Option<&Identity>, filter: &str) -> Result<(), (Reason, String)> {
        if !self.client_is_device {
            return Ok(());
        }
        match filter
            .strip_prefix(RECEIPTS)
            .and_then(|rest| rest.strip_prefix('/'))
        {
            Some(digits) => self.same(identity, device(digits)),
            // Everything that could match others' receipts.
            None if filter.starts_with(['#', '+']) || filter.starts_with("hedgerow") => {
                refuse(format!(
                    "subscribe to {RECEIPTS}/DEVICE with the device's own 40 hexadecimal digits"
                ))
            }
            None => Ok(()),
        }
    }

    fn is_for_application(&self, topic: &str) -> bool {
        records_topic(topic).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: &str = "00112233445566778899aabbccddeeff00112233";

    #[test]
    fn only_records_are_published_under_hedgerow() {
        let rules = TopicRules {
            client_is_device: false,
        };
        for good in [
            RECORDS,
            &format!("{RECORDS}/{DEVICE}"),
            "plant/1/state",
            "hedgerow/v1/responses/7",
        ] {
            assert!(rules.publish(None, good).is_ok(), "{good}");
        }
        for bad in [
            "$SYS/x",
            "hedgerow/v1/receipts/x",
            "hedgerow/v1/records/abc",
            "hedgerow/v1/recordsx",
        ] {
            assert!(rules.publish(None, bad).is_err(), "{bad}");
        }
        assert!(rules.is_for_application(RECORDS));
        assert!(!rules.is_for_application("plant/1/state"));
    }

    #[test]
    fn a_device_certificate_speaks_for_its_device_only() {
        let rules = TopicRules {
            client_is_device: true,
        };
        let own = Identity {
            subject: "CN=a".into(),
            public_key: vec![7; 32],
        };
        let mine = device_of(&own).unwrap();
        let digits = hex::encode(mine.0);
        assert!(
            rules
                .publish(Some(&own), &format!("{RECORDS}/{digits}"))
                .is_ok()
        );
        assert!(rules.publish(Some(&own), RECORDS).is_ok());
        assert!(
            rules
                .publish(Some(&own), &format!("{RECORDS}/{DEVICE}"))
                .is_err()
        );
        assert!(rules.publish(None, RECORDS).is_err());
        assert!(rules.subscribe(Some(&own), &receipts_topic(mine)).is_ok());
        for bad in [
            format!("{RECEIPTS}/{DEVICE}"),
            format!("{RECEIPTS}/+"),
            "#".into(),
            "hedgerow/#".into(),
        ] {
            assert!(rules.subscribe(Some(&own), &bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_p256_key_in_a_certificate_is_the_compressed_key_of_the_device() {
        let mut point = vec![4];
        point.extend([9; 32]);
        point.extend([1; 32]);
        let mut compressed = vec![3];
        compressed.extend([9; 32]);
        let identity = |public_key| Identity {
            subject: String::new(),
            public_key,
        };
        assert_eq!(
            device_of(&identity(point)),
            device_of(&identity(compressed))
        );
    }
}
