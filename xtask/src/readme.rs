//! The README's commands do what it says: each block fenced as `sh test` is run, in order, in an empty folder, with the
//! released `hedgerow` on the PATH.

use std::{
    env, fs,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::toolbox;

/// How a block to be run is fenced.
const FENCE: &str = "```sh test";

/// How long a block may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs the README's blocks.
///
/// # Errors
/// When there is none, or when one does not succeed in time.
pub(crate) fn run() -> Result<()> {
    let text = fs::read_to_string(toolbox::root().join("README.md"))?;
    let blocks = blocks(&text)?;
    ensure!(
        !blocks.is_empty(),
        "README.md has no block fenced as `sh test`"
    );
    let hedgerow = toolbox::build_release()?;
    let folder = env::temp_dir().join(format!("hedgerow-readme-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let mut groups = Vec::new();
    let outcome = blocks
        .iter()
        .try_for_each(|block| run_block(block, &folder, &hedgerow, &mut groups));
    // What a block has left in the background ends with the run.
    for group in groups {
        let _ = Command::new("kill")
            .args(["-KILL", "--", &format!("-{group}")])
            .stderr(Stdio::null())
            .status();
    }
    match &outcome {
        Ok(()) => fs::remove_dir_all(&folder)?,
        Err(_) => eprintln!("README.md: what the blocks left is in {}", folder.display()),
    }
    outcome
}

/// A block and the line of the README on which it begins.
#[derive(Debug, PartialEq, Eq)]
struct Block {
    line: usize,
    script: String,
}

fn blocks(text: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match &mut open {
            None if line.trim_end() == FENCE => {
                open = Some(Block {
                    line: index + 2,
                    script: String::new(),
                });
            }
            None => {}
            Some(_) if line.starts_with("```") => blocks.extend(open.take()),
            Some(block) => {
                block.script.push_str(line);
                block.script.push('\n');
            }
        }
    }
    match open {
        Some(block) => bail!("README.md:{}: the block has no end", block.line),
        None => Ok(blocks),
    }
}

fn run_block(block: &Block, folder: &Path, hedgerow: &Path, groups: &mut Vec<u32>) -> Result<()> {
    println!("README.md:{}:\n{}", block.line, block.script.trim_end());
    let bin = hedgerow.parent().context("the program has a folder")?;
    let path = env::var("PATH").unwrap_or_default();
    let mut child = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &block.script])
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", bin.display()))
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .context("bash could not be started")?;
    groups.push(child.id());
    match wait(&mut child)? {
        Some(true) => Ok(()),
        Some(false) => bail!("README.md:{}: the block failed", block.line),
        None => {
            child.kill()?;
            child.wait()?;
            bail!(
                "README.md:{}: the block took more than {PATIENCE:?}",
                block.line
            )
        }
    }
}

/// Whether it succeeded; nothing when it still runs after the time it has.
fn wait(child: &mut Child) -> Result<Option<bool>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if start.elapsed() > PATIENCE {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_marked_blocks_are_run() {
        let text = "a\n```sh\nno\n```\n```sh test\none\ntwo\n```\n```\nno\n```\n";
        let found = blocks(text).unwrap();
        assert_eq!(
            found,
            [Block {
                line: 6,
                script: "one\ntwo\n".to_owned()
            }]
        );
        assert!(blocks("```sh test\nx").is_err());
    }

    #[test]
    fn a_block_can_fail() {
        let folder = tempfile::tempdir().unwrap();
        let block = |script: &str| Block {
            line: 1,
            script: script.to_owned(),
        };
        let run = |script| {
            let program = Path::new("/bin/hedgerow");
            run_block(&block(script), folder.path(), program, &mut Vec::new())
        };
        assert!(run("true").is_ok());
        assert!(run("false; true").is_err());
        assert!(run("false | cat").is_err());
        assert!(run("echo $nothing").is_err());
    }
}
