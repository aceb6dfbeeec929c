//! How things of the ledger look in JSON.

use base64::{Engine, engine::general_purpose::STANDARD};
use hedgerow_base::NodeSet;
use hedgerow_chain::{
    BlockSummary, DeviceSummary, EpochSummary, ProtocolSummary, RecordedReading, RolesSummary,
    StreamSummary,
};
use hedgerow_records::{Roles, Subject};
use minicbor::{Decoder, data::Type};
use serde_json::{Map, Number, Value, json};

use crate::{MemberStatus, roles::Standing};

/// How deep a CBOR item may be nested to be shown as JSON; deeper ones are shown in base64.
const DEPTH: usize = 32;

/// A payload for people and programs: the value, and how it came about: `json`, `cbor`, `text` or `base64`.
pub(super) fn payload(content_type: &str, bytes: &[u8]) -> (Value, &'static str) {
    let kind = content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if (kind == "application/json" || kind.ends_with("+json"))
        && let Ok(value) = serde_json::from_slice(bytes)
    {
        return (value, "json");
    }
    if (kind == "application/cbor" || kind.ends_with("+cbor"))
        && let Some(value) = cbor(bytes)
    {
        return (value, "cbor");
    }
    if kind.starts_with("text/")
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return (text.into(), "text");
    }
    (STANDARD.encode(bytes).into(), "base64")
}

/// CBOR as JSON (RFC 8949 §6.1): byte strings in base64, tags dropped, what JSON lacks as null.
fn cbor(bytes: &[u8]) -> Option<Value> {
    let mut decoder = Decoder::new(bytes);
    let value = item(&mut decoder, DEPTH)?;
    (decoder.position() == bytes.len()).then_some(value)
}

fn item(decoder: &mut Decoder<'_>, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    Some(match decoder.datatype().ok()? {
        Type::Bool => decoder.bool().ok()?.into(),
        Type::Null => {
            decoder.null().ok()?;
            Value::Null
        }
        Type::Undefined => {
            decoder.undefined().ok()?;
            Value::Null
        }
        Type::Simple => {
            decoder.simple().ok()?;
            Value::Null
        }
        Type::U8 | Type::U16 | Type::U32 | Type::U64 => decoder.u64().ok()?.into(),
        Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            let value = i128::from(decoder.int().ok()?);
            match i64::try_from(value) {
                Ok(small) => small.into(),
                Err(_) => value.to_string().into(),
            }
        }
        Type::F16 => float(f64::from(decoder.f16().ok()?)),
        Type::F32 => float(f64::from(decoder.f32().ok()?)),
        Type::F64 => float(decoder.f64().ok()?),
        Type::String => decoder.str().ok()?.into(),
        Type::StringIndef => {
            let parts: Result<Vec<&str>, _> = decoder.str_iter().ok()?.collect();
            parts.ok()?.concat().into()
        }
        Type::Bytes => STANDARD.encode(decoder.bytes().ok()?).into(),
        Type::BytesIndef => {
            let parts: Result<Vec<&[u8]>, _> = decoder.bytes_iter().ok()?.collect();
            STANDARD.encode(parts.ok()?.concat()).into()
        }
        Type::Array | Type::ArrayIndef => {
            let mut left = decoder.array().ok()?;
            let mut items = Vec::new();
            while more(decoder, &mut left)? {
                items.push(item(decoder, depth)?);
            }
            items.into()
        }
        Type::Map | Type::MapIndef => {
            let mut left = decoder.map().ok()?;
            let mut fields = Map::new();
            while more(decoder, &mut left)? {
                let key = match item(decoder, depth)? {
                    Value::String(text) => text,
                    other => other.to_string(),
                };
                fields.insert(key, item(decoder, depth)?);
            }
            fields.into()
        }
        Type::Tag => {
            decoder.tag().ok()?;
            item(decoder, depth)?
        }
        Type::Break | Type::Unknown(_) => return None,
    })
}

/// Whether another element follows. A claimed count costs nothing: elements are made as they are read.
fn more(decoder: &mut Decoder<'_>, left: &mut Option<u64>) -> Option<bool> {
    match left {
        Some(0) => Some(false),
        Some(count) => {
            *count -= 1;
            Some(true)
        }
        None if decoder.datatype().ok()? == Type::Break => {
            decoder.skip().ok()?;
            Some(false)
        }
        None => Some(true),
    }
}

fn float(value: f64) -> Value {
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}

pub(super) fn reading(recorded: &RecordedReading) -> Value {
    let reading = &recorded.reading;
    let (value, encoding) = payload(&reading.content_type, &reading.payload);
    json!({
        "sequence": reading.sequence,
        "time_ms": reading.time,
        "content_type": reading.content_type.as_str(),
        "encoding": encoding,
        "payload": value,
        "position": recorded.position,
        "block": recorded.height.0,
        "block_time_ms": recorded.block_time,
        "record": format!("0x{}", recorded.record),
    })
}

pub(super) fn stream(stream: &StreamSummary) -> Value {
    json!({
        "name": stream.name.to_string(),
        "stream_id": format!("0x{}", stream.stream),
        "owner": stream.owner.to_string(),
        "length": stream.length,
        "root": format!("0x{}", stream.root),
        "first_sequence": stream.first_sequence,
        "last_sequence": stream.last_sequence,
        "missing": stream.missing,
        "latest": stream.latest.as_ref().map(reading),
    })
}

pub(super) fn device(device: &DeviceSummary) -> Value {
    json!({
        "device": device.device.to_string(),
        "name": device.name.as_str(),
        "algorithm": device.public_key.algorithm().as_str(),
        "public_key": format!("0x{}", hex::encode(device.public_key.as_bytes())),
        "description": device.description.as_ref().map(|text| text.as_str()),
        "block": device.height.0,
    })
}

pub(super) fn block(block: &BlockSummary) -> Value {
    json!({
        "height": block.height.0,
        "hash": format!("0x{}", block.hash),
        "parent": format!("0x{}", block.parent),
        "slot": block.slot.0,
        "time_ms": block.time,
        "transactions": block.transactions,
        "readings": block.readings,
        "state_root": format!("0x{}", block.state_root),
        "transactions_root": format!("0x{}", block.transactions_root),
        "receipts_root": format!("0x{}", block.receipts_root),
        "history_root": format!("0x{}", block.history_root),
    })
}

fn epoch(epoch: &EpochSummary) -> Value {
    json!({
        "number": epoch.number,
        "protocol": epoch.protocol.as_str(),
        "base_slot": epoch.base.0,
        "block": epoch.height.0,
        "time_ms": epoch.time,
    })
}

/// The epochs and the open proposals; voters by their names among `members`.
pub(super) fn protocol(protocol: &ProtocolSummary, members: &[MemberStatus]) -> Value {
    let now = protocol.epochs.last();
    let proposals = protocol.proposals.iter().map(|open| {
        json!({
            "id": format!("0x{}", open.id),
            "protocol": open.protocol.as_str(),
            "epoch": now.map(|now| now.number),
            "voters": voters(open.voters, members),
            "needed": protocol.needed,
            "missing": protocol.needed.saturating_sub(open.voters.len() as u32),
        })
    });
    json!({
        "epoch": now.map(epoch),
        "epochs": protocol.epochs.iter().map(epoch).collect::<Vec<_>>(),
        "proposals": proposals.collect::<Vec<_>>(),
    })
}

/// Those who have roles, and the open motions; voters by their names among `members`.
pub(super) fn roles(roles: &RolesSummary, limit: u32, members: &[MemberStatus]) -> Value {
    let names = |roles: Roles| roles.names().collect::<Vec<_>>();
    let subjects = roles
        .subjects
        .iter()
        .map(|one| json!({"subject": one.subject.to_string(), "roles": names(one.roles)}));
    let motions = roles.motions.iter().map(|open| {
        json!({
            "id": format!("0x{}", open.id),
            "subject": open.motion.subject.to_string(),
            "round": open.motion.round,
            "roles": names(open.motion.roles),
            "now": names(open.now),
            "voters": voters(open.voters, members),
            "needed": roles.needed,
            "missing": roles.needed.saturating_sub(open.voters.len() as u32),
        })
    });
    let last = roles.subjects.last();
    let next = last.filter(|_| roles.subjects.len() >= limit as usize);
    json!({
        "subjects": subjects.collect::<Vec<_>>(),
        "motions": motions.collect::<Vec<_>>(),
        "needed": roles.needed,
        "next": next.map(|last| last.subject.to_string()),
    })
}

/// What somebody may do: by roles of its own, and because everyone may.
pub(super) fn standing(subject: Subject, standing: &Standing) -> Value {
    let names = |roles: Roles| roles.names().collect::<Vec<_>>();
    json!({
        "subject": subject.to_string(),
        "roles": names(standing.own),
        "may": names(standing.own.with(standing.everyones)),
        "round": standing.round,
    })
}

/// Who has voted, with the names that they have among `members`.
fn voters(voters: NodeSet, members: &[MemberStatus]) -> Vec<Value> {
    let name = |id: u32| {
        let member = members.iter().find(|member| member.id == id);
        member.map_or_else(|| format!("node {id}"), |member| member.name.clone())
    };
    voters
        .iter()
        .map(|voter| json!({"id": voter.0, "name": name(voter.0)}))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_shown_by_their_content_type() {
        assert_eq!(
            payload("application/json", br#"{"t":21.5}"#),
            (json!({"t": 21.5}), "json")
        );
        assert_eq!(
            payload("application/senml+json; charset=utf-8", b"[1]"),
            (json!([1]), "json")
        );
        assert_eq!(payload("application/json", b"{"), (json!("ew=="), "base64"));
        assert_eq!(payload("text/plain", b"21.5"), (json!("21.5"), "text"));
        assert_eq!(
            payload("application/octet-stream", &[1, 2]),
            (json!("AQI="), "base64")
        );
    }

    #[test]
    fn cbor_is_shown_as_json() {
        // {"t": -3, "l": [_ 1, 2.5, true], 7: h'0102', "n": null, "d": 1("x")}
        let bytes = hex::decode("a5617422616c9f01f94100f5ff07420102616ef66164c16178").unwrap();
        let expected = json!({"t": -3, "l": [1, 2.5, true], "7": "AQI=", "n": null, "d": "x"});
        assert_eq!(payload("application/cbor", &bytes), (expected, "cbor"));
    }

    #[test]
    fn hostile_cbor_is_shown_in_base64_and_costs_little() {
        for bytes in [
            vec![0x81; 100_000],
            vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            vec![0x9f, 1],
            vec![1, 1],
        ] {
            assert_eq!(payload("application/cbor", &bytes).1, "base64");
        }
    }
}
