//! Whether there is room for what a run keeps.

use super::subject::Subject;
use super::{Check, Line};
use futures_util::FutureExt;
use std::path::{Path, PathBuf};

pub(super) const CHECK: Check =
    Check { id: "disk", run: |subject| async move { lines(subject) }.boxed() };

const GIB: f64 = (1_u64 << 30) as f64;
/// Free bytes below which a run of usual images may fill the disk.
const SCARCE: f64 = 5.0 * GIB;
/// Free share below which an engine's builder begins to throw cache away.
const SCARCE_SHARE: f64 = 0.05;

fn lines(subject: &Subject<'_>) -> Vec<Line> {
    let mut places: Vec<(&str, PathBuf)> = Vec::new();
    let mut unknown = Vec::new();
    for (name, one) in subject.daemons() {
        match one.activity.as_ref().ok().and_then(|found| found.root.clone()) {
            Some(root) => places.push(("the engine's images and build cache", root)),
            None => unknown.push(Line::unknown(
                subject.of(name, "the engine's own folder is not on this machine"),
            )),
        }
    }
    // Without a daemon what is built lies in the run's own folder.
    let what = match subject.answered().any(|(_, one)| one.host.daemon().is_none()) {
        true => "workspaces, archives, the managed registry and what is built without a daemon",
        false => "workspaces, archives and the managed registry",
    };
    places.push((what, std::env::temp_dir()));
    let storage = subject.plan.storage.as_ref().filter(|address| Path::new(address).is_dir());
    places.extend(storage.map(|folder| ("the shared storage", PathBuf::from(folder))));
    places.sort_by(|a, b| a.1.cmp(&b.1));
    places.dedup();
    let mut lines: Vec<Line> =
        places.iter().map(|(what, folder)| judge(what, folder, room(folder))).collect();
    lines.append(&mut unknown);
    lines
}

/// Free and all bytes of the disk that a folder is on.
fn room(folder: &Path) -> Option<(f64, f64)> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let block = disk.f_frsize as f64;
    Some((disk.f_bavail as f64 * block, disk.f_blocks as f64 * block))
}

fn judge(what: &str, folder: &Path, room: Option<(f64, f64)>) -> Line {
    let folder = folder.display();
    let Some((free, all)) = room else {
        return Line::unknown(format!("{folder}, for {what}: the room there cannot be read"));
    };
    let found = format!("{:.1} of {:.1} GiB free in {folder}, for {what}", free / GIB, all / GIB);
    if free < SCARCE {
        return Line::warn(
            found,
            "A run keeps each image several times over (engine, registry, archive); free some space \
             or use another disk.",
        );
    }
    if free < SCARCE_SHARE * all {
        return Line::warn(
            found,
            "On a disk this full the engine may throw build cache away in the middle of a run; free \
             some space.",
        );
    }
    Line::ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_disk_without_room_is_warned_of() {
        let of = |free: f64, all: f64| {
            judge("archives", Path::new("/tmp"), Some((free * GIB, all * GIB)))
        };
        assert_eq!(of(42.0, 252.0).state, State::Ok);
        assert_eq!(of(42.0, 252.0).found, "42.0 of 252.0 GiB free in /tmp, for archives");
        assert_eq!(of(1.0, 10.0).state, State::Warn);
        assert_eq!(of(20.0, 1000.0).state, State::Warn);
        assert_eq!(judge("archives", Path::new("/tmp"), None).state, State::Unknown);
    }

    #[test]
    fn the_room_of_this_machine_is_read() {
        let (free, all) = room(Path::new("/")).unwrap();
        assert!(free <= all && all > 0.0);
        assert_eq!(room(Path::new("/nonexistent")), None);
    }
}
