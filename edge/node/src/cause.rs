//! Why nothing becomes final, in words.

use std::time::Duration;

use hedgerow_base::Roster;

/// A validator as this node sees it.
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) reachable: bool,
    pub(crate) silent_for: Option<Duration>,
}

/// Says who is missing when fewer validators can be reached than a quorum. `validators` are all of them, this node
/// itself included and reachable where it is one.
pub(crate) fn unreachable(roster: Roster, validators: &[Seen]) -> Option<String> {
    let missing: Vec<_> = validators.iter().filter(|one| !one.reachable).collect();
    let (n, quorum) = (roster.n(), roster.quorum());
    if n - missing.len().min(n) >= quorum {
        return None;
    }
    let last_heard: Vec<_> = missing
        .iter()
        .map(|one| match one.silent_for {
            Some(silence) => format!("{} {} ago", one.name, in_words(silence)),
            None => format!("{} never", one.name),
        })
        .collect();
    Some(format!(
        "{} of {n} validators unreachable: need {quorum}; last heard {}",
        missing.len(),
        last_heard.join(", ")
    ))
}

fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, silent_for: Option<u64>) -> Seen {
        Seen {
            name: name.into(),
            reachable: silent_for == Some(0),
            silent_for: silent_for.map(Duration::from_secs),
        }
    }

    #[test]
    fn names_the_missing_only_when_too_many_are() {
        let roster = Roster::new(4).unwrap();
        let three = [
            seen("ann", Some(0)),
            seen("bob", Some(0)),
            seen("carol", Some(12)),
            seen("dave", Some(0)),
        ];
        assert_eq!(unreachable(roster, &three), None);
        let two = [
            seen("ann", Some(0)),
            seen("bob", Some(0)),
            seen("carol", Some(12)),
            seen("dave", None),
        ];
        assert_eq!(
            unreachable(roster, &two).unwrap(),
            "2 of 4 validators unreachable: need 3; last heard carol 12 s ago, dave never"
        );
        assert!(
            unreachable(roster, &[seen("ann", Some(7_300))]).is_none(),
            "a roster of others only"
        );
    }
}
