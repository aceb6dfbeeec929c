//! A file of readings: CSV with a `time` column and one numeric column per sensor.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, Result, bail};
use csv::StringRecord;
use hedgerow_records::Name;
use jiff::{
    Timestamp, ToSpan,
    civil::DateTime,
    tz::{Offset, TimeZone},
};

/// A file's good rows; what was wrong with the others.
#[derive(Debug)]
pub(crate) struct Data {
    pub(crate) sensors: Vec<Sensor>,
    rows: Vec<Row>,
    pub(crate) bad: Vec<BadRow>,
}

/// A numeric column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sensor {
    /// The heading.
    pub(crate) column: String,
    /// The heading as a name.
    pub(crate) name: Name,
    index: usize,
}

#[derive(Debug)]
struct Row {
    time_ms: u64,
    cells: StringRecord,
}

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadRow {
    /// The line in the file, from 1.
    pub(crate) line: u64,
    pub(crate) problem: String,
}

/// One sensor's value in one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Value<'a> {
    /// Milliseconds since the Unix epoch.
    pub(crate) time_ms: u64,
    /// A JSON number.
    pub(crate) number: &'a str,
}

impl Data {
    pub(crate) fn open(file: &Path) -> Result<Self> {
        let shown = file.display();
        let open = File::open(file).with_context(|| format!("--data {shown}: can't open it"))?;
        Self::read(open).with_context(|| format!("--data {shown}"))
    }

    pub(crate) fn read(from: impl Read) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(from);
        let headings = reader
            .headers()
            .context("line 1: can't read the headings")?
            .clone();
        let time = headings.iter().position(|heading| heading == "time");
        let Some(time) = time else {
            bail!(
                "line 1: no column is headed `time`; the headings must be `time` and one name per sensor"
            );
        };
        let sensors = sensors(&headings, time)?;
        let mut data = Self {
            sensors,
            rows: Vec::new(),
            bad: Vec::new(),
        };
        let mut cells = StringRecord::new();
        loop {
            let line = reader.position().line();
            match reader.read_record(&mut cells) {
                Ok(false) => break,
                Ok(true) => {
                    let line = cells.position().map_or(line, csv::Position::line);
                    match data.row(&headings, time, &cells) {
                        Ok(row) => data.rows.push(row),
                        Err(problem) => data.bad.push(BadRow { line, problem }),
                    }
                }
                Err(error) if error.is_io_error() => return Err(error.into()),
                Err(error) => data.bad.push(BadRow {
                    line,
                    problem: problem(&error),
                }),
            }
        }
        if data.rows.is_empty() {
            let first = data.bad.first().map_or_else(String::new, |bad| {
                format!("; line {}: {}", bad.line, bad.problem)
            });
            bail!("no good row{first}");
        }
        Ok(data)
    }

    fn row(
        &self,
        headings: &StringRecord,
        time: usize,
        cells: &StringRecord,
    ) -> Result<Row, String> {
        if cells.len() != headings.len() {
            return Err(format!(
                "{} fields, the headings have {}",
                cells.len(),
                headings.len()
            ));
        }
        let time_ms = parse_time(&cells[time])?;
        for sensor in &self.sensors {
            let cell = &cells[sensor.index];
            if !is_json_number(cell) {
                return Err(format!(
                    "{}: {cell:?} is not a number such as -1.5",
                    sensor.column
                ));
            }
        }
        Ok(Row {
            time_ms,
            cells: cells.clone(),
        })
    }

    /// How many good rows there are.
    pub(crate) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// The sensor's value in the good row with that number, from 0.
    pub(crate) fn value(&self, sensor: &Sensor, row: u64) -> Option<Value<'_>> {
        let row = self.rows.get(usize::try_from(row).ok()?)?;
        Some(Value {
            time_ms: row.time_ms,
            number: row.cells.get(sensor.index)?,
        })
    }
}

fn problem(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".into(),
        _ => error.to_string(),
    }
}

fn sensors(headings: &StringRecord, time: usize) -> Result<Vec<Sensor>> {
    let mut sensors: Vec<Sensor> = Vec::new();
    for (index, column) in headings
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != time)
    {
        let name = name(column)
            .with_context(|| format!("line 1: column {}: {column:?} gives no name", index + 1))?;
        if sensors.iter().any(|other| other.name == name) {
            bail!("line 1: two columns are called {name}; give each sensor its own heading");
        }
        sensors.push(Sensor {
            column: column.into(),
            name,
            index,
        });
    }
    if sensors.is_empty() {
        bail!("line 1: no column beside `time`; add one numeric column per sensor");
    }
    Ok(sensors)
}

/// A heading as a name: `Temp (°C)` becomes `temp-c`. Short enough for a suffix.
fn name(heading: &str) -> Result<Name> {
    let lower = heading.to_lowercase();
    let plain = lower.chars().map(|c| {
        if matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-') {
            c
        } else {
            ' '
        }
    });
    let text = plain
        .collect::<String>()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join("-");
    let text: String = text
        .trim_matches(['.', '_', '-'])
        .chars()
        .take(Name::MAX - 8)
        .collect();
    Ok(Name::new(text)?)
}

fn is_json_number(cell: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(cell).is_ok()
}

/// Milliseconds since the Unix epoch of an ISO 8601 date and time. Seconds and the offset may be left out (UTC then);
/// 24:00 is the end of the day.
pub(crate) fn parse_time(text: &str) -> Result<u64, String> {
    let wrong = || format!("time: {text:?} is not a time such as 2026-11-24T13:00Z");
    let (civil, offset) = split_offset(text).ok_or_else(wrong)?;
    let (date, clock) = civil.split_once(['T', 't', ' ']).ok_or_else(wrong)?;
    let midnight = ["24:00", "24:00:00", "24:00:00.000"].contains(&clock);
    let clock = if midnight { "00:00" } else { clock };
    let mut time: DateTime = format!("{date}T{clock}").parse().map_err(|_| wrong())?;
    if midnight {
        time = time.checked_add(1.day()).map_err(|_| wrong())?;
    }
    let zoned = time
        .to_zoned(TimeZone::fixed(offset))
        .map_err(|_| wrong())?;
    u64::try_from(zoned.timestamp().as_millisecond())
        .map_err(|_| format!("time: {text:?} is before 1970"))
}

/// The text without its offset, and the offset.
fn split_offset(text: &str) -> Option<(&str, Offset)> {
    if let Some(civil) = text.strip_suffix(['Z', 'z']) {
        return Some((civil, Offset::UTC));
    }
    // A sign before the time of day belongs to the date.
    let clock = text.find(['T', 't', ' '])? + 1;
    let Some(sign) = text.get(clock..)?.rfind(['+', '-']).map(|at| clock + at) else {
        return Some((text, Offset::UTC));
    };
    let (civil, offset) = (text.get(..sign)?, text.get(sign + 1..)?);
    let (hours, minutes) = match offset.split_once(':') {
        Some(parts) => parts,
        None if offset.len() == 4 => offset.split_at_checked(2)?,
        None => (offset, "0"),
    };
    let digits = |part: &str| {
        (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(hours) || !digits(minutes) {
        return None;
    }
    let seconds = hours.parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    let seconds = if text.as_bytes().get(sign) == Some(&b'-') {
        -seconds
    } else {
        seconds
    };
    Some((civil, Offset::from_seconds(seconds).ok()?))
}

/// A time of the ledger or of a device, for people.
pub(crate) fn show_time(ms: u64) -> String {
    let timestamp = i64::try_from(ms)
        .ok()
        .and_then(|ms| Timestamp::from_millisecond(ms).ok());
    timestamp.map_or_else(|| format!("{ms} ms"), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> u64 {
        parse_time(text).unwrap()
    }

    #[test]
    fn times_are_read() {
        assert_eq!(time("1970-01-01T00:00Z"), 0);
        assert_eq!(time("1970-01-01 00:00:01"), 1_000);
        assert_eq!(time("1970-01-01T00:00:01.5+00:00"), 1_500);
        assert_eq!(time("1988-01-01T01:00-05:00"), 568_015_200_000);
        assert_eq!(time("1988-01-01T01:00-0500"), time("1988-01-01T06:00Z"));
        assert_eq!(time("1988-01-01T01:00+05"), time("1987-12-31T20:00Z"));
        for bad in [
            "",
            "noon",
            "1988-13-01T01:00Z",
            "1988-01-01",
            "1988-01-01T25:00Z",
            "1988-01-01T01:00+x",
            "1988-01-01T01:00-5-5",
            "1960-01-01T00:00Z",
        ] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_hour_of_a_day_ends_at_24_00() {
        assert_eq!(
            time("1988-01-01T24:00-05:00"),
            time("1988-01-02T00:00-05:00")
        );
        assert_eq!(time("1988-12-31T24:00Z"), time("1989-01-01T00:00Z"));
        assert!(parse_time("1988-01-01T24:01Z").is_err());
    }

    #[test]
    fn bad_rows_are_named_by_their_line_and_the_rest_goes_on() {
        let text = "time,Temp (°C),ok\n\
            1988-01-01T01:00Z,1.5,2\n\
            yesterday,1,2\n\
            1988-01-01T02:00Z,warm,2\n\
            1988-01-01T03:00Z,1\n\
            1988-01-01T04:00Z,NaN,2\n\
            1988-01-01T05:00Z,,2\n\
            1988-01-01T06:00Z,-3e2,0\n";
        let data = Data::read(text.as_bytes()).unwrap();
        assert_eq!(data.len(), 2);
        let lines: Vec<_> = data.bad.iter().map(|bad| bad.line).collect();
        assert_eq!(lines, [3, 4, 5, 6, 7]);
        assert!(data.bad[0].problem.contains("yesterday"));
        assert!(data.bad[1].problem.contains("Temp (°C): \"warm\""));
        assert!(
            data.bad[2]
                .problem
                .contains("2 fields, the headings have 3")
        );
        assert_eq!(data.sensors[0].name.as_str(), "temp-c");
        assert_eq!(
            data.value(&data.sensors[0], 1).unwrap(),
            Value {
                time_ms: time("1988-01-01T06:00Z"),
                number: "-3e2"
            }
        );
        assert_eq!(data.value(&data.sensors[1], 0).unwrap().number, "2");
        assert!(data.value(&data.sensors[1], 2).is_none());
    }

    #[test]
    fn lines_with_bytes_that_are_not_text_are_bad_rows_too() {
        let data =
            Data::read(&b"time,a\n1988-01-01T01:00Z,\xff\n1988-01-01T02:00Z,2\n"[..]).unwrap();
        assert_eq!(
            (data.len(), data.bad[0].line, data.bad[0].problem.as_str()),
            (1, 2, "not UTF-8")
        );
    }

    #[test]
    fn a_file_without_sense_is_refused() {
        let refuse = |text: &str| format!("{:#}", Data::read(text.as_bytes()).unwrap_err());
        assert!(refuse("when,a\n1,2\n").contains("`time`"));
        assert!(refuse("time\n1988-01-01T01:00Z\n").contains("one numeric column per sensor"));
        assert!(refuse("time,a,A\n").contains("two columns are called a"));
        assert!(refuse("time,°\n").contains("gives no name"));
        assert!(refuse("time,a\nx,1\n").contains("no good row; line 2"));
    }

    #[test]
    fn the_shipped_file_is_good() {
        let data = Data::open(Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../data/weather-greensboro.csv"
        )))
        .unwrap();
        assert_eq!(
            (data.len(), data.sensors.len(), data.bad.len()),
            (8760, 10, 0)
        );
    }
}
