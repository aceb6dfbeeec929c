//! A Rust source with what is not code blanked out, so that rules can look for words.

/// `text` with comments and the contents of literals replaced by spaces. Lines stay where they are.
pub(crate) fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let length = if starts(rest, "//") {
            rest.iter().position(|&c| c == '\n').unwrap_or(rest.len())
        } else if starts(rest, "/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest, at.checked_sub(1).map(|i| chars[i])) {
            length
        } else if rest[0] == '"' {
            string(rest)
        } else if let Some(length) = character(rest) {
            length
        } else {
            out.push(rest[0]);
            at += 1;
            continue;
        };
        for &c in &rest[..length] {
            out.push(if c == '\n' { '\n' } else { ' ' });
        }
        at += length;
    }
    out
}

/// `code` (as [`code`] gives it) with every item under `#[cfg(test)]` blanked out too.
pub(crate) fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(start) = rest.find(MARK) {
        let (before, item) = rest.split_at(start);
        out.push_str(before);
        let end = MARK.len() + item_end(&item[MARK.len()..]);
        out.extend(
            item[..end]
                .chars()
                .map(|c| if c == '\n' { '\n' } else { ' ' }),
        );
        rest = &item[end..];
    }
    out.push_str(rest);
    out
}

/// The lines, numbered from 1, on which `word` occurs as a word: what is before and after it can't be part of a name.
pub(crate) fn lines_with(code: &str, word: &str) -> Vec<usize> {
    code.lines()
        .enumerate()
        .filter(|(_, line)| has_word(line, word))
        .map(|(index, _)| index + 1)
        .collect()
}

/// Whether `word` occurs in `line` as a word.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + word.len()..].chars().next();
        let open_start = !word.starts_with(part) || !before.is_some_and(part);
        let open_end = !word.ends_with(part) || !after.is_some_and(part);
        open_start && open_end
    })
}

/// Where the item at the start of `code` ends: after its body, or after its semicolon.
fn item_end(code: &str) -> usize {
    let mut depth = 0_usize;
    for (index, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index + 1;
                }
            }
            ';' if depth == 0 => return index + 1,
            _ => {}
        }
    }
    code.len()
}

fn starts(chars: &[char], text: &str) -> bool {
    text.chars()
        .enumerate()
        .all(|(i, c)| chars.get(i) == Some(&c))
}

fn block_comment(chars: &[char]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < chars.len() {
        if starts(&chars[at..], "/*") {
            depth += 1;
            at += 2;
        } else if starts(&chars[at..], "*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at.min(chars.len())
}

/// The length of a raw string, or of a raw byte or C string, that begins here.
fn raw_string(chars: &[char], before: Option<char>) -> Option<usize> {
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let prefix = if starts(chars, "br") || starts(chars, "cr") {
        2
    } else if starts(chars, "r") {
        1
    } else {
        return None;
    };
    let hashes = chars[prefix..].iter().take_while(|&&c| c == '#').count();
    let open = prefix + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let close: String = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let mut at = open + 1;
    while at < chars.len() && !starts(&chars[at..], &close) {
        at += 1;
    }
    Some((at + close.len()).min(chars.len()))
}

fn string(chars: &[char]) -> usize {
    let mut at = 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// The length of a character literal that begins here; a lifetime is none.
fn character(chars: &[char]) -> Option<usize> {
    if chars[0] != '\'' {
        return None;
    }
    if chars.get(1) == Some(&'\\') {
        let close = chars.iter().skip(3).position(|&c| c == '\'')?;
        return Some(close + 4);
    }
    (chars.get(2) == Some(&'\'')).then_some(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_lines_stay() {
        let text = "a // HashMap\nb /* x /* HashMap */ y */ c\n\"Hash\\\"Map\" r#\"Hash\"Map\"# '\\'' 'x' d\n&'a str";
        let code = code(text);
        assert_eq!(code.lines().count(), text.lines().count());
        assert!(!code.contains("Hash"));
        for kept in ["a ", "b ", " c", " d", "&'a str"] {
            assert!(code.contains(kept), "{kept:?} in {code:?}");
        }
    }

    #[test]
    fn an_item_for_tests_is_blanked_to_its_end() {
        let text = "use a;\n#[cfg(test)]\nmod tests {\n fn f() { HashMap }\n}\nfn g() {}\n#[cfg(test)]\nuse HashMap;\nfn h() {}";
        let kept = without_tests(text);
        assert!(!kept.contains("HashMap"));
        assert!(kept.contains("fn g()") && kept.contains("fn h()"));
        assert_eq!(kept.lines().count(), text.lines().count());
    }

    #[test]
    fn a_word_is_not_part_of_a_longer_one() {
        assert!(has_word("let x: HashMap<u8>", "HashMap"));
        assert!(!has_word("let x: MyHashMap", "HashMap"));
        assert!(!has_word("HashMapper", "HashMap"));
        assert!(has_word("use std::time::Instant", "std::time"));
        assert!(!has_word("std::timeless", "std::time"));
        assert_eq!(lines_with("a\nb Map\nMap", "Map"), [2, 3]);
    }
}
