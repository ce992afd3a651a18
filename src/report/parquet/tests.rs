use super::columns::COLUMNS;
use super::*;
use crate::model::event::JOURNAL_VERSION;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::RowAccessor;
use std::fs;

/// A plan and a sample as a run of today writes them.
fn sample_run() -> (Plan, Sample) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/sample");
    let plan = fs::read_to_string(dir.join("plan.json")).unwrap();
    let journal = fs::read_to_string(dir.join("events.jsonl")).unwrap();
    let mut events = journal.lines().map(|line| serde_json::from_str(line).unwrap());
    let sample = events.find_map(|event| match event {
        Event::SampleFinished { sample } if sample.round > 0 => Some(*sample),
        _ => None,
    });
    (serde_json::from_str(&plan).unwrap(), sample.unwrap())
}

#[derive(Debug)]
enum Fault {
    Report,
    Other,
}

impl From<ReportError> for Fault {
    fn from(_: ReportError) -> Self {
        Self::Report
    }
}

fn exported(plan: &Plan, of: &Sample, samples: u32) -> Exported {
    let sample = |number| {
        let mut sample = of.clone();
        (sample.sample, sample.round) = (number, number);
        Event::SampleFinished { sample: Box::new(sample) }
    };
    let started = Event::RunStarted {
        version: JOURNAL_VERSION,
        run: plan.run.clone(),
        at: "2026-03-02T09:00:00Z".to_owned(),
    };
    let events = std::iter::once(started).chain((1..=samples).map(sample)).collect();
    Exported { plan: plan.clone(), events }
}

#[test]
fn groups_are_of_a_size_whatever_size_runs_have() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.parquet");
    let (plan, sample) = sample_run();
    let sizes = [3, 20_000, 0, 25_000, 1];
    let runs = sizes.map(|size| Ok::<_, Fault>(exported(&plan, &sample, size)));
    let written = write_parquet(&path, runs).unwrap();
    assert_eq!(written, Written { runs: 5, samples: 45_004 });
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let groups: Vec<i64> =
        reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    let largest = i64::try_from(ROWS + PIECE).unwrap();
    assert_eq!(groups.iter().sum::<i64>(), 45_004);
    assert!(groups.len() > 2 && groups.iter().all(|rows| *rows < largest), "{groups:?}");
    let numbers = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().get_long(1).unwrap());
    assert!(numbers.eq(sizes.into_iter().flat_map(|size| 1..=i64::from(size))));
    let version = reader.metadata().file_metadata().key_value_metadata().unwrap();
    assert_eq!(version[0].key, VERSION_KEY);
}

#[test]
fn nothing_is_written_of_runs_that_cannot_be_read_and_no_file_is_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.parquet");
    let (plan, sample) = sample_run();
    let runs = [Ok(exported(&plan, &sample, 2)), Err(Fault::Other)];
    assert!(matches!(write_parquet(&path, runs), Err(Fault::Other)));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let none: [Result<Exported, Fault>; 0] = [];
    assert_eq!(write_parquet(&path, none).unwrap(), Written::default());
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let columns = reader.metadata().file_metadata().schema_descr().num_columns();
    assert_eq!((columns, reader.num_row_groups()), (COLUMNS.len(), 0));
}

#[test]
fn what_is_said_of_a_disk_that_is_full_is_what_the_system_said() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let (plan, sample) = sample_run();
    let mut file = File::new(full).unwrap();
    let failed = file
        .add(&exported(&plan, &sample, 20_000))
        .and_then(|_| file.finish())
        .map_err(|cause| fault("all.parquet", Path::new("all.parquet"), cause))
        .unwrap_err();
    let ReportError::Io { operation, source, .. } = failed else { panic!("{failed}") };
    assert_eq!((operation, source.raw_os_error()), ("writing", Some(28)));
}
