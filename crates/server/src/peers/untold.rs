//! What was taken out of a queue and is not told yet.

/// Goes back where it came from when it is dropped before it was told: also when the task that tells it ends in the middle,
/// because the leader died and this process leads next.
#[derive(Debug)]
pub(super) struct Untold<T, F: FnOnce(T)>(Option<(T, F)>);

impl<T, F: FnOnce(T)> Untold<T, F> {
    /// What is to be told, and what puts it back.
    pub(super) fn new(what: T, put_back: F) -> Self {
        Untold(Some((what, put_back)))
    }

    /// Notes that it was told.
    pub(super) fn told(mut self) {
        self.0 = None;
    }
}

impl<T, F: FnOnce(T)> Drop for Untold<T, F> {
    fn drop(&mut self) {
        if let Some((what, put_back)) = self.0.take() {
            put_back(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[tokio::test]
    async fn what_was_not_told_goes_back() {
        let (sender, back) = channel();
        let untold = |what: &'static str| {
            let sender = sender.clone();
            Untold::new(what, move |what| sender.send(what).unwrap())
        };
        untold("told").told();
        drop(untold("failed"));
        let task = tokio::spawn({
            let untold = untold("in the middle");
            async move {
                std::future::pending::<()>().await;
                untold.told();
            }
        });
        tokio::task::yield_now().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        drop(sender);
        assert_eq!(back.iter().collect::<Vec<_>>(), ["failed", "in the middle"]);
    }
}
