//! Every sample of many runs as one Parquet file, for a data warehouse.
//!
//! One row a sample. Runs come one by one and go into groups of [`ROWS`] rows, so that a file of any
//! size is made in the memory of a group and a run. `parquet` appears only in this folder.

mod columns;

use super::{ReportError, replace};
use crate::model::{Event, Plan, Sample, sample};
use ::parquet::basic::Compression;
use ::parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use ::parquet::schema::parser::parse_message_type;
use columns::{COLUMNS, Column, Row, Take};
use std::collections::HashSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Version of the columns: what a column means never changes within one, new ones may come at the end.
pub const PARQUET_VERSION: u32 = 1;

/// The key of [`PARQUET_VERSION`] in the file's metadata.
const VERSION_KEY: &str = "breakeven-samples";

/// Rows that a group has before it is written, but for the last one.
const ROWS: usize = 16_384;

/// Samples of a run that are taken at once, so that a large run does not make a large group.
const PIECE: usize = 4_096;

/// A run whose samples are written.
#[derive(Debug)]
pub struct Exported {
    /// Its plan.
    pub plan: Plan,
    /// Its recorded events.
    pub events: Vec<Event>,
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Runs.
    pub runs: usize,
    /// Samples of them.
    pub samples: usize,
}

/// Writes every sample of these runs into a file, under a temporary name until it is whole. Ends
/// with the first run that is an error, and leaves no file then.
pub fn write_parquet<E: From<ReportError>>(
    path: &Path,
    runs: impl IntoIterator<Item = Result<Exported, E>>,
) -> Result<Written, E> {
    replace(path, |out| {
        let name = path.display().to_string();
        let fault = |cause| fault(&name, path, cause);
        let mut file = File::new(out).map_err(fault)?;
        let mut written = Written::default();
        for run in runs {
            written.samples += file.add(&run?).map_err(fault)?;
            written.runs += 1;
        }
        file.finish().map_err(fault)?;
        Ok(written)
    })
}

/// What the operating system says is told as such.
fn fault(name: &str, path: &Path, cause: ParquetError) -> ReportError {
    match cause {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(source) => super::unwritten(path, *source),
            Err(other) => ReportError::format(name, other),
        },
        other => ReportError::format(name, other),
    }
}

/// A file that is being written.
struct File<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    group: Vec<Cells>,
    rows: usize,
}

impl<W: Write + Send> File<W> {
    fn new(out: W) -> Result<Self, ParquetError> {
        let fields: String = COLUMNS.iter().map(|column| column.field() + ";\n").collect();
        let schema = parse_message_type(&format!("message samples {{\n{fields}}}"))?;
        let version = KeyValue::new(VERSION_KEY.to_owned(), PARQUET_VERSION.to_string());
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(vec![version]))
            .build();
        let writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
        Ok(Self { writer, group: COLUMNS.iter().map(Cells::of).collect(), rows: 0 })
    }

    /// Adds a run. Returns how many samples it has.
    fn add(&mut self, run: &Exported) -> Result<usize, ParquetError> {
        let started_at = run.events.iter().find_map(|event| match event {
            Event::RunStarted { at, .. } => Some(at.as_str()),
            _ => None,
        });
        let mut samples: Vec<&Sample> = run.events.iter().filter_map(Event::sample).collect();
        samples.sort_by_key(|sample| sample.sample);
        let standing: HashSet<*const Sample> =
            sample::standing(samples.iter().copied()).into_iter().map(std::ptr::from_ref).collect();
        for piece in samples.chunks(PIECE) {
            let rows: Vec<Row<'_>> = piece
                .iter()
                .map(|sample| Row {
                    plan: &run.plan,
                    started_at: started_at.unwrap_or_default(),
                    sample,
                    stands: standing.contains(&std::ptr::from_ref(*sample)),
                })
                .collect();
            for (column, cells) in COLUMNS.iter().zip(&mut self.group) {
                rows.iter().for_each(|row| cells.push(column, row));
            }
            self.rows += rows.len();
            if self.rows >= ROWS {
                self.flush()?;
            }
        }
        Ok(samples.len())
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for cells in &mut self.group {
            cells.write(&mut group)?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<(), ParquetError> {
        if self.rows > 0 {
            self.flush()?;
        }
        // What is closed is flushed too, so that a full disk is told here.
        self.writer.close().map(drop)
    }
}

/// The values of one column in a group, and for every row whether it has one.
struct Cells {
    values: Values,
    /// 1 where there is a value, 0 where not: what Parquet calls the definition level.
    there: Vec<i16>,
}

enum Values {
    Text(Vec<ByteArray>),
    Whole(Vec<i64>),
    Real(Vec<f64>),
    Truth(Vec<bool>),
}

impl Cells {
    fn of(column: &Column) -> Self {
        let values = match column.take {
            Take::Text(_) => Values::Text(Vec::new()),
            Take::Whole(_) | Take::Instant(_) => Values::Whole(Vec::new()),
            Take::Real(_) => Values::Real(Vec::new()),
            Take::Truth(_) => Values::Truth(Vec::new()),
        };
        Self { values, there: Vec::new() }
    }

    fn push(&mut self, column: &Column, row: &Row<'_>) {
        let there = match (&mut self.values, column.take) {
            (Values::Text(all), Take::Text(take)) => {
                push(all, take(row).map(|text| text.into_owned().into_bytes().into()))
            }
            (Values::Whole(all), Take::Whole(take)) => push(all, take(row)),
            (Values::Whole(all), Take::Instant(take)) => {
                push(all, columns::microseconds(take(row)))
            }
            (Values::Real(all), Take::Real(take)) => push(all, take(row)),
            (Values::Truth(all), Take::Truth(take)) => push(all, take(row)),
            // The values are made from the column, see `of`.
            _ => false,
        };
        self.there.push(i16::from(there));
    }

    /// Writes the column and is empty again.
    fn write<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        let there = std::mem::take(&mut self.there);
        match &mut self.values {
            Values::Text(all) => written::<ByteArrayType, W>(group, all, &there),
            Values::Whole(all) => written::<Int64Type, W>(group, all, &there),
            Values::Real(all) => written::<DoubleType, W>(group, all, &there),
            Values::Truth(all) => written::<BoolType, W>(group, all, &there),
        }
    }
}

fn push<T>(all: &mut Vec<T>, value: Option<T>) -> bool {
    let there = value.is_some();
    all.extend(value);
    there
}

fn written<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &mut Vec<T::T>,
    there: &[i16],
) -> Result<(), ParquetError> {
    // There are as many columns as the schema was made from.
    let Some(mut column) = group.next_column()? else { return Ok(()) };
    column.typed::<T>().write_batch(values, Some(there), None)?;
    values.clear();
    column.close()
}

#[cfg(test)]
mod tests;
