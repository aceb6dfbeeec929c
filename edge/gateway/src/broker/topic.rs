//! Topic names and filters (MQTT 5 §4.7, §4.8.2).

/// Whether `name` may be published to: not empty, no wildcard ([MQTT-4.7.1-1], [MQTT-4.7.3-1]).
#[must_use]
pub fn is_name(name: &str, levels_max: usize) -> bool {
    !name.is_empty() && !name.contains(['+', '#', '\0']) && name.split('/').count() <= levels_max
}

/// A topic filter that may be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter<'a> {
    /// The share name of `$share/NAME/pattern`.
    pub share: Option<&'a str>,
    /// What topic names are compared with.
    pub pattern: &'a str,
}

impl<'a> Filter<'a> {
    /// The filter in `text`, or what is wrong with it.
    ///
    /// # Errors
    /// When a wildcard does not stand alone in its level, `#` is not last ([MQTT-4.7.1-1], [MQTT-4.7.1-2]), the
    /// filter is empty, or the share name is empty or has a wildcard ([MQTT-4.8.2-1], [MQTT-4.8.2-2]).
    pub fn parse(text: &'a str, levels_max: usize) -> Result<Self, &'static str> {
        let (share, pattern) = match text.strip_prefix("$share/") {
            None => (None, text),
            Some(rest) => {
                let (name, pattern) = rest
                    .split_once('/')
                    .ok_or("a shared subscription is $share/NAME/FILTER")?;
                if name.is_empty() || name.contains(['+', '#']) {
                    return Err("the share name is empty or has a wildcard");
                }
                (Some(name), pattern)
            }
        };
        if pattern.is_empty() {
            return Err("the topic filter is empty");
        }
        let mut levels = pattern.split('/').peekable();
        let mut count = 0;
        while let Some(level) = levels.next() {
            count += 1;
            if level.len() > 1 && level.contains(['+', '#']) {
                return Err("a wildcard must stand alone in its level");
            }
            if level == "#" && levels.peek().is_some() {
                return Err("# must be the last level");
            }
        }
        if count > levels_max {
            Err("the topic filter has too many levels")
        } else {
            Ok(Self { share, pattern })
        }
    }
}

/// Whether the topic name is matched by the pattern; a leading wildcard does not match `$…` ([MQTT-4.7.2-1]).
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('$') && pattern.starts_with(['+', '#']) {
        return false;
    }
    let mut names = name.split('/');
    for level in pattern.split('/') {
        if level == "#" {
            return true;
        }
        match names.next() {
            Some(there) if level == "+" || level == there => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_section_4_7_1_says() {
        for (pattern, name, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            (
                "sport/tennis/player1/#",
                "sport/tennis/player1/ranking",
                true,
            ),
            ("sport/#", "sport", true),
            ("#", "a/b", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("ACCOUNTS", "Accounts", false),
            ("a", "/a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    /// [MQTT-4.7.2-1]
    #[test]
    fn a_leading_wildcard_does_not_match_a_dollar_topic() {
        assert!(!matches("#", "$SYS/x"));
        assert!(!matches("+/monitor/Clients", "$SYS/monitor/Clients"));
        assert!(matches("$SYS/#", "$SYS/x"));
        assert!(matches("$SYS/monitor/+", "$SYS/monitor/Clients"));
    }

    /// [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.8.2-1], [MQTT-4.8.2-2]
    #[test]
    fn filters_are_checked() {
        for good in [
            "#",
            "+",
            "a/+/b/#",
            "/",
            "+/tennis/#",
            "$share/g/a/+",
            "a//b",
        ] {
            assert!(Filter::parse(good, 8).is_ok(), "{good}");
        }
        for bad in [
            "",
            "sport/tennis#",
            "sport/#/ranking",
            "sport+",
            "$share/g",
            "$share//a",
            "$share/+/a",
            "$share/g/",
        ] {
            assert!(Filter::parse(bad, 8).is_err(), "{bad}");
        }
        assert!(Filter::parse("a/b/c", 2).is_err());
        assert_eq!(
            Filter::parse("$share/g/a/b", 8),
            Ok(Filter {
                share: Some("g"),
                pattern: "a/b"
            })
        );
    }
}
