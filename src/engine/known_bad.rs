//! Engine versions that are known to get build caches wrong (trap 31). As of November 2026; a
//! version that is not listed is not thereby good.

/// A fault in a range of engine versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownBad {
    /// First version that has it, as numbers.
    pub first: (u32, u32, u32),
    /// Last version that is known to have it.
    pub last: (u32, u32, u32),
    /// Storage driver that it takes, if not any.
    pub store: Option<&'static str>,
    /// What is wrong.
    pub what: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// Where it is told.
    pub source: &'static str,
}

/// All that are known, oldest first.
pub const KNOWN_BAD: [KnownBad; 7] = [
    KnownBad {
        first: (20, 10, 0),
        last: (20, 10, 3),
        store: None,
        what: "an imported inline cache with empty layers matches wrongly: steps after a COPY may \
               be left out of the image",
        advice: "Use Engine 20.10.4 or later",
        source: "moby/buildkit issue 1981, moby/moby pull request 42061",
    },
    KnownBad {
        first: (20, 10, 0),
        last: (20, 10, 6),
        store: None,
        what: "a step with a bind mount is taken from the cache although what it mounts has changed",
        advice: "Use Engine 20.10.7 or later",
        source: "moby/buildkit pull request 2076, release notes of 20.10.7",
    },
    KnownBad {
        first: (20, 10, 0),
        last: (26, 1, 5),
        store: Some("overlay2"),
        what: "a build that imports an inline cache and writes one itself may lose records of the \
               imported one, so that hits come and go from build to build",
        advice: "Use Engine 27 or later, or the containerd image store",
        source: "moby/buildkit issue 2274, moby/buildkit pull request 4796",
    },
    KnownBad {
        first: (23, 0, 0),
        last: (23, 0, 0),
        store: None,
        what: "a build that writes an inline cache crashes the daemon",
        advice: "Use Engine 23.0.1 or later",
        source: "moby/moby issue 44918, moby/moby pull request 44944",
    },
    KnownBad {
        first: (23, 0, 0),
        last: (23, 0, 0),
        store: None,
        what: "layers that an earlier version cached are loaded wrongly",
        advice: "Use Engine 23.0.1 or later",
        source: "moby/moby pull request 44959",
    },
    KnownBad {
        first: (23, 0, 0),
        last: (23, 0, 3),
        store: None,
        what: "layers from a cache folder (`type=local`) are lost to the next build on the same \
               engine, which then fails",
        advice: "Use Engine 23.0.4 or later",
        source: "moby/buildkit issue 3770, docker/buildx issue 1325, moby/moby pull request 45330",
    },
    KnownBad {
        first: (27, 0, 0),
        last: (27, 1, 1),
        store: Some("overlay2"),
        what: "the inline cache of a loaded image is not found",
        advice: "Use Engine 26.1 or a later one than 27.1, and see that its steps hit",
        source: "moby/buildkit issue 5242",
    },
];

/// What is known against this version and storage driver.
pub fn known_bad(version: &str, store: &str) -> Vec<&'static KnownBad> {
    let Some(version) = numbers(version) else { return Vec::new() };
    KNOWN_BAD
        .iter()
        .filter(|bad| bad.first <= version && version <= bad.last)
        .filter(|bad| bad.store.is_none_or(|only| only == store))
        .collect()
}

/// `20.10.24+dfsg1` as `(20, 10, 24)`.
fn numbers(version: &str) -> Option<(u32, u32, u32)> {
    let plain = version.split(['+', '-', '~']).next()?;
    let mut parts = plain.split('.').map(str::parse::<u32>);
    let mut next = || parts.next().unwrap_or(Ok(0)).ok();
    Some((next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_packagers_write_them() {
        assert_eq!(numbers("20.10.24+dfsg1"), Some((20, 10, 24)));
        assert_eq!(numbers("27.0.0-rc.1"), Some((27, 0, 0)));
        assert_eq!(numbers("29"), Some((29, 0, 0)));
        assert_eq!(numbers("dev"), None);
        assert_eq!(numbers(""), None);
    }

    #[test]
    fn a_version_is_bad_within_its_range_and_store_only() {
        let issues = |version, store| -> Vec<&str> {
            known_bad(version, store).iter().map(|bad| bad.source).collect()
        };
        assert_eq!(issues("20.10.2", "vfs").len(), 2);
        assert_eq!(issues("20.10.24+dfsg1", "overlay2").len(), 1);
        assert_eq!(issues("26.1.5+dfsg1", "overlayfs"), Vec::<&str>::new());
        assert_eq!(issues("27.1.1", "overlay2").len(), 1);
        assert_eq!(issues("27.1.2", "overlay2"), Vec::<&str>::new());
        assert_eq!(issues("23.0.0", "overlay2").len(), 4);
        assert_eq!(issues("23.0.4", "overlayfs"), Vec::<&str>::new());
    }

    #[test]
    fn every_entry_says_where_it_is_told_and_what_to_do() {
        for bad in KNOWN_BAD {
            assert!(bad.first <= bad.last, "{bad:?}");
            assert!(bad.source.contains("issue") || bad.source.contains("pull request"), "{bad:?}");
            assert!(bad.advice.starts_with("Use"), "{bad:?}");
        }
    }
}
