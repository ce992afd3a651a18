//! The index: summaries by the names of objects, so that not every object has to be read. It is
//! never needed. Its name holds its version, so that programs of two versions have two of them.

use super::{HistoryError, ObjectName};
use crate::trend::Summary;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::Read;

/// Its name below the history's folder.
pub(super) const NAME: &str = "index-1.json.zst";

/// Most bytes that it may unpack to.
const LARGEST: u64 = 2 << 30;

/// Level of zstd: it is written again and again.
const LEVEL: i32 = 3;

/// Summaries by name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Index {
    runs: HashMap<ObjectName, Summary>,
}

#[derive(Serialize)]
struct Borrowed<'a> {
    runs: std::collections::BTreeMap<&'a ObjectName, &'a Summary>,
}

/// An index to be written.
pub(super) struct ToWrite<'a>(Borrowed<'a>);

impl Index {
    /// What is to be written of these runs.
    pub(super) fn of<'a>(runs: impl IntoIterator<Item = &'a (ObjectName, Summary)>) -> ToWrite<'a> {
        ToWrite(Borrowed {
            runs: runs.into_iter().map(|(name, summary)| (name, summary)).collect(),
        })
    }

    /// Reads one; an empty one where it is damaged.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let read = || {
            let decoder = zstd::Decoder::new(bytes)?;
            let mut text = Vec::new();
            decoder.take(LARGEST).read_to_end(&mut text)?;
            Ok::<Self, std::io::Error>(serde_json::from_slice(&text)?)
        };
        read().unwrap_or_else(|error| {
            tracing::info!("the index of the history is damaged and made again: {error}");
            Self::default()
        })
    }

    /// Takes out the summary of an object.
    pub(super) fn take(&mut self, name: &ObjectName) -> Option<Summary> {
        self.runs.remove(name).filter(|summary| summary.run == name.run())
    }
}

impl ToWrite<'_> {
    /// As bytes.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, HistoryError> {
        let failed = |cause: String| HistoryError::NotKept { run: "index".to_owned(), cause };
        let text = serde_json::to_vec(&self.0).map_err(|error| failed(error.to_string()))?;
        zstd::encode_all(&text[..], LEVEL).map_err(|error| failed(error.to_string()))
    }
}
