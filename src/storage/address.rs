//! Where the shared storage lies, as it is written in breakeven.toml.

use object_store::path::Path as ObjectPath;
use std::fmt;
use std::path::PathBuf;

/// A kind of object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// `s3://`: Amazon S3, and whatever speaks its language.
    S3,
    /// `gs://`: Google Cloud Storage.
    Gs,
    /// `az://`: Azure Blob Storage.
    Az,
}

impl Provider {
    const ALL: [Self; 3] = [Self::S3, Self::Gs, Self::Az];

    /// What addresses begin with.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gs => "gs",
            Self::Az => "az",
        }
    }

    /// What the names of its environment variables begin with.
    pub(super) const fn variables(self) -> &'static str {
        match self {
            Self::S3 => "AWS_",
            Self::Gs => "GOOGLE_",
            Self::Az => "AZURE_",
        }
    }

    /// What its topmost folders are called.
    pub(super) const fn bucket(self) -> &'static str {
        match self {
            Self::S3 | Self::Gs => "bucket",
            Self::Az => "container",
        }
    }
}

/// Where the shared storage lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A folder.
    Directory(PathBuf),
    /// A part of an object store.
    Bucket {
        /// Whose.
        provider: Provider,
        /// Name of the bucket or container.
        bucket: String,
        /// Path below which everything lies; may be empty.
        prefix: String,
    },
}

impl Address {
    /// Reads an address. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::Directory(text.into()));
        };
        let Some(provider) = Provider::ALL.into_iter().find(|known| known.scheme() == scheme)
        else {
            return Err(format!("`{scheme}://` is no kind of storage"));
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(format!("it names no {}", provider.bucket()));
        }
        // Whoever writes credentials into an address finds them in every report.
        if !bucket.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')) {
            return Err(format!("it begins with no name of a {}", provider.bucket()));
        }
        let prefix = prefix.trim_end_matches('/');
        let valid = ObjectPath::parse(prefix).is_ok_and(|path| path.as_ref() == prefix);
        if !valid || prefix.contains(['?', '#']) {
            return Err(format!("`{prefix}` cannot be a path in a {}", provider.bucket()));
        }
        Ok(Self::Bucket { provider, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

/// What [`Address::parse`] wants.
pub const ADDRESS: &str = "allowed: a folder, \"s3://bucket/prefix\", \"gs://bucket/prefix\" or \"az://container/prefix\"";

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(folder) => folder.display().fmt(f),
            Self::Bucket { provider, bucket, prefix } => {
                write!(f, "{}://{bucket}", provider.scheme())?;
                if prefix.is_empty() { Ok(()) } else { write!(f, "/{prefix}") }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        for (text, provider, bucket, prefix) in [
            ("s3://b", Provider::S3, "b", ""),
            ("s3://b/", Provider::S3, "b", ""),
            ("s3://my-bucket.eu/a/b c/", Provider::S3, "my-bucket.eu", "a/b c"),
            ("gs://b_1/p", Provider::Gs, "b_1", "p"),
            ("az://container/p", Provider::Az, "container", "p"),
        ] {
            let address = Address::parse(text).unwrap();
            let (bucket, prefix) = (bucket.to_owned(), prefix.to_owned());
            assert_eq!(address, Address::Bucket { provider, bucket, prefix });
            assert_eq!(address.to_string(), text.trim_end_matches('/'));
        }
        for folder in ["/mnt/share", "share", "s3:/x"] {
            assert_eq!(Address::parse(folder), Ok(Address::Directory(folder.into())));
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, why) in [
            ("s3://", "no bucket"),
            ("az:///p", "no container"),
            ("ftp://b/p", "`ftp://`"),
            ("https://b.s3.amazonaws.com/p", "`https://`"),
            ("s3://key:secret@b/p", "no name of a bucket"),
            ("s3://b/a//b", "cannot be a path"),
            ("s3://b/../b", "cannot be a path"),
            ("s3://b/p?versionId=1", "cannot be a path"),
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
