//! The same journal gives the same bytes: at another time, in another place and language.

use crate::support::{breakeven, done, sample_run};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_path_buf();
                all.insert(name, fs::read(path).unwrap());
            }
        }
    }
    all
}

#[test]
fn a_report_does_not_depend_on_time_zone_language_or_threads() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (sample_run(here.path()), sample_run(there.path()));
    done(breakeven().arg("report").arg(&one).env("TZ", "UTC").env("LC_ALL", "C"));
    let mut elsewhere = breakeven();
    elsewhere.env("TZ", "Asia/Kathmandu").env("LC_ALL", "tr_TR.UTF-8").env("LANG", "ar_EG.UTF-8");
    done(elsewhere.arg("report").arg(&other).env("RAYON_NUM_THREADS", "1").env("HOME", "/nowhere"));
    let (one, other) = (files(&one), files(&other));
    assert!(one.len() >= 9, "{:?}", one.keys());
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    for (name, bytes) in one {
        assert!(bytes == other[&name], "{} differs", name.display());
    }
}
