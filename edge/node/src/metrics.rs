//! The node's own numbers, in Prometheus' text format, behind those of the gateway.

use std::{fmt::Write, sync::Arc};

use hedgerow_gateway::MetricsText;

use crate::network::Member;

/// Adds the node's numbers to what `/metrics` shows; they are read when they are asked for.
pub(crate) fn with_node(text: MetricsText, member: Arc<Member>) -> MetricsText {
    Arc::new(move || {
        let mut all = text();
        append(&mut all, &member);
        all
    })
}

fn append(all: &mut String, member: &Member) {
    let stats = member.participant.stats();
    let snapshot = member.participant.snapshot();
    let counters = [
        (
            "ordering_inputs_total",
            "inputs of the ordering protocol's participant",
            stats.inputs,
        ),
        (
            "ordering_messages_in_total",
            "messages admitted",
            stats.messages_in,
        ),
        (
            "ordering_rejected_total",
            "frames that were not admitted",
            stats.rejected,
        ),
        (
            "ordering_messages_out_total",
            "messages sealed",
            stats.messages_out,
        ),
        (
            "ordering_bytes_out_total",
            "payload bytes handed to the transport",
            stats.bytes_out,
        ),
        (
            "ordering_undelivered_total",
            "frames that no session took",
            stats.undelivered,
        ),
        (
            "ordering_log_records_total",
            "records appended to the log",
            stats.records,
        ),
        (
            "ordering_log_bytes_total",
            "their bytes",
            stats.record_bytes,
        ),
        (
            "ordering_log_syncs_total",
            "commits of the log",
            stats.syncs,
        ),
        (
            "ordering_log_sync_nanoseconds_total",
            "time spent in them",
            stats.sync_nanos,
        ),
        (
            "ordering_view_changes_total",
            "views given up since the start",
            snapshot.view_changes,
        ),
    ];
    let gauges = [
        ("ordering_view", "the view", snapshot.view.0),
        (
            "ordering_decided_slot",
            "the last slot that is decided",
            snapshot.decided.0,
        ),
        (
            "ordering_executed_slot",
            "the last slot that is executed",
            snapshot.executed.0,
        ),
        (
            "ordering_stable_slot",
            "the last stable checkpoint",
            snapshot.stable.0,
        ),
        (
            "ordering_pending",
            "requests that wait",
            snapshot.pending as u64,
        ),
        (
            "ledger_certified_height",
            "the newest block with f + 1 signatures",
            member.link.certified().0,
        ),
    ];
    for (kind, values) in [("counter", &counters[..]), ("gauge", &gauges[..])] {
        for (name, help, value) in values {
            // Writing to a string does not fail.
            let _ = writeln!(
                all,
                "# HELP hedgerow_{name} {help}\n# TYPE hedgerow_{name} {kind}\nhedgerow_{name} {value}"
            );
        }
    }
    let _ = writeln!(
        all,
        "# HELP hedgerow_session_up whether there is a session with the member\n# TYPE hedgerow_session_up gauge"
    );
    for session in member.transport.status() {
        let name = member
            .genesis
            .member(session.id)
            .map_or("", |(_, member)| member.name.as_str());
        let _ = writeln!(
            all,
            "hedgerow_session_up{{member=\"{name}\"}} {}",
            u8::from(session.connected)
        );
    }
}
