//! The shared storage on a disk that is full.

use breakeven::model::ArchiveName;
use breakeven::storage;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system of 3 MiB, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf) -> Self {
        std::fs::create_dir(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "breakeven-test"])
            .arg(&at)
            .status();
        assert!(mounted.unwrap().success(), "this test needs to mount a tmpfs: run it as root");
        Self(at)
    }

    fn files(&self) -> Vec<PathBuf> {
        let all = walkdir::WalkDir::new(&self.0).into_iter().map(|found| found.unwrap());
        all.filter(|found| found.file_type().is_file()).map(|found| found.into_path()).collect()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_named_and_nothing_half_written_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(dir.path().join("disk"));
    let big = dir.path().join("big.tar");
    std::fs::write(&big, vec![7; 24 << 20]).unwrap();
    let small = dir.path().join("small.tar");
    std::fs::write(&small, vec![7; 1 << 20]).unwrap();
    let archive = ArchiveName("main.tar".to_owned());
    let address = disk.0.display().to_string();
    let access = storage::Access::default();

    let full = storage::open(Some(&address), "r", Path::new("/nowhere"), &access).await.unwrap();
    full.store(&small, &archive).await.unwrap();
    let error = full.store(&big, &archive).await.unwrap_err().to_string();
    assert!(error.contains("store main.tar") && error.contains("is full"), "{error}");
    assert!(error.contains(&address) && error.contains("Free some space"), "{error}");
    // The archive that was there before is untouched.
    assert_eq!(disk.files().len(), 1);
    let fetched = dir.path().join("fetched.tar");
    assert_eq!(full.fetch(&archive, &fetched).await.unwrap(), Some(1 << 20));

    // The other way round: fetching onto a full disk.
    let roomy = storage::open(None, "r", dir.path(), &access).await.unwrap();
    roomy.store(&big, &archive).await.unwrap();
    let error = roomy.fetch(&archive, &disk.0.join("big.tar")).await.unwrap_err().to_string();
    assert!(error.contains("is full"), "{error}");
    assert_eq!(disk.files().len(), 1);
    full.close().await.unwrap();
    roomy.close().await.unwrap();
    assert!(!dir.path().join("breakeven-r").exists());
}
