//! Seeds that failed once, kept in `sim/seeds`, pass now.

use std::{collections::BTreeMap, fs, path::Path};

use hedgerow_subjects::{Request, run};
use hedgerow_world::{Mode, Options};

#[test]
fn seeds_that_failed_once_pass_now() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../seeds");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "seed") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let values: BTreeMap<_, _> = text
            .lines()
            .filter_map(|line| line.split_once(" = "))
            .collect();
        let seed: u64 = values["seed"].parse().unwrap();
        let request = Request {
            protocol: values["protocol"].to_owned(),
            seeds: seed..seed + 1,
            options: Options {
                mode: match values["mode"] {
                    "safety" => Mode::Safety,
                    "liveness" => Mode::Liveness,
                    other => panic!("{}: no mode is called {other}", path.display()),
                },
                requests: values["requests"].parse().unwrap(),
                replicas: values.get("replicas").map(|n| n.parse().unwrap()),
                attack: values.get("attack").map(|&name| name.to_owned()),
                ..Options::default()
            },
            threads: 1,
        };
        let report = run(&request, &|_| {}).unwrap();
        assert!(report.violations.is_empty(), "{}: {report}", path.display());
    }
}
