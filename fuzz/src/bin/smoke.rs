//! The fuzz targets without a guide: the kept corpus, then changes of it at random, on any compiler.
//!
//! `smoke [--seconds N] [--seed N] [NAME...]`

use std::{
    env, fs,
    path::Path,
    time::{Duration, Instant},
};

use hedgerow_fuzz::{Random, TARGETS, Target, named};

fn main() {
    let mut seconds = 10;
    let mut seed = 1;
    let mut targets: Vec<Target> = Vec::new();
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let value = arguments.next().and_then(|value| value.parse().ok());
            value.unwrap_or_else(|| panic!("{argument} needs a number"))
        };
        match argument.as_str() {
            "--seconds" => seconds = number(),
            "--seed" => seed = number(),
            name => targets.push(named(name)),
        }
    }
    if targets.is_empty() {
        targets = TARGETS.to_vec();
    }
    println!("seed {seed}, {seconds} s for each target");
    for target in targets {
        let corpus = corpus(&target);
        for input in &corpus {
            (target.run)(input);
        }
        let mut random = Random::new(seed);
        let (start, mut runs) = (Instant::now(), 0_u64);
        while start.elapsed() < Duration::from_secs(seconds) {
            let mut input = corpus[random.below(corpus.len())].clone();
            let other = &corpus[random.below(corpus.len())];
            random.mutate(&mut input, other);
            (target.run)(&input);
            runs += 1;
        }
        println!(
            "{}: {} kept inputs, {runs} changed ones",
            target.name,
            corpus.len()
        );
    }
}

/// The kept inputs, and the seeds.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let mut inputs = (target.seeds)();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name);
    let mut files: Vec<_> = fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    inputs.extend(
        files
            .iter()
            .map(|file| fs::read(file).expect("a kept input can be read")),
    );
    inputs
}
