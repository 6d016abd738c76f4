//! One thread for the reading and building of batches. A pool's threads take turns, and each keeps what such work needed:
//! memory that nobody uses, once for every thread.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{LazyLock, Mutex, PoisonError, mpsc},
    thread,
};

use tokio::{runtime::Handle, sync::oneshot};

use super::StoreError;

type Job = Box<dyn FnOnce() + Send>;

/// Lives as long as the process; none where there was no room for a thread.
static JOBS: LazyLock<Mutex<Option<mpsc::Sender<Job>>>> = LazyLock::new(|| {
    let (sender, jobs) = mpsc::channel::<Job>();
    let work = move || {
        for job in jobs {
            // Whoever waits for it is told by the loss of its answer.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    };
    let thread = thread::Builder::new()
        .name("batches".to_owned())
        .spawn(work);
    Mutex::new(thread.is_ok().then_some(sender))
});

/// Does some work on the thread, after what was asked for before. It is done even if nobody waits for it any more.
///
/// # Errors
/// [`StoreError::Failed`] where the work panics, or there is no thread.
pub async fn at_workbench<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    let (tell, told) = oneshot::channel();
    let runtime = Handle::current();
    let job = Box::new(move || {
        // A connection of a pool that nobody takes back finds its way home from within the runtime alone.
        let _within = runtime.enter();
        // Whoever asked may have gone.
        let _ = tell.send(work());
    });
    let is_begun = {
        let jobs = JOBS.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok())
    };
    if !is_begun {
        return Err(StoreError::Failed(
            "there is no thread to read batches on; is the machine out of memory?".to_owned(),
        ));
    }
    told.await
        .map_err(|_| StoreError::Failed("the work on a batch panicked".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_goes_on_after_one_that_panics() {
        let failed = at_workbench(|| panic!("planned")).await;
        assert!(matches!(failed, Err::<(), _>(StoreError::Failed(_))));
        let thread = || thread::current().id();
        let first = at_workbench(thread).await.expect("an answer");
        assert_eq!(at_workbench(thread).await.expect("an answer"), first);
        assert_ne!(thread(), first);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_goes_within_the_runtime() {
        #[derive(Debug)]
        struct Unwanted(mpsc::Sender<bool>);
        impl Drop for Unwanted {
            fn drop(&mut self) {
                // The test listens.
                let _ = self.0.send(Handle::try_current().is_ok());
            }
        }
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let (tell, was_within) = mpsc::channel();
        let asker = tokio::spawn(at_workbench(move || {
            may_go_on.recv().unwrap();
            Unwanted(tell)
        }));
        tokio::task::yield_now().await;
        asker.abort();
        assert!(asker.await.unwrap_err().is_cancelled());
        go_on.send(()).unwrap();
        assert!(was_within.recv().unwrap());
    }
}
