//! What an object store's errors say, in words, without what must not be said.

use super::StorageError;
use super::address::Provider;
use object_store::Error as StoreError;
use std::error::Error;
use std::io;

/// What an operation failed with.
pub(super) type Cause = Box<dyn Error + Send + Sync>;

/// Says what went wrong in an object store.
pub(super) struct Teller {
    provider: Provider,
    /// Everything of the run lies here.
    address: String,
    /// Texts that no message may hold.
    secrets: Vec<String>,
    /// Whether the environment names credentials.
    credentials: bool,
}

/// Variables that hold credentials, or say where they are.
const CREDENTIALS: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_SKIP_SIGNATURE",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_USE_AZURE_CLI",
    "AZURE_SKIP_SIGNATURE",
];

impl Teller {
    pub(super) fn new(
        provider: Provider,
        address: String,
        environment: &[(String, String)],
    ) -> Self {
        let ours = || environment.iter().filter(|(name, _)| name.starts_with(provider.variables()));
        let secret = |name: &str| {
            ["SECRET", "TOKEN", "KEY", "SAS", "PASSWORD"].iter().any(|word| name.contains(word))
        };
        let secrets = ours().filter(|(name, value)| secret(name) && value.len() > 3);
        Self {
            provider,
            address,
            secrets: secrets.map(|(_, value)| value.clone()).collect(),
            credentials: ours().any(|(name, _)| CREDENTIALS.contains(&name.as_str())),
        }
    }

    /// The error of an operation.
    pub(super) fn tell(&self, operation: &str, archive: &str, cause: &Cause) -> StorageError {
        let answer = Answer::of(cause.as_ref());
        let mut said = answer.said.clone();
        for secret in &self.secrets {
            said = said.replace(secret, "***");
        }
        StorageError {
            operation: operation.to_owned(),
            archive: archive.to_owned(),
            address: self.address.clone(),
            advice: self.advice(&answer, cause.as_ref()),
            cause: said,
        }
    }

    fn advice(&self, answer: &Answer, cause: &(dyn Error + 'static)) -> String {
        let (bucket, scheme) = (self.provider.bucket(), self.provider.scheme());
        if is_full(cause) {
            return "Free some space there or use another disk; nothing half-written was left."
                .to_owned();
        }
        if cause.downcast_ref::<StoreError>().is_none() {
            return "Nothing half-stored or half-fetched was left.".to_owned();
        }
        if answer.is_missing_bucket() {
            return format!("Make the {bucket}, or name another in breakeven.toml (storage).");
        }
        let keys = match self.provider {
            Provider::S3 => {
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN, if they are \
                 temporary; ~/.aws is not read, `aws configure export-credentials` prints them)"
            }
            Provider::Gs => {
                "GOOGLE_APPLICATION_CREDENTIALS (the path of a file of credentials) or \
                 GOOGLE_SERVICE_ACCOUNT_KEY"
            }
            Provider::Az => {
                "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or \
                 AZURE_STORAGE_SAS_TOKEN)"
            }
        };
        if matches!(answer.status, Some(401 | 403)) {
            return format!(
                "They must be allowed to list, read, write and delete below this address; they \
                 come from {keys}."
            );
        }
        if answer.said.contains("URL scheme is not allowed") {
            return format!(
                "The endpoint begins with http://: set {}ALLOW_HTTP=true if that is meant, or use \
                 https://.",
                self.provider.variables()
            );
        }
        if !self.credentials && answer.status.is_none_or(|status| status < 500) {
            return format!("No credentials for {scheme}:// were found: set {keys}.");
        }
        match answer.status {
            Some(500..) => "The store itself failed, and it is not asked a second time while \
                            something is measured; try again when it is well."
                .to_owned(),
            Some(301 | 307 | 400) => format!(
                "Check the region and the endpoint ({0}REGION, {0}ENDPOINT_URL).",
                self.provider.variables()
            ),
            _ => format!(
                "Check the network, a proxy, and the endpoint ({}*, see docs/storage.md).",
                self.provider.variables()
            ),
        }
    }
}

/// What a store answered, as far as its errors show it.
#[derive(Debug, PartialEq)]
struct Answer {
    status: Option<u16>,
    /// The store's own name of the error.
    code: Option<String>,
    said: String,
}

impl Answer {
    fn of(error: &(dyn Error + 'static)) -> Self {
        let innermost = innermost(error);
        // object_store keeps its types of these to itself and gives their text.
        let mut texts = vec![error.to_string()];
        let mut next = error.source();
        while let Some(cause) = next {
            texts.push(cause.to_string());
            next = cause.source();
        }
        let with_status = texts.iter().rev().find_map(|text| {
            let (_, rest) = text.split_once("status code: ")?;
            Some((rest.split(' ').next()?.parse().ok()?, rest))
        });
        let body = with_status.map_or(innermost.as_str(), |(_, rest)| rest);
        let status = with_status.map(|(status, _)| status);
        let tag = |name: &str| between(body, &format!("<{name}>"), &format!("</{name}>"));
        let json = |name: &str| between(body, &format!("\"{name}\": \""), "\"");
        let code = tag("Code").or_else(|| json("status"));
        let message = tag("Message").or_else(|| json("message"));
        let said = match (status, &code, &message) {
            (Some(status), Some(code), Some(message)) => {
                format!("it answered {status} {code}: {message}")
            }
            (Some(status), Some(code), None) => format!("it answered {status} {code}"),
            (Some(status), None, Some(message)) => format!("it answered {status}: {message}"),
            (Some(status), None, None) => format!("it answered {status}"),
            (None, Some(code), Some(message)) => format!("it answered {code}: {message}"),
            (None, ..) => innermost,
        };
        // One line, without the end of a sentence, which the error puts there.
        let said = said.lines().next().unwrap_or_default().trim_end_matches(['.', ' ']).to_owned();
        Self { status, code, said }
    }

    fn is_missing_bucket(&self) -> bool {
        // Google has no code for it.
        self.code.as_deref().is_some_and(|code| {
            ["NoSuchBucket", "ContainerNotFound", "InvalidBucketName"].contains(&code)
        }) || (self.status == Some(404) && self.said.contains("bucket does not exist"))
    }
}

fn between(text: &str, from: &str, to: &str) -> Option<String> {
    let (_, rest) = text.split_once(from)?;
    Some(rest.split_once(to)?.0.trim().to_owned())
}

/// Whether what is not found is the whole bucket.
pub(super) fn is_missing_bucket(error: &StoreError) -> bool {
    Answer::of(error).is_missing_bucket()
}

pub(super) fn is_full(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        {
            return true;
        }
        next = error.source();
    }
    false
}

/// The last cause, which says what happened without saying it three times.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
