//! A file of readings.

// The program's own module: the program is not a library.
#[expect(dead_code, unreachable_pub, reason = "only a part of it is used here")]
#[path = "../../../edge/hedgerow/src/data.rs"]
mod data;

use data::Data;

pub(crate) fn run(bytes: &[u8]) {
    let Ok(table) = Data::read(bytes) else { return };
    assert!(table.len() > 0);
    for sensor in &table.sensors {
        for row in 0..table.len().min(100) {
            let value = table
                .value(sensor, row)
                .expect("a good row has every sensor's value");
            assert!(
                value.number.parse::<f64>().is_ok(),
                "{:?} is not a number",
                value.number
            );
        }
    }
    assert!(
        table
            .bad
            .iter()
            .all(|bad| bad.line > 0 && !bad.problem.is_empty())
    );
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    vec![
        b"time,temperature_c,humidity_pct\n1988-01-01T01:00-05:00,10.0,77\n1988-01-01T24:00-05:00,-1,5e1\n".to_vec(),
        b"a,time\n\"1\",2024-02-29T00:00:00Z\nx,y\n1\n\"\n".to_vec(),
    ]
}
