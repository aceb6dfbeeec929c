use std::{
    fs::{self, File, OpenOptions},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::site::{Node, Site};
use crate::client::Client;

/// How long a node may take to answer after its start.
const START: Duration = Duration::from_secs(30);

/// How long a node may take to stop.
const STOP: Duration = Duration::from_secs(10);

/// How long a node that was killed stays away, so that one can watch the others go on.
const AWAY: Duration = Duration::from_secs(10);

/// The nodes' processes. Each is in a group of its own, so that Ctrl-C reaches only the devnet, and stops by itself
/// when the devnet is no more.
pub(crate) struct Children {
    program: PathBuf,
    children: Vec<OneChild>,
    failed: bool,
}

struct OneChild {
    node: Node,
    process: Option<Child>,
    /// When to start it again.
    again: Option<Instant>,
}

impl Children {
    /// Starts a process per member, and waits until each one answers.
    pub(crate) fn start(site: &Site) -> Result<Self> {
        let program = std::env::current_exe().context("can't find this program's own file")?;
        let mut children = Self {
            program,
            children: Vec::new(),
            failed: false,
        };
        for node in site.nodes() {
            let process = spawn(&children.program, node)?;
            children.children.push(OneChild {
                node: node.clone(),
                process: Some(process),
                again: None,
            });
        }
        children.wait_until_they_answer()?;
        Ok(children)
    }

    fn wait_until_they_answer(&mut self) -> Result<()> {
        let end = Instant::now() + START;
        for child in &mut self.children {
            let client = Client::new(&format!("http://{}", child.node.http))?
                .impatient(Duration::from_secs(1));
            while client.get::<serde_json::Value>("/status").is_err() {
                if let Some(status) = child
                    .process
                    .as_mut()
                    .map(Child::try_wait)
                    .transpose()?
                    .flatten()
                {
                    bail!(
                        "{} did not start: {status}\n{}",
                        child.node.name,
                        last_words(&child.node.log)
                    );
                }
                if Instant::now() > end {
                    bail!(
                        "{} does not answer at {}\n{}",
                        child.node.name,
                        client.url(),
                        last_words(&child.node.log)
                    );
                }
                thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    /// Whether a node died by itself.
    pub(crate) const fn failed(&self) -> bool {
        self.failed
    }

    /// Looks after the nodes: says who died, and starts again who was away long enough.
    pub(crate) fn look(&mut self) -> Result<Vec<String>> {
        let mut news = Vec::new();
        for child in &mut self.children {
            let name = &child.node.name;
            if let Some(status) = child
                .process
                .as_mut()
                .map(Child::try_wait)
                .transpose()?
                .flatten()
            {
                child.process = None;
                child.again = Some(Instant::now() + AWAY);
                let away = AWAY.as_secs();
                if was_killed(status) {
                    news.push(format!(
                        "{name} was killed. It starts again in {away} s: watch the others go on"
                    ));
                } else {
                    self.failed = true;
                    news.push(format!(
                        "{name} DIED ({status}). It starts again in {away} s\n{}",
                        last_words(&child.node.log)
                    ));
                }
            }
            if child.again.is_some_and(|again| again <= Instant::now()) {
                child.again = None;
                child.process = Some(spawn(&self.program, &child.node)?);
                news.push(format!("{name} starts again, and catches up"));
            }
        }
        Ok(news)
    }

    /// The process of a node, if it runs.
    pub(crate) fn pid(&self, name: &str) -> Option<u32> {
        self.children
            .iter()
            .find(|child| child.node.name == name)?
            .process
            .as_ref()
            .map(Child::id)
    }

    /// Asks the nodes to stop, waits, and kills those that don't. Says which those were.
    pub(crate) fn stop(&mut self) -> Vec<String> {
        let mut stubborn = Vec::new();
        // The gateway first: it takes nothing in that the validators would not order any more.
        for child in self.children.iter_mut().rev() {
            child.again = None;
            if let Some(process) = &mut child.process {
                terminate(process);
            }
        }
        let end = Instant::now() + STOP;
        for child in &mut self.children {
            let Some(mut process) = child.process.take() else {
                continue;
            };
            loop {
                match process.try_wait() {
                    Ok(Some(status)) => {
                        self.failed |= !status.success() && !was_killed(status);
                        break;
                    }
                    Ok(None) if Instant::now() < end => thread::sleep(Duration::from_millis(20)),
                    _ => {
                        let _ = process.kill();
                        let _ = process.wait();
                        stubborn.push(child.node.name.clone());
                        break;
                    }
                }
            }
        }
        stubborn
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.stop();
    }
}

fn terminate(process: &Child) {
    let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself just now.
        let _ = kill_process(pid, Signal::TERM);
    }
}

/// Whether somebody ended it from outside, as opposed to a crash.
fn was_killed(status: ExitStatus) -> bool {
    let asked = [Signal::KILL, Signal::TERM, Signal::INT].map(Signal::as_raw);
    status
        .signal()
        .is_some_and(|signal| asked.contains(&signal))
}

fn spawn(program: &Path, node: &Node) -> Result<Child> {
    let log =
        log(&node.log).with_context(|| format!("{}: can't write the log", node.log.display()))?;
    Command::new(program)
        .args(["node", "--stop-with-stdin", "--config"])
        .arg(&node.config)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .with_context(|| format!("can't start {}", node.name))
}

fn log(file: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(file)
}

/// The last lines of a log, indented.
fn last_words(log: &Path) -> String {
    let text = fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(8).collect();
    let tail: Vec<_> = lines
        .iter()
        .rev()
        .map(|line| format!("    {line}"))
        .collect();
    format!("  its log, {}, ends:\n{}", log.display(), tail.join("\n"))
}
