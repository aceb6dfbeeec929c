use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::Http;

/// How long a question to a node may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// A network of processes on this machine, made by `hedgerow init`.
#[derive(Debug)]
pub struct Network {
    /// Its folder.
    pub dir: PathBuf,
    /// The program.
    pub hedgerow: PathBuf,
    /// Validators first.
    pub members: Vec<Member>,
    /// How many of the members are validators.
    pub validators: usize,
}

/// A member and, when it runs, its process.
#[derive(Debug)]
pub struct Member {
    /// As the genesis has it.
    pub name: String,
    /// Its config.
    pub config: PathBuf,
    /// Its HTTP interface.
    pub http: Http,
    /// A gateway's broker.
    pub mqtt: Option<SocketAddr>,
    /// The URL of a gateway's JSON-RPC.
    pub rpc: Option<String>,
    child: Option<Child>,
    /// When the process was last started.
    pub started: Instant,
}

impl Network {
    /// Makes a network with one gateway and the ordering protocol `consensus` in `dir`, on ports that are free now. Nothing runs yet.
    ///
    /// # Errors
    /// When `hedgerow init` fails.
    pub fn make(hedgerow: &Path, dir: &Path, validators: usize, consensus: &str) -> Result<Self> {
        let port = free_ports()?.to_string();
        let output = Command::new(hedgerow)
            .args([
                "init",
                "--json",
                "--test-accounts",
                "--base-port",
                &port,
                "--validators",
                &validators.to_string(),
                "--consensus",
                consensus,
            ])
            .arg("--dir")
            .arg(dir)
            .output()
            .context("hedgerow init could not be started")?;
        ensure!(
            output.status.success(),
            "hedgerow init: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let made: Value = serde_json::from_slice(&output.stdout).context("hedgerow init --json")?;
        let members = made["members"]
            .as_array()
            .context("hedgerow init --json: members")?;
        let members = members.iter().map(Member::of).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            dir: dir.to_path_buf(),
            hedgerow: hedgerow.to_path_buf(),
            members,
            validators,
        })
    }

    /// Starts a member's process. What it prints is added to `NAME.log` in the network's folder.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn start(&mut self, member: usize) -> Result<()> {
        let member = &mut self.members[member];
        if member.runs() {
            return Ok(());
        }
        let log = self.dir.join(format!("{}.log", member.name));
        let log = File::options().create(true).append(true).open(log)?;
        let child = Command::new(&self.hedgerow)
            .args(["node", "--config"])
            .arg(&member.config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{} could not be started", member.name))?;
        member.child = Some(child);
        member.started = Instant::now();
        Ok(())
    }

    /// Starts every member and waits until the network goes on with all of them. (A validator that starts late, when
    /// the others have blocks already, is one of those that may fail until it has caught up.)
    ///
    /// # Errors
    /// When one can't be started, or the network does not go on within a minute.
    pub fn start_all(&mut self) -> Result<()> {
        for member in 0..self.members.len() {
            self.start(member)?;
        }
        let begin = Instant::now();
        while !self
            .members
            .iter()
            .all(|member| member.status().is_ok_and(|s| s["healthy"] == true))
        {
            if begin.elapsed() > Duration::from_secs(60) {
                let all: Vec<_> = self.members.iter().map(Member::status).collect();
                bail!("the network does not go on: {all:?}");
            }
            self.check_running()?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// A process that ended by itself is an error: these are told to run until they are killed.
    ///
    /// # Errors
    /// Names the member that ended, and where its log is.
    pub fn check_running(&mut self) -> Result<()> {
        for member in &mut self.members {
            if let Some(child) = &mut member.child
                && let Some(status) = child.try_wait()?
            {
                let log = self.dir.join(format!("{}.log", member.name));
                bail!(
                    "{} ended by itself with {status}: see {}",
                    member.name,
                    log.display()
                );
            }
        }
        Ok(())
    }

    /// The gateway.
    #[must_use]
    pub fn gateway(&self) -> &Member {
        &self.members[self.validators]
    }

    /// How many validators may fail.
    #[must_use]
    pub const fn tolerated(&self) -> usize {
        (self.validators - 1) / 3
    }

    /// The greatest height that a running validator has.
    #[must_use]
    pub fn height(&self) -> u64 {
        let heights = self.members[..self.validators]
            .iter()
            .filter_map(Member::height);
        heights.max().unwrap_or_default()
    }

    /// Runs a command of the program, as somebody at a terminal would.
    ///
    /// # Errors
    /// When it does not succeed.
    pub fn command(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.hedgerow)
            .args(arguments)
            .env("HEDGEROW_NODE", self.gateway().http.url())
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!(
                "hedgerow {}: {}\n{text}{said}",
                arguments.join(" "),
                output.status
            );
        }
        Ok(text)
    }
}

impl Member {
    fn of(made: &Value) -> Result<Self> {
        let text = |key: &str| {
            let value = made[key].as_str();
            value.with_context(|| format!("hedgerow init --json: a member without {key}: {made}"))
        };
        let config = PathBuf::from(text("config")?);
        Ok(Self {
            name: text("name")?.to_owned(),
            config: config
                .canonicalize()
                .with_context(|| config.display().to_string())?,
            http: Http::new(text("http")?, PATIENCE),
            mqtt: made["mqtt"].as_str().map(str::parse).transpose()?,
            rpc: made["rpc"].as_str().map(str::to_owned),
            child: None,
            started: Instant::now(),
        })
    }

    /// Whether its process runs, as far as this one knows.
    #[must_use]
    pub const fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Its process.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// `kill -9`: the process has no say. Waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Everything that it stores: beside its config, as `hedgerow init` writes it.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.config.with_file_name("data")
    }

    /// `/status`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> Result<Value> {
        self.http.json("/status")
    }

    /// The newest block that it has.
    #[must_use]
    pub fn height(&self) -> Option<u64> {
        if !self.runs() {
            return None;
        }
        self.status().ok()?["network"]["head_height"].as_u64()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure.
        let _ = self.kill();
    }
}

/// A base port from which on all the ports are free that `init` gives five members.
fn free_ports() -> Result<u16> {
    let first = 10_000 + (std::process::id() % 28) as u16 * 700;
    for base in (first..30_000).chain(10_000..first).step_by(700) {
        let ports = (0..8).flat_map(|member| [0, 200, 400, 600].map(|kind| base + kind + member));
        if ports
            .into_iter()
            .all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        {
            return Ok(base);
        }
    }
    bail!("no free ports between 10,000 and 30,000")
}

/// Copies a folder with everything in it; `to` is replaced.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to)?;
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_what_the_folder_has_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("inner")).unwrap();
        fs::create_dir_all(&to).unwrap();
        fs::write(from.join("inner/file"), "new").unwrap();
        fs::write(to.join("old"), "old").unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("inner/file")).unwrap(), "new");
        assert!(!to.join("old").exists());
    }
}
