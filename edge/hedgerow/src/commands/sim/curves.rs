//! `hedgerow sim --plot`: latency against throughput, as data and as pictures.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, Result};
use hedgerow_base::Roster;
use hedgerow_subjects::{Payload, Point, Sweep, Swept, sweep};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    output::Output,
    plot::{self, Curve, Picture},
};

/// Does the runs of `wanted`, and writes what came of them into `dir`.
pub(super) fn draw(wanted: &Sweep, dir: &Path, output: Output) -> Result<ExitCode> {
    Roster::new(wanted.replicas).context("--replicas")?;
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(
        ProgressStyle::with_template("{wide_bar} {pos}/{len} runs, {eta} left")?,
    );
    let swept = sweep(wanted, &|done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })
    .context("--protocol")?;
    bar.finish_and_clear();
    write(&swept, wanted, dir)?;
    output.tell(words(&swept, dir).trim_end(), &swept);
    Ok(if swept.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// The data, and a picture for each payload.
fn write(swept: &Swept, wanted: &Sweep, dir: &Path) -> Result<()> {
    let csv = dir.join("latency-throughput.csv");
    let mut table = csv::Writer::from_path(&csv).with_context(|| csv.display().to_string())?;
    for point in &swept.points {
        table.serialize(point)?;
    }
    table.flush()?;
    let json = dir.join("latency-throughput.json");
    let text = serde_json::to_string_pretty(swept)? + "\n";
    fs::write(&json, text).with_context(|| json.display().to_string())?;
    for payload in &wanted.payloads {
        let name = format!(
            "latency-throughput-{}-{}",
            payload.request_kib, payload.reply_kib
        );
        plot::write(&picture(swept, wanted, *payload), dir, &name)?;
    }
    Ok(())
}

fn picture(swept: &Swept, wanted: &Sweep, payload: Payload) -> Picture {
    let curve = |protocol: &String| Curve {
        name: protocol.clone(),
        points: swept
            .points
            .iter()
            .filter(|point| point.protocol == *protocol && point.payload == payload.to_string())
            .filter(|point| point.answers > 0)
            .map(|point| (point.throughput_per_s, point.latency_mean_ms))
            .collect(),
    };
    let f = (wanted.replicas.saturating_sub(1)) / 3;
    let clients: Vec<_> = wanted.clients.iter().map(u32::to_string).collect();
    Picture {
        title: format!(
            "{payload} KiB (request/reply), n = {}, f = {f}: the simulator's cost model",
            wanted.replicas
        ),
        notes: vec![format!(
            "closed loop, clients: {}; {}; not a measurement of machines",
            clients.join(", "),
            if wanted.disk {
                "log on disk"
            } else {
                "log in memory"
            }
        )],
        curves: wanted.protocols.iter().map(curve).collect(),
    }
}

fn words(swept: &Swept, dir: &Path) -> String {
    let mut words = String::new();
    for condition in &swept.conditions {
        words += &format!("{condition}\n");
    }
    words += &format!(
        "\n{:<8} {:<9} {:>7} {:>11} {:>9} {:>9} {:>9} {:>5} {:>5} {:>8}\n",
        "payload",
        "protocol",
        "clients",
        "requests/s",
        "mean ms",
        "p50 ms",
        "p99 ms",
        "cpu %",
        "net %",
        "MACs/req"
    );
    for Point {
        payload,
        protocol,
        clients,
        throughput_per_s,
        latency_mean_ms,
        latency_p50_ms,
        latency_p99_ms,
        processor_percent,
        network_percent,
        macs_per_request,
        ..
    } in &swept.points
    {
        words += &format!(
            "{payload:<8} {protocol:<9} {clients:>7} {throughput_per_s:>11.0} {latency_mean_ms:>9.3} {latency_p50_ms:>9.3} \
             {latency_p99_ms:>9.3} {processor_percent:>5.0} {network_percent:>5.0} {macs_per_request:>8.2}\n"
        );
    }
    for failure in &swept.violations {
        words += &format!("seed {}: {}\n", failure.seed, failure.violation);
        words += &format!("  replay: {}\n", failure.replay);
    }
    words + &format!("\nwritten to {}", dir.display())
}
