//! Who is let in: by which names the machine is called, whose pages may ask, and who may look or change. Judged for every
//! route alike, before anything is done.

mod attempts;
mod door;
mod need;
mod origins;
mod sessions;
mod tokens;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use actix_web::{HttpRequest, dev::RequestHead, http::header::AUTHORIZATION};

use self::{attempts::Attempts, sessions::Sessions, tokens::Digest};
pub(super) use self::{
    door::{admit, guard, problem},
    need::needed,
    origins::cors,
    sessions::LONGEST,
};
pub use self::{origins::Rules, tokens::Tokens};
use crate::{
    clock::Clock,
    domain::access::{Grant, Rejection},
};

/// Who is let in at one service. Cheap to clone; all clones know the same.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    rules: Rules,
    tokens: RwLock<Tokens>,
    /// Grows with every change of the tokens: whoever was let in by earlier ones is not any more.
    generation: AtomicU64,
    attempts: Mutex<Attempts>,
    sessions: Mutex<Sessions>,
    clock: Clock,
}

/// Somebody who was let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) grant: Grant,
    session: Option<Digest>,
    generation: u64,
}

impl Caller {
    /// Whether it is a person who has logged in.
    pub(super) fn has_session(&self) -> bool {
        self.session.is_some()
    }
}

/// What became of tokens that were to take the place of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenChange {
    /// They are the same.
    Same,
    /// They are in force.
    Taken,
    /// A service that other machines reach keeps its control token rather than having none.
    Refused,
}

/// Why somebody was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) rejection: Rejection,
    /// How long wrong tokens from there are sent away unread.
    pub(super) wait: Duration,
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self {
            rejection,
            wait: Duration::ZERO,
        }
    }
}

impl Access {
    /// By these rules and tokens.
    pub fn new(rules: Rules, tokens: Tokens, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            rules,
            tokens: RwLock::new(tokens),
            generation: AtomicU64::new(0),
            attempts: Mutex::default(),
            sessions: Mutex::default(),
            clock,
        }))
    }

    /// Takes other tokens from now on; whoever has logged in has to do so again.
    pub fn change_tokens(&self, tokens: Tokens) -> TokenChange {
        let mut known = self
            .0
            .tokens
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let opens_to_all = !tokens.ask_for_control() && !self.0.rules.listens_on.is_loopback();
        if *known == tokens {
            return TokenChange::Same;
        }
        if opens_to_all {
            return TokenChange::Refused;
        }
        *known = tokens;
        self.0.generation.fetch_add(1, Ordering::Relaxed);
        self.sessions().end_all();
        TokenChange::Taken
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.0.rules
    }

    /// Whether a token lets anybody do more than having none.
    pub(super) fn knows_tokens(&self) -> bool {
        self.tokens().ask_for_control()
    }

    /// Who asks, where what is asked for needs a grant.
    pub(super) fn judge(&self, request: &HttpRequest, need: Grant) -> Result<Caller, Refused> {
        let caller = self.recognise(request)?;
        match caller {
            Some(caller) if caller.grant >= need => Ok(caller),
            Some(caller) if self.is_known(&caller, request) => Err(Rejection::LooksOnly.into()),
            _ => Err(Rejection::NoToken.into()),
        }
    }

    fn is_known(&self, caller: &Caller, request: &HttpRequest) -> bool {
        caller.has_session() || bearer(request.head()).is_some()
    }

    /// Who asks: by a token, else by a session, else as somebody nobody knows. None for whom nothing is open.
    fn recognise(&self, request: &HttpRequest) -> Result<Option<Caller>, Refused> {
        // Before anything is compared: tokens that change meanwhile end what begins here.
        let generation = self.0.generation.load(Ordering::Relaxed);
        let caller = |grant, session| Caller {
            grant,
            session,
            generation,
        };
        if !self.knows_tokens() {
            return Ok(Some(caller(Grant::Change, None)));
        }
        if let Some(token) = bearer(request.head()) {
            let grant = self.try_token(&self.tokens(), token, peer(request))?;
            return Ok(Some(caller(grant, None)));
        }
        if let Some((session, grant)) = self.session_of(request) {
            return Ok(Some(caller(grant, Some(session))));
        }
        if let Some(grant) = self.grant_of_frontend(request) {
            return Ok(Some(caller(grant, None)));
        }
        let of_strangers = self.grant_of_strangers();
        Ok(of_strangers.map(|grant| caller(grant, None)))
    }

    /// What a token lets do. Wrong ones are counted by the place they come from, and too many from there are sent away.
    ///
    /// A right one is always taken: on one machine, whoever guesses and whoever operates come from the same address, and it
    /// must not be possible to lock the operator out by guessing. So it is the length of the tokens that makes guessing
    /// hopeless (the settings take none below 16 characters), and not the waiting: with a connection for every guess, 64
    /// random bits outlast any patience. The waiting keeps the log, and whoever goes on with an old token, within bounds.
    fn try_token(&self, tokens: &Tokens, token: &[u8], place: IpAddr) -> Result<Grant, Refused> {
        let grant = tokens.grant_of(token);
        let now = self.0.clock.elapsed();
        let mut attempts = self.attempts();
        // Looked up in any case, so that the time tells nothing either.
        let wait = attempts.wait(place, now);
        match (grant, wait) {
            (Some(grant), _) => Ok(grant),
            (None, Some(wait)) => Err(Refused {
                rejection: Rejection::TooManyWrongTokens,
                wait,
            }),
            (None, None) => {
                attempts.note(place, now);
                Err(Rejection::WrongToken.into())
            }
        }
    }

    /// Begins a session for whoever has a token, in the place of an earlier one; answers with what the browser shows from
    /// then on.
    pub(super) fn log_in(&self, request: &HttpRequest, token: &str) -> Result<String, Refused> {
        // Held until the session is there, so that tokens that change end it as well.
        let tokens = self.0.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let grant = self.try_token(&tokens, token.as_bytes(), peer(request))?;
        self.log_out(request);
        Ok(self.sessions().begin(grant, self.0.clock.elapsed()))
    }

    /// The page that asks, where it tells of itself and is none of the service's own.
    pub(super) fn page_of_others(&self, request: &HttpRequest) -> Option<String> {
        self.0.rules.page_of_others(request.head())
    }

    /// Ends the session that the browser shows, if any.
    pub(super) fn log_out(&self, request: &HttpRequest) {
        let cookie = request.cookie(&self.0.rules.cookie_name());
        if let Some(cookie) = cookie.filter(|_| self.0.rules.is_own_page(request.head())) {
            self.sessions().end(cookie.value());
        }
    }

    fn session_of(&self, request: &HttpRequest) -> Option<(Digest, Grant)> {
        let cookie = request.cookie(&self.0.rules.cookie_name())?;
        // Pages at other ports of the same host are of the same site, so that the browser sends it along for them as well.
        if !self.0.rules.is_own_page(request.head()) {
            return None;
        }
        self.sessions().find(cookie.value(), self.0.clock.elapsed())
    }

    /// Whether whoever was let in for something that lasts would still be let in.
    pub(super) fn still_admits(&self, caller: &Caller) -> bool {
        let is_same = caller.generation == self.0.generation.load(Ordering::Relaxed);
        is_same
            && caller
                .session
                .is_none_or(|session| self.sessions().is_open(&session, self.0.clock.elapsed()))
    }

    /// What is open to the Sync Frontend, and to whoever pretends to be it: no more than the very call that it makes.
    fn grant_of_frontend(&self, request: &HttpRequest) -> Option<Grant> {
        let rules = &self.0.rules;
        let grant = need::needed_by_frontend(request.method(), request.path())?;
        let is_open = match grant {
            Grant::Change => rules.frontend_without_token,
            Grant::Look => rules.frontend_reads_without_token,
        };
        (is_open && rules.is_page_of_this_machine(request.head())).then_some(grant)
    }

    /// Whoever is on the machine may look as long as nobody has set a token for looking.
    fn grant_of_strangers(&self) -> Option<Grant> {
        let is_open = !self.tokens().ask_for_reading() && self.0.rules.listens_on.is_loopback();
        is_open.then_some(Grant::Look)
    }

    fn tokens(&self) -> Tokens {
        self.0
            .tokens
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.0
            .attempts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.0
            .sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The token that came along.
fn bearer(head: &RequestHead) -> Option<&[u8]> {
    let value = head.headers().get(AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked("Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

/// Where a call comes from.
pub(super) fn peer(request: &HttpRequest) -> IpAddr {
    request
        .peer_addr()
        .map_or(Ipv4Addr::UNSPECIFIED.into(), |address| address.ip())
}
