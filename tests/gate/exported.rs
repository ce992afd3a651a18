//! A history as a Parquet file, read back and held against each run's own `samples.csv`.

use crate::made::{command, night, objects, run, said, write};
use crate::report_support::Run;
use breakeven::model::{Noise, Prices};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

type Row = BTreeMap<String, Field>;

/// The rows of a file, by the names of its columns.
fn rows(file: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    let row = |row: parquet::record::Row| row.into_columns().into_iter().collect();
    reader.get_row_iter(None).unwrap().map(|read| row(read.unwrap())).collect()
}

/// Whether a value is what a field of a CSV file says.
fn same(value: &Field, said: &str) -> bool {
    match value {
        Field::Null => said.is_empty(),
        Field::Str(text) => text == said,
        Field::Long(number) => said.parse() == Ok(*number),
        // Seconds have six decimals there and shares have four.
        Field::Double(number) => said.parse().is_ok_and(|said: f64| (said - number).abs() < 6e-5),
        Field::TimestampMicros(at) => {
            let said = OffsetDateTime::parse(said, &Rfc3339).unwrap();
            said.unix_timestamp_nanos() == i128::from(*at) * 1_000
        }
        _ => false,
    }
}

/// Exports the history in `h`.
fn export(dir: &Path, code: i32) -> [String; 2] {
    let args = ["history", "export", "h", "--parquet", "all.parquet"];
    said(command(dir, &args).output().unwrap(), code)
}

#[test]
fn every_sample_is_as_its_own_run_says() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("h")).unwrap();
    let mut usual = Run::usual();
    usual.plan.run = "first".to_owned();
    let prices = Run::wide().plan.prices.unwrap();
    // Nothing that is not counted in these runs has a price.
    usual.plan.prices = Some(Prices { out_per_gb: 0.0, per_10k_requests: 0.0, ..prices });
    let mut noisy = run("second", |sample| {
        let shares = (f64::from(sample.sample % 7) / 9.0, f64::from(sample.round) / 16.0);
        sample.noise = Some(Box::new(Noise {
            steal: Some(shares.0),
            io: Some(shares.1),
            throttled: Some(u64::from(sample.round)),
            clock_moved_s: Some(-0.25),
            ..Noise::default()
        }));
        sample.reason = "odd \"text\",\n'; drop table".to_owned();
    });
    noisy.plan.machines = Some(2);
    let mut csv = Vec::new();
    for run in [usual, noisy] {
        let name = run.plan.run.clone();
        write(&identified(run), &dir.join(&name));
        said(command(dir, &["history", "add", &name, "--to", "h"]).output().unwrap(), 0);
        said(command(dir, &["report", &name]).output().unwrap(), 0);
        let mut reader = csv::Reader::from_path(dir.join(&name).join("samples.csv")).unwrap();
        csv.extend(reader.deserialize().map(Result::<BTreeMap<String, String>, _>::unwrap));
    }
    let [out, _] = export(dir, 0);
    let mut made = rows(&dir.join("all.parquet"));
    assert!(out.starts_with(&format!("{} samples of 2 runs", made.len())), "{out}");
    let text = |row: &Row| matches!(&row["run"], Field::Str(run) if run == "second");
    made.sort_by_key(text);
    assert_eq!(made.len(), csv.len());
    for (made, csv) in made.iter().zip(&csv) {
        assert!(csv.len() > 35 && made.len() > csv.len() + 8, "{made:?}");
        for (name, said) in csv {
            assert!(same(&made[name], said), "{name}: {:?} and {said:?}", made[name]);
        }
        assert_eq!(made["run_started_at"], Field::TimestampMicros(1_772_442_000_000_000));
        let counts = csv["status"] == "ok" && csv["round"] != "0";
        assert_eq!(made["counted"], Field::Bool(counts));
        // What the run's price list says of jobs that came to their end; the other run has none.
        let seconds = csv["total_s"].parse::<f64>().ok().filter(|_| csv["run"] == "first");
        let minutes = seconds.map(|seconds| (seconds / 60.0).ceil());
        assert_eq!(made["billed_minutes"], minutes.map_or(Field::Null, Field::Double));
        let price = minutes.map_or(Field::Null, |minutes| Field::Double(minutes * 0.006));
        assert_eq!(made["price"], price);
    }
    let bytes = fs::read(dir.join("all.parquet")).unwrap();
    export(dir, 0);
    assert!(fs::read(dir.join("all.parquet")).unwrap() == bytes, "the same history, the same file");
}

/// The journal of the same run as the plan.
fn identified(mut run: Run) -> Run {
    let id = run.plan.run.clone();
    for event in &mut run.events {
        if let breakeven::model::Event::RunStarted { run, .. } = event {
            run.clone_from(&id);
        }
    }
    run
}

#[tokio::test]
async fn a_damaged_object_is_left_out_and_named_even_where_the_index_knows_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    fs::create_dir(dir.join("h")).unwrap();
    write(&run("whole", |_| ()), &dir.join("whole"));
    said(command(dir, &["history", "add", "whole", "--to", "h"]).output().unwrap(), 0);
    let place = dir.join("h");
    night(place.to_str().unwrap(), 1, 1.0, |_| ()).await;
    said(command(dir, &["history", "h"]).output().unwrap(), 0);
    let first = objects(&place).remove(0);
    let bytes = fs::read(&first).unwrap();
    fs::write(&first, &bytes[..bytes.len() - 9]).unwrap();
    let [out, told] = export(dir, 4);
    assert!(told.contains(first.file_name().unwrap().to_str().unwrap()), "{told}");
    let made = rows(&dir.join("all.parquet"));
    assert!(out.contains("of 1 runs") && !made.is_empty(), "{out}");
    assert!(made.iter().all(|row| row["run"] == Field::Str("whole".to_owned())));
    // Nothing is left of a file that could not be made.
    let args = ["history", "export", "h", "--parquet", "whole/plan.json/x.parquet"];
    said(command(dir, &args).output().unwrap(), 1);
    let left = fs::read_dir(dir).unwrap().map(|one| one.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with(".report-")));
}
