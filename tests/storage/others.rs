//! Google Cloud Storage and Azure Blob Storage, as far as that goes without a server of theirs:
//! everything goes to a proxy of ours on loopback, which answers in their words.

use crate::front::{self, Fault};
use crate::rig::{open, texts};
use breakeven::storage::Access;

const GOOGLE: &str = "<?xml version='1.0'?><Error><Code>NoSuchBucket</Code><Message>The specified \
                      bucket does not exist.</Message></Error>";
const AZURE: &str = "<?xml version='1.0'?><Error><Code>ContainerNotFound</Code><Message>The \
                     specified container does not exist.</Message></Error>";
/// Base64 of nothing secret.
const AZURE_KEY: &str = "bm90IGEgc2VjcmV0";

struct Case {
    address: &'static str,
    /// Body of every answer, which is 404.
    answer: &'static str,
    environment: &'static [(&'static str, &'static str)],
    wanted: &'static [&'static str],
}

#[tokio::test]
async fn what_is_missing_is_said_in_the_words_of_each() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [
        Case {
            address: "gs://b/p",
            answer: "",
            environment: &[],
            wanted: &["No credentials", "GOOGLE_APPLICATION_CREDENTIALS"],
        },
        Case {
            address: "gs://b/p",
            answer: GOOGLE,
            environment: &[
                ("GOOGLE_SKIP_SIGNATURE", "true"),
                ("GOOGLE_BASE_URL", "http://127.0.0.1:1"),
                ("GOOGLE_ALLOW_HTTP", "true"),
            ],
            wanted: &["NoSuchBucket", "Make the bucket"],
        },
        Case {
            address: "az://c/p",
            answer: "",
            environment: &[],
            wanted: &["ccount", "AZURE_STORAGE_ACCOUNT_NAME"],
        },
        Case {
            address: "az://c/p",
            answer: "",
            environment: &[("AZURE_STORAGE_ACCOUNT_NAME", "a")],
            wanted: &["No credentials", "AZURE_STORAGE_ACCOUNT_KEY"],
        },
        Case {
            address: "az://c/p",
            answer: AZURE,
            environment: &[
                ("AZURE_STORAGE_ACCOUNT_NAME", "a"),
                ("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY),
                ("AZURE_STORAGE_ENDPOINT", "http://127.0.0.1:1"),
                ("AZURE_ALLOW_HTTP", "true"),
            ],
            wanted: &["ContainerNotFound", "Make the container"],
        },
    ];
    for Case { address, answer, environment, wanted } in cases {
        let proxy = front::start("127.0.0.1:1", move |_| Fault::Answer(404, answer)).await;
        let access = Access {
            proxy: Some(format!("http://{proxy}")),
            environment: texts(environment),
            ..Access::default()
        };
        let error = open(&access, address, dir.path()).await.err().unwrap().to_string();
        for wanted in wanted {
            assert!(error.contains(wanted), "{address}, {environment:?}: {error}");
        }
        assert!(!error.contains(AZURE_KEY), "{error}");
    }
}
