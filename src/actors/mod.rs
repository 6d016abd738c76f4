//! Who hears the messages. Every actor is rebuilt from its parts when it is restarted; work in flight is
//! found again in the Sync Database.

pub mod api_client;
pub mod config_downloader;
pub mod connectivity_monitor;
pub mod database_writer;
pub mod heartbeat;
pub mod sync_manager;

use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, SpawnHandle};

use crate::clock::Clock;

/// Work has bounds of its own; what goes so far beyond them is wedged.
const STANDSTILL_MARGIN: Duration = Duration::from_secs(30);

/// Lets an actor do something after a while. Ends with the actor's present life.
fn after<A>(
    clock: &Clock,
    delay: Duration,
    context: &mut Context<A>,
    act: impl FnOnce(&mut A, &mut Context<A>) + 'static,
) -> SpawnHandle
where
    A: Actor<Context = Context<A>>,
{
    let clock = clock.clone();
    let sleeping = actix::fut::wrap_future::<_, A>(async move { clock.sleep(delay).await });
    context.spawn(sleeping.map(move |(), actor, context| act(actor, context)))
}

/// The same in the place of an earlier one, if any, that has not come about yet.
fn after_instead<A>(
    previous: Option<SpawnHandle>,
    clock: &Clock,
    delay: Duration,
    context: &mut Context<A>,
    act: impl FnOnce(&mut A, &mut Context<A>) + 'static,
) -> SpawnHandle
where
    A: Actor<Context = Context<A>>,
{
    if let Some(previous) = previous {
        context.cancel_future(previous);
    }
    after(clock, delay, context, act)
}

/// Lets an actor wait for something and then act on what came of it. Ends with the actor's present life.
fn when_done<A, T: 'static>(
    work: impl Future<Output = T> + 'static,
    context: &mut Context<A>,
    act: impl FnOnce(T, &mut A, &mut Context<A>) + 'static,
) -> SpawnHandle
where
    A: Actor<Context = Context<A>>,
{
    context.spawn(actix::fut::wrap_future::<_, A>(work).map(act))
}
