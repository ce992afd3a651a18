//! Asking again where an engine refuses only for the moment.

use super::{PAUSE, RETRIES};
use crate::engine::EngineError;

/// Asks again when the engine refuses only for the moment: because an image or layer went away
/// while it was listing ("layer … was not found (corruption?)"), or because it answers somebody
/// else's same question ("a disk usage operation is already running", before API 1.42), or because
/// the container of a build that was broken off is still being removed.
pub(super) async fn patiently<T, F>(mut ask: impl FnMut() -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, EngineError>>,
{
    for _ in 0..RETRIES {
        match ask().await {
            Err(error) if momentary(&error) => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
    ask().await
}

fn momentary(error: &EngineError) -> bool {
    let text = error.to_string();
    let signs =
        ["was not found", "No such image", "image list", "already running", "is being used by"];
    signs.iter().any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_is_asked_for_again_while_the_engine_is_busy() {
        let failed = |cause: &str| EngineError::Failed {
            operation: "list".into(),
            reference: "images".into(),
            cause: cause.into(),
        };
        let mut asked = 0;
        let answer = patiently(|| {
            asked += 1;
            let busy = asked < 3;
            async move {
                if busy { Err(failed("a disk usage operation is already running")) } else { Ok(7) }
            }
        });
        assert_eq!(answer.await.unwrap(), 7);
        let mut asked = 0;
        let answer: Result<(), _> = patiently(|| {
            asked += 1;
            async { Err(failed("permission denied")) }
        })
        .await;
        assert!(answer.is_err());
        assert_eq!(asked, 1);
    }
}
