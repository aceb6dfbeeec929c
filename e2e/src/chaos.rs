use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};

use crate::{Network, Recovery, network::copy};

/// How long a validator with an empty or an old disk may take to take full part again.
const REJOIN: Duration = Duration::from_secs(60);

/// Something that befalls the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Blow {
    /// One process is killed.
    One,
    /// Some are, perhaps more than may fail at a time.
    Several,
    /// All are, at once.
    All,
    /// A validator's disk is lost.
    Wipe,
    /// A validator's disk is replaced by an older copy.
    Restore,
}

/// Kills processes at random, and brings them back.
pub struct Chaos {
    rng: StdRng,
    /// The validator that was given an empty or old disk and has not caught up yet, with the height that it must
    /// reach, and since when. Only one at a time: it is one of the f that may be faulty.
    rejoining: Option<(usize, u64, Instant)>,
    /// Older copies of validators' disks.
    copies: Vec<Option<PathBuf>>,
    report: Report,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Processes killed.
    pub kills: usize,
    /// Disks wiped.
    pub wipes: usize,
    /// Disks replaced by an older copy.
    pub restores: usize,
    /// Times at which fewer than a quorum ran.
    pub outages: usize,
    /// How long the network took to go on after an outage.
    pub after_outages: Recovery,
    /// How long it took to go on when a quorum had stayed.
    pub meanwhile: Recovery,
    /// How long validators took to catch up with an empty or old disk, at most.
    pub longest_rejoin: Duration,
}

impl Chaos {
    /// With choices that follow from the seed.
    #[must_use]
    pub fn new(seed: u64, validators: usize) -> Self {
        Self {
            rng: StdRng::seed_from_u64(seed),
            rejoining: None,
            copies: vec![None; validators],
            report: Report::default(),
        }
    }

    /// Goes on until that many processes have been killed and all run again.
    ///
    /// # Errors
    /// When the network does not go on, or a validator does not catch up.
    pub fn run(mut self, network: &mut Network, kills: usize) -> Result<Report> {
        while self.report.kills < kills {
            self.rejoined(network)?;
            let blow = self.choose();
            self.strike(network, blow)?;
            let pause = self.rng.random_range(100..1500);
            thread::sleep(Duration::from_millis(pause));
        }
        while self.rejoining.is_some() {
            self.rejoined(network)?;
            thread::sleep(Duration::from_millis(100));
        }
        Ok(self.report)
    }

    fn choose(&mut self) -> Blow {
        match self.rng.random_range(0..100) {
            0..50 => Blow::One,
            50..68 => Blow::Several,
            68..76 => Blow::All,
            76..88 if self.rejoining.is_none() => Blow::Wipe,
            88.. if self.rejoining.is_none() => Blow::Restore,
            _ => Blow::One,
        }
    }

    fn victims(&mut self, network: &Network, blow: Blow) -> Vec<usize> {
        let members = network.members.len();
        match blow {
            Blow::One => vec![self.rng.random_range(0..members)],
            Blow::Several => {
                let mut all: Vec<usize> = (0..members).collect();
                all.shuffle(&mut self.rng);
                all.truncate(self.rng.random_range(2..members));
                all
            }
            Blow::All => (0..members).collect(),
            Blow::Wipe => vec![self.rng.random_range(0..network.validators)],
            Blow::Restore => {
                let with_copy: Vec<usize> = (0..network.validators)
                    .filter(|&v| self.copies[v].is_some())
                    .collect();
                match with_copy.len() {
                    0 => vec![self.rng.random_range(0..network.validators)],
                    count => vec![with_copy[self.rng.random_range(0..count)]],
                }
            }
        }
    }

    fn strike(&mut self, network: &mut Network, blow: Blow) -> Result<()> {
        network.check_running()?;
        let mut victims = self.victims(network, blow);
        let height = network.height();
        for &victim in &victims {
            network.members[victim].kill()?;
            self.report.kills += 1;
        }
        let outage = !self.quorum(network);
        let mut done = format!("{blow:?}").to_lowercase();
        let disk = match blow {
            Blow::Wipe => Some((victims[0], None)),
            Blow::Restore => self.copies[victims[0]]
                .take()
                .map(|copy| (victims[0], Some(copy))),
            _ => None,
        };
        match disk {
            Some((victim, copy_of)) => {
                self.replace_disk(network, victim, copy_of)?;
                self.rejoining = Some((victim, height, Instant::now()));
            }
            None => {
                if blow == Blow::Restore {
                    done = "one, and its disk is copied".to_owned();
                }
                self.maybe_copy(network, &victims, blow == Blow::Restore)?;
            }
        }
        let names: Vec<&str> = victims
            .iter()
            .map(|&v| network.members[v].name.as_str())
            .collect();
        let what = format!("{done}: {}", names.join(", "));

        let pause = self.rng.random_range(0..2000);
        thread::sleep(Duration::from_millis(pause));
        victims.shuffle(&mut self.rng);
        let mut back = Instant::now();
        for victim in victims {
            let was_enough = self.quorum(network);
            network.start(victim)?;
            if !was_enough && self.quorum(network) {
                back = network.members[victim].started;
            }
            let pause = self.rng.random_range(0..800);
            thread::sleep(Duration::from_millis(pause));
        }
        let recovery = if outage {
            self.report.outages += 1;
            &mut self.report.after_outages
        } else {
            &mut self.report.meanwhile
        };
        let time = recovery.wait(network, back);
        let time = time.with_context(|| format!("after {what}"))?;
        println!(
            "{:4} killed  block {:6}  +{:5.2} s  {what}",
            self.report.kills,
            network.height(),
            time.as_secs_f64()
        );
        Ok(())
    }

    /// Whether the gateway and enough validators run that remember what they said.
    fn quorum(&self, network: &Network) -> bool {
        let validators = &network.members[..network.validators];
        let running = validators.iter().filter(|member| member.runs()).count();
        let forgetful = self
            .rejoining
            .iter()
            .filter(|(v, ..)| validators[*v].runs())
            .count();
        let needed = network.validators - network.tolerated();
        network.gateway().runs() && (running - forgetful >= needed || running == network.validators)
    }

    fn replace_disk(
        &mut self,
        network: &Network,
        victim: usize,
        copy_of: Option<PathBuf>,
    ) -> Result<()> {
        let data = network.members[victim].data();
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        match copy_of {
            None => self.report.wipes += 1,
            Some(older) => {
                copy(&older, &data)?;
                self.report.restores += 1;
            }
        }
        Ok(())
    }

    /// Keeps a copy of a killed validator's disk now and then, for later.
    fn maybe_copy(&mut self, network: &Network, victims: &[usize], surely: bool) -> Result<()> {
        for &victim in victims
            .iter()
            .filter(|&&victim| victim < network.validators)
        {
            let remembers = self.rejoining.is_none_or(|(v, ..)| v != victim);
            if remembers && (surely || self.rng.random_ratio(1, 4)) {
                let data = network.members[victim].data();
                let older = data.with_file_name("older-copy");
                if data.exists() {
                    copy(&data, &older)?;
                    self.copies[victim] = Some(older);
                }
            }
        }
        Ok(())
    }

    /// Looks whether the validator with an empty or old disk has caught up.
    fn rejoined(&mut self, network: &Network) -> Result<()> {
        let Some((validator, height, since)) = self.rejoining else {
            return Ok(());
        };
        let member = &network.members[validator];
        if member.height().is_some_and(|has| has >= height) {
            self.report.longest_rejoin = self.report.longest_rejoin.max(since.elapsed());
            self.rejoining = None;
        } else if member.runs() && member.started.elapsed() > REJOIN {
            bail!(
                "{} has not caught up with block {height} after {REJOIN:?}: it is at {:?}",
                member.name,
                member.height()
            );
        }
        Ok(())
    }
}
