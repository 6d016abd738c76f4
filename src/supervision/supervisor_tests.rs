//! Every way in which an actor can fail, and what its callers see.

use std::{cell::Cell, rc::Rc};

use actix::{
    ActorContext, ActorFutureExt, AsyncContext, Handler, Message, MessageResult, WrapFuture,
};
use chrono::DateTime;

use super::*;
use crate::supervision::ask::{AskError, ask_within};

struct Fragile {
    starts: Rc<Cell<u32>>,
    counter: u32,
    progress: Progress,
}

impl Actor for Fragile {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.starts.set(self.starts.get() + 1);
    }
}

impl Supervised for Fragile {
    fn restarting(&mut self, _: &mut Self::Context) {
        self.counter = 0;
    }
}

impl SupervisedActor for Fragile {
    const NAME: &'static str = "fragile";

    fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "u32")]
enum Order {
    Count,
    Panic,
    PanicInFuture,
    PanicInTimer,
    Stop,
    Wedge,
}

impl Handler<Order> for Fragile {
    type Result = MessageResult<Order>;

    fn handle(&mut self, order: Order, context: &mut Self::Context) -> Self::Result {
        self.counter += 1;
        match order {
            Order::Count => {}
            Order::Panic => panic!("asked to"),
            Order::PanicInFuture => {
                context.spawn(async { panic!("in a future") }.into_actor(self));
            }
            Order::PanicInTimer => {
                context.spawn(
                    async {}
                        .into_actor(self)
                        .then(|(), _, _| -> actix::fut::Ready<()> { panic!("in a timer") }),
                );
            }
            Order::Stop => context.stop(),
            Order::Wedge => {
                let work = self.progress.begin("a wedged piece", Duration::MAX);
                context.spawn(
                    async move {
                        let _work = work;
                        std::future::pending::<()>().await;
                    }
                    .into_actor(self),
                );
            }
        }
        MessageResult(self.counter)
    }
}

struct Rig {
    clock: Clock,
    board: Board,
    address: Addr<Fragile>,
    starts: Rc<Cell<u32>>,
    escalations: mpsc::UnboundedReceiver<Escalation>,
}

fn rig() -> Rig {
    let clock = Clock::manual(DateTime::UNIX_EPOCH);
    let board = Board::new(clock.clone(), Arc::new(|_, _| {}));
    let limit = IntensityLimit {
        restarts: 3,
        within: Duration::from_secs(60),
    };
    let (supervisor, escalations) = Supervisor::new(clock.clone(), board.clone(), limit);
    let seat = Seat::with_capacity(16);
    let (address, starts) = (seat.address(), Rc::new(Cell::new(0)));
    supervisor.start(
        seat,
        Fragile {
            starts: starts.clone(),
            counter: 0,
            progress: Progress::new(Some(Duration::from_millis(10))),
        },
    );
    Rig {
        clock,
        board,
        address,
        starts,
        escalations,
    }
}

impl Rig {
    async fn order(&self, order: Order) -> Result<u32, AskError> {
        ask_within(
            &self.address.clone().recipient(),
            order,
            Duration::from_secs(5),
        )
        .await
    }

    async fn settle(&self) {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    async fn recover(&self) {
        self.settle().await;
        self.clock.advance(Duration::from_secs(10));
        self.settle().await;
    }
}

#[actix::test]
async fn a_panic_answers_its_caller_at_once_and_spares_those_behind() {
    let rig = rig();
    assert_eq!(rig.order(Order::Count).await, Ok(1));
    let (failed, behind, ()) = tokio::join!(
        rig.order(Order::Panic),
        rig.order(Order::Count),
        rig.recover()
    );
    assert_eq!(failed, Err(AskError::Restarting));
    assert_eq!(behind, Ok(1), "fresh state, same mailbox");
    let entry = rig.board.actors().remove(0);
    assert_eq!(
        (
            entry.restarts,
            entry.generation,
            entry.last_failure.as_deref()
        ),
        (1, 2, Some("asked to"))
    );
    assert_eq!(entry.state, ActorState::Running);
    assert_eq!(rig.starts.get(), 2);
}

#[actix::test]
async fn futures_timers_and_unasked_stops_are_failures_too() {
    for (order, words) in [
        (Order::PanicInFuture, "in a future"),
        (Order::PanicInTimer, "in a timer"),
        (Order::Stop, "the actor stopped without being asked"),
    ] {
        let rig = rig();
        let _ = rig.order(order).await;
        rig.recover().await;
        assert_eq!(rig.order(Order::Count).await, Ok(1), "{order:?}");
        assert_eq!(rig.board.actors()[0].last_failure.as_deref(), Some(words));
    }
}

#[actix::test]
async fn too_many_failures_escalate() {
    let mut rig = rig();
    for _ in 0..4 {
        assert_eq!(rig.order(Order::Panic).await, Err(AskError::Restarting));
        rig.recover().await;
    }
    let escalation = rig.escalations.recv().await.expect("an escalation");
    assert_eq!(
        (escalation.actor, escalation.failure.as_str()),
        ("fragile", "asked to")
    );
    assert_eq!(rig.order(Order::Count).await, Err(AskError::Restarting));
    assert_eq!(rig.board.actors()[0].state, ActorState::Stopped);
}

#[actix::test]
async fn failures_far_apart_never_escalate() {
    let mut rig = rig();
    for _ in 0..10 {
        assert_eq!(rig.order(Order::Panic).await, Err(AskError::Restarting));
        rig.recover().await;
        rig.clock.advance(Duration::from_secs(30));
    }
    assert!(rig.escalations.try_recv().is_err());
    assert_eq!(rig.order(Order::Count).await, Ok(1));
}

#[actix::test]
async fn an_actor_without_progress_is_restarted_and_loses_nothing_that_waits() {
    let rig = rig();
    assert_eq!(rig.order(Order::Wedge).await, Ok(1));
    while rig.board.actors()[0].restarts == 0 {
        Clock::system().sleep(Duration::from_millis(5)).await;
    }
    rig.recover().await;
    assert_eq!(rig.order(Order::Count).await, Ok(1), "fresh state");
    let entry = rig.board.actors().remove(0);
    let words = entry.last_failure.expect("a failure");
    assert!(words.contains("a wedged piece"), "{words}");
    assert_eq!(entry.restarts, 1, "once");
}
