use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;

use super::{meter::Reading, watch::NodeView};
use crate::output::Output;

/// Without a terminal, how often a line is written.
const LINES: Duration = Duration::from_secs(2);

/// Shows how the devnet does: in place on a terminal, else a line now and then.
pub(crate) struct Screen {
    output: Output,
    bars: Option<(MultiProgress, Vec<ProgressBar>)>,
    said: Option<Instant>,
}

impl Screen {
    pub(crate) fn new(output: Output) -> Self {
        let live = std::io::stdout().is_terminal() && !output.is_json();
        Self {
            output,
            bars: live.then(|| (MultiProgress::new(), Vec::new())),
            said: None,
        }
    }

    /// A line that stays.
    pub(crate) fn say(&self, line: &str) {
        match &self.bars {
            Some((bars, _)) => bars.suspend(|| self.output.say(line)),
            None => self.output.say(line),
        }
        self.output.object(&json!({ "event": line }));
    }

    pub(crate) fn show(&mut self, meter: &Reading, total: u64, nodes: &[NodeView]) {
        let block = nodes
            .iter()
            .map(|node| node.final_block.max(node.block))
            .max()
            .unwrap_or(0);
        let head = format!(
            "block {block}   {:.0} readings final/s   {} of {total} final   publish to final: p50 {:.0} ms, p99 {:.0} ms",
            meter.per_s, meter.counts.finals, meter.p50_ms, meter.p99_ms
        );
        if let Some((bars, lines)) = &mut self.bars {
            while lines.len() < nodes.len() + 1 {
                let bar = ProgressBar::new_spinner().with_style(
                    ProgressStyle::with_template("{msg}")
                        .unwrap_or_else(|_| ProgressStyle::default_spinner()),
                );
                lines.push(bars.add(bar));
            }
            let texts = [head]
                .into_iter()
                .chain(nodes.iter().map(|node| format!("  {}", node.words())));
            for (line, text) in lines.iter().zip(texts) {
                line.set_message(text);
                line.tick();
            }
            return;
        }
        if self.said.is_some_and(|said| said.elapsed() < LINES) {
            return;
        }
        self.said = Some(Instant::now());
        let states: Vec<_> = nodes.iter().map(short).collect();
        self.output
            .say(format_args!("{head}   [{}]", states.join(", ")));
        self.output
            .object(&json!({ "block": block, "readings": meter, "total": total, "nodes": nodes }));
    }

    pub(crate) fn clear(&mut self) {
        if let Some((bars, lines)) = &mut self.bars {
            lines.iter().for_each(ProgressBar::finish_and_clear);
            let _ = bars.clear();
        }
    }
}

/// A node's state for a line with all of them.
fn short(node: &NodeView) -> String {
    match (node.up, &node.cause) {
        (false, _) => format!("{} down", node.name),
        (true, Some(cause)) => format!("{} {}: {cause}", node.name, node.block),
        (true, None) if node.primary => format!("{} {} primary", node.name, node.block),
        (true, None) => format!("{} {}", node.name, node.block),
    }
}
