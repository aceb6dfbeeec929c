//! The description of the HTTP interface, OpenAPI 3.1. A test holds it against the router's table.

use axum::Json;
use hedgerow_records::Roles;
use serde_json::{Map, Value, json};

pub(super) async fn openapi() -> Json<Value> {
    Json(document())
}

fn schema(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn content(kind: &str, schema: Value) -> Value {
    json!({kind: {"schema": schema}})
}

fn answer(description: &str, kind: &str, schema: Value) -> Value {
    json!({"description": description, "content": content(kind, schema)})
}

fn json_answer(description: &str, name: &str) -> Value {
    answer(description, "application/json", schema(name))
}

fn problems(responses: &mut Map<String, Value>, list: &[(u16, &str)]) {
    for (status, description) in list {
        let problem = answer(description, "application/problem+json", schema("Problem"));
        responses.insert(status.to_string(), problem);
    }
}

fn path_parameter(name: &str, description: &str, kind: Value) -> Value {
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": kind})
}

fn query_parameter(name: &str, required: bool, description: &str, kind: Value) -> Value {
    json!({"name": name, "in": "query", "required": required, "description": description, "schema": kind})
}

fn name_of(what: &str) -> Value {
    path_parameter(
        what,
        &format!("the {what}'s name"),
        json!({"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"}),
    )
}

fn unsigned() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn operation(
    id: &str,
    tag: &str,
    summary: &str,
    parameters: Vec<Value>,
    answers: &[(u16, Value)],
    failures: &[(u16, &str)],
) -> Value {
    let mut responses: Map<String, Value> = answers
        .iter()
        .map(|(status, answer)| (status.to_string(), answer.clone()))
        .collect();
    problems(&mut responses, failures);
    json!({
        "operationId": id, "tags": [tag], "summary": summary, "parameters": parameters, "responses": responses,
    })
}

const BAD: (u16, &str) = (400, "a parameter can't be read; the detail says which");
const MISSING: (u16, &str) = (404, "there is no such thing");
const STALLED: (u16, &str) = (
    503,
    "the network does not answer, or not in time; Retry-After says when to ask again",
);

fn post(id: &str, summary: &str, what: &str) -> Value {
    let wait = query_parameter(
        "wait",
        false,
        "until when to wait: durable at this gateway (202), or final on the ledger (200; 202 when that takes long)",
        json!({"type": "string", "enum": ["durable", "final"], "default": "durable"}),
    );
    let mut operation = operation(
        id,
        "records",
        summary,
        vec![wait],
        &[
            (200, json_answer("it is final", "Outcome")),
            (
                202,
                json_answer(
                    "it is durable here and will be forwarded; Location names its status",
                    "Outcome",
                ),
            ),
        ],
        &[
            (
                400,
                "malformed, empty, of an unknown version or for another network",
            ),
            (
                403,
                "the signer is unknown or not entitled, or the signature is not its own (with wait=final)",
            ),
            (
                409,
                "it contradicts what is on the ledger (with wait=final)",
            ),
            (413, "more than 1 MiB"),
            (429, "the gateway's store is full: send again later"),
            (501, "this node takes no records: send them to a gateway"),
            STALLED,
        ],
    );
    let body = json!({
        "required": true,
        "description": what,
        "content": content("application/octet-stream", json!({"type": "string", "format": "binary", "maxLength": 1_048_576})),
    });
    if let Value::Object(fields) = &mut operation {
        fields.insert("requestBody".into(), body);
    }
    operation
}

fn page(what: &str) -> Vec<Value> {
    vec![
        query_parameter(
            "after",
            false,
            &format!("only {what} after this one: the last page's `next`"),
            json!({"type": "string"}),
        ),
        query_parameter(
            "limit",
            false,
            "how many at most",
            json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
        ),
    ]
}

fn stream_path() -> Vec<Value> {
    vec![name_of("device"), name_of("stream")]
}

fn reading_path() -> Vec<Value> {
    let mut path = stream_path();
    path.push(path_parameter(
        "sequence",
        "the reading's number",
        unsigned(),
    ));
    path
}

fn paths() -> Value {
    let range = [
        stream_path(),
        vec![
            query_parameter(
                "from",
                false,
                "the least number",
                json!({"type": "integer", "minimum": 0, "default": 0}),
            ),
            query_parameter(
                "limit",
                false,
                "how many at most",
                json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
            ),
        ],
    ]
    .concat();
    let format = query_parameter(
        "format",
        true,
        "the file's format",
        json!({"type": "string", "enum": ["csv", "jsonl"]}),
    );
    let export = [stream_path(), vec![format]].concat();
    let device = path_parameter(
        "device",
        "the device's name, or its identifier: 0x and 40 hexadecimal digits",
        json!({"type": "string"}),
    );
    let height = path_parameter(
        "height",
        "the block's number, or `head`",
        json!({"type": "string", "pattern": "^(head|[0-9]+)$"}),
    );
    let id = path_parameter(
        "id",
        "keccak256 of the transaction: 0x and 64 hexadecimal digits",
        json!({"type": "string"}),
    );
    let get = |operation: Value| json!({"get": operation});
    let binary = json!({"type": "string", "format": "binary"});
    json!({
        "/records": {"post": post("postRecord", "Hand in a signed record", "a SignedRecord in its Borsh encoding")},
        "/records/{id}": get(operation("getRecord", "records", "What became of a record or transaction that was handed in here lately",
            vec![id], &[(200, json_answer("what is known", "Outcome"))],
            &[BAD, MISSING, (501, "this node takes no records")])),
        "/transactions": {"post": post("postTransaction", "Hand in a transaction: a registration, a record, a vote, or a signed one of Ethereum's", "a Transaction in its Borsh encoding, or one of Ethereum's in that of EIP-2718")},
        "/streams": get(operation("listStreams", "ledger", "The streams in the order of their names", page("streams"),
            &[(200, json_answer("a page", "Streams"))], &[BAD, STALLED])),
        "/streams/{device}/{stream}": get(operation("getStream", "ledger", "A stream", stream_path(),
            &[(200, json_answer("the stream", "Stream"))], &[BAD, MISSING, STALLED])),
        "/streams/{device}/{stream}/readings": get(operation("listReadings", "ledger", "Readings in the order of their numbers", range,
            &[(200, json_answer("a page; `next` is the least number of the next one", "Readings"))], &[BAD, MISSING, STALLED])),
        "/streams/{device}/{stream}/readings/{sequence}": get(operation("getReading", "ledger", "A reading", reading_path(),
            &[(200, json_answer("the reading", "Reading"))], &[BAD, MISSING, STALLED])),
        "/streams/{device}/{stream}/readings/{sequence}/proof": get(operation("getProof", "ledger",
            "The proof of a reading, to be checked offline with `hedgerow verify`", reading_path(),
            &[(200, answer("the proof", "application/octet-stream", binary))],
            &[BAD, MISSING, (503, "no certificate covers the reading yet, or the network does not answer")])),
        "/streams/{device}/{stream}/export": get(operation("exportStream", "ledger",
            "All readings of a stream as one file; a broken-off transfer means that some are missing", export,
            &[(200, json!({"description": "the file", "content": {
                "text/csv": {"schema": {"type": "string"}}, "application/jsonl": {"schema": {"type": "string"}},
            }}))], &[BAD, MISSING, STALLED])),
        "/devices": get(operation("listDevices", "ledger", "The devices in the order of their names", page("devices"),
            &[(200, json_answer("a page", "Devices"))], &[BAD, STALLED])),
        "/devices/{device}": get(operation("getDevice", "ledger", "A device", vec![device],
            &[(200, json_answer("the device", "Device"))], &[BAD, MISSING, STALLED])),
        "/blocks/{height}": get(operation("getBlock", "ledger", "A block", vec![height],
            &[(200, json_answer("the block; the head has totals", "Block"))], &[BAD, MISSING, STALLED])),
        "/protocol": get(operation("getProtocol", "ledger", "Which protocol orders, since when, and what the validators vote for", vec![],
            &[(200, json_answer("the epochs of the order and the open proposals", "Protocol"))], &[STALLED])),
        "/roles": get(operation("getRoles", "ledger", "Who may do what, and which motions to change it are open", page("subjects"),
            &[(200, json_answer("a page of those who have roles, and all open motions", "Roles"))], &[BAD, STALLED])),
        "/roles/{subject}": get(operation("getRolesOf", "ledger", "What somebody may do", vec![path_parameter("subject", "an address: an account's, a member's, or 0x and forty zeros for everyone", json!({"type": "string"}))],
            &[(200, json_answer("its own roles, and what it may do because everyone may", "Standing"))], &[BAD, MISSING, STALLED])),
        "/status": get(operation("getStatus", "node", "How the node and the network do, as seen from here", vec![],
            &[(200, json_answer("the status", "Status"))], &[STALLED])),
        "/health": get(operation("getHealth", "node", "Whether records become final", vec![],
            &[(200, json_answer("they do", "Health")), (503, json_answer("they do not; the cause is named", "Health"))], &[])),
        "/metrics": get(operation("getMetrics", "node", "Metrics in Prometheus' text format", vec![],
            &[(200, answer("the metrics", "text/plain", json!({"type": "string"})))], &[(404, "metrics are turned off"), STALLED])),
        "/openapi.json": get(operation("getOpenApi", "node", "This description", vec![],
            &[(200, answer("the description", "application/json", json!({"type": "object"})))], &[])),
    })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties})
}

fn schemas() -> Value {
    let text = || json!({"type": "string"});
    let hash = || json!({"type": "string", "pattern": "^0x[0-9a-f]{64}$"});
    let device = || json!({"type": "string", "pattern": "^0x[0-9a-f]{40}$"});
    let maybe = |kind: &str| json!({"type": [kind, "null"]});
    let list = |name: &str| json!({"type": "array", "items": schema(name)});
    let roles = || json!({"type": "array", "items": {"type": "string", "enum": Roles::from_bits(u16::MAX).names().collect::<Vec<_>>()}});
    json!({
        "Problem": object(&["type", "title", "status", "code", "detail"], json!({
            "type": text(), "title": text(), "status": unsigned(),
            "code": {"type": "string", "description": "a short name for programs"},
            "detail": {"type": "string", "description": "what is wrong and what to do"},
        })),
        "Outcome": object(&["id", "status"], json!({
            "id": hash(), "status": {"type": "string", "enum": ["accepted", "final", "rejected"]},
            "device": device(), "stream": text(), "stream_id": hash(), "sequence": unsigned(),
            "sequences": {"type": "array", "items": unsigned()},
            "block": unsigned(), "position": unsigned(), "appended": unsigned(), "duplicates": unsigned(),
            "protocol": text(), "epoch": unsigned(), "proposal": hash(), "votes": unsigned(), "needed": unsigned(),
            "began": maybe("integer"),
            "subject": device(), "round": unsigned(), "roles": roles(), "approves": {"type": "boolean"},
            "motion": hash(), "decided": {"type": "boolean"},
            "reason": text(), "code": text(), "links": {"type": "object", "properties": {"status": text()}},
        })),
        "Reading": object(&["sequence", "time_ms", "content_type", "encoding", "payload", "position", "block", "block_time_ms", "record"], json!({
            "sequence": unsigned(), "time_ms": {"type": "integer", "description": "the device's clock"},
            "content_type": text(), "encoding": {"type": "string", "enum": ["json", "cbor", "text", "base64"]},
            "payload": {"description": "the decoded value, or text"}, "position": unsigned(), "block": unsigned(),
            "block_time_ms": unsigned(), "record": hash(),
        })),
        "Readings": object(&["readings", "next"], json!({"readings": list("Reading"), "next": maybe("integer")})),
        "Stream": object(&["name", "stream_id", "owner", "length", "root", "first_sequence", "last_sequence", "missing"], json!({
            "name": text(), "stream_id": hash(), "owner": device(), "length": unsigned(), "root": hash(),
            "first_sequence": unsigned(), "last_sequence": unsigned(), "missing": unsigned(),
            "latest": {"oneOf": [schema("Reading"), {"type": "null"}]},
        })),
        "Streams": object(&["streams", "next"], json!({"streams": list("Stream"), "next": maybe("string")})),
        "Device": object(&["device", "name", "algorithm", "public_key", "block"], json!({
            "device": device(), "name": text(), "algorithm": {"type": "string", "enum": ["ed25519", "p256", "secp256k1"]},
            "public_key": text(), "description": maybe("string"), "block": unsigned(),
        })),
        "Devices": object(&["devices", "next"], json!({"devices": list("Device"), "next": maybe("string")})),
        "Block": object(&["height", "hash", "parent", "time_ms", "transactions", "readings"], json!({
            "height": unsigned(), "hash": hash(), "parent": hash(), "slot": unsigned(), "time_ms": unsigned(),
            "transactions": unsigned(), "readings": unsigned(), "state_root": hash(), "transactions_root": hash(),
            "receipts_root": hash(), "history_root": hash(),
            "totals": {"type": "object", "properties": {"devices": unsigned(), "streams": unsigned(), "readings": unsigned()}},
        })),
        "Epoch": object(&["number", "protocol", "base_slot", "block", "time_ms"], json!({
            "number": unsigned(), "protocol": text(), "base_slot": unsigned(), "block": unsigned(), "time_ms": unsigned(),
        })),
        "Proposal": object(&["id", "protocol", "epoch", "voters", "needed", "missing"], json!({
            "id": hash(), "protocol": text(), "epoch": unsigned(),
            "voters": {"type": "array", "items": object(&["id", "name"], json!({"id": unsigned(), "name": text()}))},
            "needed": unsigned(), "missing": unsigned(),
        })),
        "Protocol": object(&["epoch", "epochs", "proposals"], json!({
            "epoch": schema("Epoch"), "epochs": list("Epoch"), "proposals": list("Proposal"),
        })),
        "Standing": object(&["subject", "roles", "may", "round"], json!({
            "subject": device(), "roles": roles(), "may": roles(), "round": unsigned(),
        })),
        "Motion": object(&["id", "subject", "round", "roles", "now", "voters", "needed", "missing"], json!({
            "id": hash(), "subject": device(), "round": unsigned(), "roles": roles(), "now": roles(),
            "voters": {"type": "array", "items": object(&["id", "name"], json!({"id": unsigned(), "name": text()}))},
            "needed": unsigned(), "missing": unsigned(),
        })),
        "Roles": object(&["subjects", "motions", "needed", "next"], json!({
            "subjects": {"type": "array", "items": object(&["subject", "roles"], json!({"subject": device(), "roles": roles()}))},
            "motions": list("Motion"), "needed": unsigned(), "next": maybe("string"),
        })),
        "Status": object(&["version", "uptime_s", "healthy", "network"], json!({
            "version": text(), "uptime_s": unsigned(), "healthy": {"type": "boolean"}, "cause": maybe("string"),
            "network": {"type": "object"}, "gateway": maybe("object"),
        })),
        "Health": object(&["status"], json!({"status": {"type": "string", "enum": ["ok", "unhealthy"]}, "cause": text()})),
    })
}

fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Hedgerow gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Hand in signed records, ask the ledger, fetch proofs. Errors are application/problem+json.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [
            {"name": "records", "description": "what comes in"},
            {"name": "ledger", "description": "what is final"},
            {"name": "node", "description": "how this node does"},
        ],
        "paths": paths(),
        "components": {"schemas": schemas()},
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::http::routes::ROUTES;

    #[test]
    fn every_route_is_described_and_every_description_has_a_route() {
        let routes: BTreeSet<(String, String)> = ROUTES
            .iter()
            .map(|(method, path)| ((*method).to_owned(), (*path).to_owned()))
            .collect();
        let document = document();
        let mut described = BTreeSet::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                described.insert((method.clone(), path.clone()));
                let named: BTreeSet<&str> = operation["parameters"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|parameter| parameter["in"] == "path")
                    .map(|parameter| parameter["name"].as_str().unwrap())
                    .collect();
                let in_path: BTreeSet<&str> = path
                    .split('/')
                    .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                    .collect();
                assert_eq!(named, in_path, "{method} {path}");
            }
        }
        assert_eq!(routes, described);
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(fields) => {
                    if let Some(Value::String(target)) = fields.get("$ref") {
                        found.insert(target.clone());
                    }
                    fields.values().for_each(|value| walk(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = BTreeSet::new();
        walk(&document, &mut found);
        assert!(found.len() > 5);
        for target in found {
            assert!(
                document.pointer(target.trim_start_matches('#')).is_some(),
                "{target}"
            );
        }
    }
}
