//! Looking through the engine's journals before it does.
//!
//! The format is that of fjall 3 (its `journal/entry.rs`), little-endian: a batch is a start (`1 · items 4 · age 8`), its
//! items (`2 · kind 1 · compression 1 · keyspace 8 · key length 2 · value length 4 · stored length 4 · key · value`, or
//! `4 · keyspace 8`), and an end (`3 · XXH3 of the items 8 · "FJL\x03"`). The rest of a file is zeros.

use std::{
    fs::{self, File},
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use hedgerow_kv::StoreError;
use xxhash_rust::xxh3::Xxh3;

use crate::mark::{KEY, MARK, Mark, Salt};

const TRAILER: [u8; 4] = *b"FJL\x03";
const CHUNK: usize = 64 << 10;

/// Cuts a torn tail off the newest journal in `dir`; says how many bytes, up to the last one that is not zero.
///
/// # Errors
/// When a batch that had been durable is not whole any more, or the files can't be read.
pub(crate) fn mend(dir: &Path, salt: &Salt) -> Result<u64, StoreError> {
    let mut torn = 0;
    let mut journals =
        list(dir).map_err(|error| StoreError(format!("can't list {}: {error}", dir.display())))?;
    let newest = journals.pop();
    for path in &journals {
        let tail = inspect(path, salt).map_err(|error| unreadable(path, &error))?;
        if tail.torn > 0 {
            return Err(damaged(path, tail.start));
        }
    }
    if let Some(path) = newest {
        let tail = inspect(&path, salt).map_err(|error| unreadable(&path, &error))?;
        if tail.broken_promise {
            return Err(damaged(&path, tail.start));
        }
        if tail.torn > 0 {
            let cut = || {
                let file = File::options().write(true).open(&path)?;
                file.set_len(tail.start)?;
                file.sync_all()
            };
            cut().map_err(|error| unreadable(&path, &error))?;
        }
        torn = tail.torn;
    }
    Ok(torn)
}

fn unreadable(path: &Path, error: &io::Error) -> StoreError {
    StoreError(format!("can't read {}: {error}", path.display()))
}

fn damaged(path: &Path, offset: u64) -> StoreError {
    StoreError(format!(
        "{} is damaged at byte {offset}: check the disk, then move the store's folder away and start again: it is made \
         anew from the blocks of the other members",
        path.display()
    ))
}

/// The journals, oldest first.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals = Vec::new();
    if dir.is_dir() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if let Some(number) = name
                .strip_suffix(".jnl")
                .and_then(|digits| digits.parse::<u64>().ok())
            {
                journals.push((number, path));
            }
        }
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

/// What comes after the last whole batch.
struct Tail {
    /// Where it begins.
    start: u64,
    /// How many bytes it has up to the last one that is not zero.
    torn: u64,
    /// Something in it says that the batch which is not whole was durable.
    broken_promise: bool,
}

fn inspect(path: &Path, salt: &Salt) -> io::Result<Tail> {
    let mut file = BufReader::with_capacity(CHUNK, File::open(path)?);
    let (mut start, mut last, mut age) = (0, None, None);
    // The checksum does not cover a batch's age, but ages only grow.
    while let Some(batch) = or_end(batch(&mut file, salt))?.filter(|batch| Some(batch.age) > age) {
        age = Some(batch.age);
        last = batch.mark.or(last);
        start = file.stream_position()?;
    }
    let mut file = file.into_inner();
    file.seek(SeekFrom::Start(start))?;
    let (torn, marks) = rest(&mut file, salt)?;
    // Where no whole batch comes before it, the bad one is the first whose mark is left, or one before.
    let bad = last.map_or_else(
        || marks.iter().map(|mark| mark.number).min(),
        |last| Some(last.number + 1),
    );
    let broken_promise = bad.is_some_and(|bad| marks.iter().any(|mark| mark.durable >= bad));
    Ok(Tail {
        start,
        torn,
        broken_promise,
    })
}

/// Takes the end of the file for something that is not a batch.
fn or_end<T>(result: io::Result<Option<T>>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        other => other,
    }
}

fn array<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A whole batch.
struct Batch {
    age: u64,
    /// Batches of the engine's own have none.
    mark: Option<Mark>,
}

/// The batch that comes next, if that is a whole one.
fn batch(file: &mut impl Read, salt: &Salt) -> io::Result<Option<Batch>> {
    if array(file)? != [1_u8] {
        return Ok(None);
    }
    let items = u32::from_le_bytes(array(file)?);
    let age = u64::from_le_bytes(array(file)?);
    let (mut hash, mut mark) = (Xxh3::new(), None);
    for _ in 0..items {
        let [tag] = array(file)?;
        hash.update(&[tag]);
        match tag {
            2 => {
                let kind: [u8; 2] = array(file)?;
                let keyspace: [u8; 8] = array(file)?;
                let lengths: [u8; 10] = array(file)?;
                hash.update(&kind);
                hash.update(&keyspace);
                hash.update(&lengths);
                let [a, b, _, _, _, _, c, d, e, f] = lengths;
                let mut key = vec![0; usize::from(u16::from_le_bytes([a, b]))];
                file.read_exact(&mut key)?;
                hash.update(&key);
                let value = value(file, u32::from_le_bytes([c, d, e, f]), &mut hash)?;
                if key == KEY {
                    mark = Mark::decode(salt, &value).or(mark);
                }
            }
            4 => hash.update(&array::<8>(file)?),
            _ => return Ok(None),
        }
    }
    let ([tag], checksum, trailer) = (array(file)?, u64::from_le_bytes(array(file)?), array(file)?);
    let whole = tag == 3_u8 && checksum == hash.digest() && trailer == TRAILER;
    Ok(whole.then_some(Batch { age, mark }))
}

/// Hashes a value; gives as much of it as a mark has.
fn value(file: &mut impl Read, length: u32, hash: &mut Xxh3) -> io::Result<Vec<u8>> {
    let (mut beginning, mut left) = (Vec::new(), length as usize);
    let mut chunk = vec![0; left.min(CHUNK)];
    while left > 0 {
        chunk.truncate(left);
        file.read_exact(&mut chunk)?;
        hash.update(&chunk);
        if beginning.is_empty() {
            beginning.extend(chunk.iter().take(MARK));
        }
        left -= chunk.len();
    }
    Ok(beginning)
}

/// How many bytes follow up to the last one that is not zero, and all marks among them.
fn rest(file: &mut File, salt: &Salt) -> io::Result<(u64, Vec<Mark>)> {
    let (mut torn, mut read, mut marks) = (0, 0, Vec::new());
    // The end of the chunk before, in which a mark may begin.
    let mut window = Vec::new();
    let (mut chunk, zeros) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let count = file.read(&mut chunk)?;
        let Some(mut bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else {
            return Ok((torn, marks));
        };
        // Most of a journal is zeros, made beforehand. A mark may end in some of them.
        if zeros.starts_with(bytes) {
            bytes = bytes.get(..MARK).unwrap_or(bytes);
        } else if let Some(last) = bytes.iter().rposition(|&byte| byte != 0) {
            torn = read + last as u64 + 1;
        }
        read += count as u64;
        window.extend_from_slice(bytes);
        marks.extend(
            window
                .windows(MARK)
                .filter_map(|bytes| Mark::decode(salt, bytes)),
        );
        let kept = window.len().min(MARK - 1);
        window.drain(..window.len() - kept);
    }
}
