//! Asking an actor something with a bound on the patience, whatever state the actor is in.

use std::time::Duration;

use actix::{MailboxError, Message, Recipient};

/// How long a caller waits for an actor that is being restarted or is overloaded.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Why an actor did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The actor failed over this very message and is being restarted.
    #[error(
        "the part of the service that was asked failed and is being restarted; ask again in a moment"
    )]
    Restarting,
    /// No answer came in time.
    #[error("the part of the service that was asked did not answer in time; ask again in a moment")]
    TimedOut,
}

/// Sends a message and waits for the answer, at most [`PATIENCE`].
///
/// # Errors
/// When the actor fails meanwhile or does not answer in time.
pub async fn ask<M>(recipient: &Recipient<M>, message: M) -> Result<M::Result, AskError>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    ask_within(recipient, message, PATIENCE).await
}

/// Sends a message and waits for the answer, at most `patience`.
///
/// # Errors
/// When the actor fails meanwhile or does not answer in time.
pub async fn ask_within<M>(
    recipient: &Recipient<M>,
    message: M,
    patience: Duration,
) -> Result<M::Result, AskError>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    match tokio::time::timeout(patience, recipient.send(message)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(MailboxError::Closed)) => Err(AskError::Restarting),
        Ok(Err(MailboxError::Timeout)) | Err(_) => Err(AskError::TimedOut),
    }
}

/// Sends a message whose answer nobody needs. A full mailbox or a restart in progress is logged, for the
/// message is lost then: only for news that will be told again.
pub fn tell<M>(recipient: &Recipient<M>, message: M)
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    if let Err(error) = recipient.try_send(message) {
        tracing::warn!(message = std::any::type_name::<M>(), %error, "a message could not be delivered");
    }
}
