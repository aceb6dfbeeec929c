//! Running the program, as its user does.
#![allow(dead_code, unreachable_pub)]

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

pub fn hedgerow(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hedgerow"))
        .args(arguments)
        .current_dir(dir)
        .env_remove("HEDGEROW_NODE")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What it says when it succeeds.
pub fn good(dir: &Path, arguments: &[&str]) -> String {
    let output = hedgerow(dir, arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// What it says when it ends with this code.
pub fn bad(dir: &Path, code: i32, arguments: &[&str]) -> String {
    let output = hedgerow(dir, arguments);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    said
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
